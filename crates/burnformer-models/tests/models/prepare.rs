//! Models prepared for inference answer as before, and cannot be saved.

use crate::support::{assert_close, config, devices, input, labels, values};
use burn::tensor::{Int, Tensor};
use burnformer_models::{
    BertForMaskedLM, BertForSequenceClassification, GenerationConfig, GenerationInput, GptConfig, GptForCausalLM,
    GptInput, GptTokens, ModelError, PositionKind, Pretrained, Seq2Seq, Seq2SeqConfig, Vocabularies, generate,
};
use burnformer_nn::is_prepared;
use burnformer_ops::{WeightFormat, is_on_host};

const IDS: [[i64; 5]; 2] = [[4, 9, 1, 7, 20], [8, 2, 2, 30, 5]];
/// Sums in another order.
const ROUNDING: f64 = 2e-5;

fn f32<M: Pretrained>(model: &M) -> M {
    model.clone().prepare(WeightFormat::F32).unwrap()
}

#[test]
fn berts_answer_as_before() {
    for device in devices() {
        let classifier = BertForSequenceClassification::init(&config(), &labels(3), 7, &device);
        let expected = values(classifier.forward(input(IDS, &device)));
        assert_close("classes", &values(f32(&classifier).forward(input(IDS, &device))), &expected, ROUNDING);
        let masked = BertForMaskedLM::init(&config(), 7, &device);
        let positions = || Tensor::<1, Int>::from_data([1, 8], &device);
        let expected = values(masked.forward(input(IDS, &device), positions()));
        assert_close("tokens", &values(f32(&masked).forward(input(IDS, &device), positions())), &expected, ROUNDING);
    }
}

#[test]
fn language_models_answer_as_before() {
    for device in devices() {
        for tied_embeddings in [true, false] {
            let tokens = GptTokens { eos_id: Some(0), ..GptTokens::default() };
            let config = GptConfig { tied_embeddings, ..GptConfig::preset("gpt-tiny", 50, tokens).unwrap() };
            let model = GptForCausalLM::init(&config, 7, &device);
            let input = || GptInput::new(Tensor::from_data(IDS, &device));
            let expected = values(model.forward(input()));
            assert_close("logits", &values(f32(&model).forward(input())), &expected, ROUNDING);
            let settings = GenerationConfig { max_length: Some(6), ..GenerationConfig::greedy() };
            let prompts = [vec![7, 8, 9], vec![10, 4, 4]];
            let texts = |model: &GptForCausalLM| {
                let answers = generate(model, &settings, GenerationInput::new(&prompts)).unwrap();
                answers.into_iter().map(|mut it| it.remove(0).tokens).collect::<Vec<_>>()
            };
            assert_eq!(texts(&f32(&model)), texts(&model));
        }
    }
}

/// Tables of their own, shared by both sides, and an output layer of its own.
#[test]
fn translators_answer_as_before() {
    let shapes = [(true, true), (false, true), (false, false)];
    for device in devices() {
        for (shared, tied_embeddings) in shapes {
            let vocabularies =
                Vocabularies { source_size: 40, target_size: 40, shared, pad_id: 0, eos_id: 1, decoder_start_id: 2 };
            let config = Seq2SeqConfig {
                tied_embeddings,
                positions: PositionKind::Sinusoidal,
                ..Seq2SeqConfig::preset("transformer-tiny", vocabularies).unwrap()
            };
            let model = Seq2Seq::init(&config, 7, &device);
            let sources = [vec![7, 8, 9, 1], vec![10, 11, 1], vec![4, 4, 5, 6, 30, 1]];
            let settings = GenerationConfig { n_best: 3, max_length: Some(8), ..GenerationConfig::default() };
            let answers = |model: &Seq2Seq| model.generate(&settings, GenerationInput::new(&sources)).unwrap().concat();
            let (expected, found) = (answers(&model), answers(&f32(&model)));
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.tokens, expected.tokens);
                assert_close("score", &[found.score], &[expected.score], ROUNDING);
            }
            assert_eq!(found.len(), expected.len());
        }
    }
}

#[test]
fn a_prepared_model_is_not_saved() {
    for device in devices() {
        let model = f32(&BertForMaskedLM::init(&config(), 7, &device));
        assert_eq!(is_prepared(&model), is_on_host(&device));
        let folder = tempfile::tempdir().unwrap();
        let saved = model.save(folder.path());
        if is_on_host(&device) {
            assert!(matches!(saved, Err(ModelError::PreparedModel)), "{saved:?}");
            assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        } else {
            saved.unwrap();
        }
    }
}
