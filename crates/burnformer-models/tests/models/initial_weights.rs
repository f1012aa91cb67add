//! The initial weights and dropout masks of a seed stay what they were when a run of that seed began.

use crate::support::{assert_close, device, devices, values};
use burn::tensor::{Int, Tensor};
use burnformer_models::weights::Weights;
use burnformer_models::{PositionKind, Pretrained, Seq2Seq, Seq2SeqConfig, Seq2SeqInput};
use burnformer_nn::{Activation, DropoutRng, NormOrder};

fn config() -> Seq2SeqConfig {
    Seq2SeqConfig {
        source_vocab_size: 29,
        target_vocab_size: 31,
        shared_embeddings: false,
        tied_embeddings: false,
        output_bias: true,
        scaled_embeddings: true,
        positions: PositionKind::Learned,
        max_seq_length: 11,
        d_model: 20,
        n_encoder_layers: 2,
        n_decoder_layers: 3,
        n_heads: 4,
        d_ff: 23,
        activation: Activation::Relu,
        norm_order: NormOrder::Pre,
        norm_eps: 1e-5,
        dropout: 0.2,
        attention_dropout: 0.3,
        activation_dropout: 0.25,
        init_std: 0.02,
        pad_id: 3,
        eos_id: 1,
        decoder_start_id: 2,
    }
}

/// FNV-1a of the names and bits of all weights in a saved file, by name.
fn hash(model: &Seq2Seq) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let mut file = Weights::in_folder(folder.path()).unwrap();
    let mut names = file.names();
    names.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for name in names {
        let bits = file.read(&name).unwrap().iter::<f32>().flat_map(|x| x.to_bits().to_le_bytes()).collect::<Vec<_>>();
        for byte in name.bytes().chain(bits) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// The numbers are those of this test on commit 287d2c5.
#[test]
fn a_seed_gives_the_weights_it_always_gave() {
    let config = config();
    let found = [Seq2Seq::init(&config, 42, &device()), Seq2Seq::init_xavier(&config, 42, &device())];
    assert_eq!(found.map(|model| hash(&model)), [9_214_378_888_068_025_063, 16_034_990_001_381_698_190]);
}

/// A dropout mask that differs in one element of one layer moves every logit behind it by much more than rounding does. The
/// numbers are those of this test on commit 287d2c5.
#[test]
fn a_seed_drops_what_it_always_dropped() {
    let expected = [1.572_796, -0.986_974, -0.235_179, 0.261_198, 0.513_447, 0.983_139, 1.791_834, 1.412_959];
    for device in devices() {
        let model = Seq2Seq::init(&config(), 42, &device);
        let ids = |rows: [[i64; 3]; 2]| Tensor::<2, Int>::from_data(rows, &device);
        let input = Seq2SeqInput::new(ids([[5, 6, 7], [8, 9, 10]]), ids([[2, 11, 12], [2, 13, 14]]));
        let logits = model.forward(Seq2SeqInput { rng: DropoutRng::training(1, [7, 8]), ..input });
        let found = values(logits.slice([0..2, 2..3, 0..4]));
        assert_close("logits", &found, &expected, 1e-4);
    }
}
