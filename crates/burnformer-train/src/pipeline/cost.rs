//! How long each layer of a model takes, by which a pipeline is cut.

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor};
use burnformer_models::Staged;
use burnformer_nn::{CrossEntropyLossConfig, EmbeddingConfig, LayerConfig, LayerInput, Mask, Memory, StackConfig};

/// Number of tokens that is measured with at most: time is linear in it.
const MOST_TOKENS: usize = 1024;

/// Number of passes, the fastest of which counts; the first one allocates.
const N_PASSES: usize = 3;

/// Seconds of the forward and backward pass of each layer of `staged`, with the embeddings in front of it and the head behind the
/// last one, measured on `device` with weights of zero. `seq_length` is that of the samples.
pub(super) fn measured(staged: &dyn Staged, n_tokens: usize, seq_length: usize, device: &Device) -> Vec<f64> {
    let device = device.clone().autodiff();
    let seq_length = seq_length.clamp(1, MOST_TOKENS);
    let shape = [(n_tokens.min(MOST_TOKENS) / seq_length).max(1), seq_length];
    let [n_before_memory, n_layers] = staged.n_layers();
    let [before, behind] = [0, n_layers - 1].map(|number| layer(&staged.layer_config(number), shape, &device));
    let mut seconds: Vec<f64> =
        (0..n_layers).map(|number| if number < n_before_memory { before } else { behind }).collect();
    let d_model = staged.layer_config(0).d_model;
    let [rows, target_rows] = staged.embedding_rows();
    seconds[0] += embeddings(rows, d_model, shape, &device);
    if let Some(first) = seconds.get_mut(n_before_memory) {
        *first += embeddings(target_rows, d_model, shape, &device);
    }
    let (rows, share) = staged.output_rows();
    seconds[n_layers - 1] += output(rows, d_model, (shape[0] * shape[1]) as f64 * share, &device);
    seconds
}

/// The shortest time of a pass.
fn fastest(mut pass: impl FnMut()) -> f64 {
    let mut time = || {
        let begin = Instant::now();
        pass();
        begin.elapsed().as_secs_f64()
    };
    (0..N_PASSES).map(|_| time()).fold(f64::INFINITY, f64::min)
}

fn layer(config: &LayerConfig, [batch_size, seq_length]: [usize; 2], device: &Device) -> f64 {
    let stack = StackConfig::new(1, config.clone()).init(device);
    let states = || Tensor::<3>::ones([batch_size, seq_length, config.d_model], device).require_grad();
    fastest(|| {
        let memory = config.cross_attention.then(|| Memory { states: states(), mask: Mask::None });
        let out = stack.forward(LayerInput { memory, ..LayerInput::new(states()) });
        finish(out.sum());
    })
}

fn embeddings(n_rows: usize, d_model: usize, shape: [usize; 2], device: &Device) -> f64 {
    let table = EmbeddingConfig::new(n_rows, d_model).init(device);
    fastest(|| finish(table.forward(Tensor::<2, Int>::zeros(shape, device)).sum()))
}

/// Logits of so many tokens, and their loss; nothing without an output layer.
fn output(n_rows: usize, d_model: usize, n_tokens: f64, device: &Device) -> f64 {
    let n_tokens = n_tokens as usize;
    if n_rows == 0 || n_tokens == 0 {
        return 0.0;
    }
    let (table, loss) = (EmbeddingConfig::new(n_rows, d_model).init(device), CrossEntropyLossConfig::new().init());
    fastest(|| {
        let logits = table.logits(Tensor::<2>::ones([n_tokens, d_model], device).require_grad(), None);
        finish(loss.forward(logits, Tensor::<1, Int>::zeros([n_tokens], device)).sum);
    })
}

/// The backward pass, to its end.
fn finish(loss: Tensor<1>) {
    drop(loss.backward());
    // What the device has put off.
    let _ = loss.inner().try_into_data();
}

#[cfg(test)]
mod tests {
    use burnformer_models::{BertConfig, Seq2SeqConfig, Vocabularies};
    use burnformer_ops::DeviceChoice;

    use super::*;

    #[test]
    fn every_layer_takes_time() {
        let device = DeviceChoice::Auto.open().unwrap();
        let vocabularies =
            Vocabularies { source_size: 30, target_size: 30, shared: true, pad_id: 0, eos_id: 1, decoder_start_id: 0 };
        let seq2seq = Seq2SeqConfig::preset("transformer-tiny", vocabularies).unwrap();
        let bert = BertConfig::preset("bert-tiny", 30, 0).unwrap();
        let models: [(&dyn Staged, usize); 2] = [(&seq2seq, 4), (&bert, 2)];
        for (staged, n_layers) in models {
            let seconds = measured(staged, 20, 7, &device);
            assert_eq!(seconds.len(), n_layers);
            assert!(seconds.iter().all(|seconds| *seconds > 0.0 && seconds.is_finite()), "{seconds:?}");
        }
    }
}
