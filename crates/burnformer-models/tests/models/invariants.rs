//! What a model promises, whatever its weights are.

use crate::support::{assert_close, config, device, devices, gradients, input, labels, norm, values};
use burn::module::Module;
use burn::tensor::{Bool, Device, Gradients, Int, Tensor};
use burnformer_models::stats::{n_parameters, parameters};
use burnformer_models::{BertConfig, BertForPreTraining, BertForSequenceClassification, BertInput, Pretrained};
use burnformer_nn::DropoutRng;

/// Between the same numbers summed in another order, as by matrix products of another size.
const ROUNDING: f64 = 2e-5;

fn positions<const N: usize>(positions: [i64; N], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(positions, device)
}

fn with_padding<const B: usize, const T: usize>(ids: [[i64; T]; B], lengths: [usize; B], device: &Device) -> BertInput {
    let mask = lengths.map(|length| std::array::from_fn::<_, T, _>(|t| t >= length));
    let mask_pad = Some(Tensor::<2, Bool>::from_data(mask, device));
    BertInput { mask_pad, ..BertInput::new(Tensor::from_data(ids, device)) }
}

#[test]
fn neither_what_padding_holds_nor_how_much_there_is_matters() {
    for device in devices() {
        let model = BertForPreTraining::init(&config(), 1, &device);
        let with = |rng: fn() -> DropoutRng| {
            let answer = |input: BertInput, masked| {
                let logits = model.forward(BertInput { rng: rng(), ..input }, positions(masked, &device));
                [values(logits.mlm), values(logits.next_sentence)]
            };
            let short = [[5, 6, 7, 8, 9], [10, 11, 12, 3, 3]];
            let other = [[5, 6, 7, 8, 9], [10, 11, 12, 20, 21]];
            let longer = [[5, 6, 7, 8, 9, 3, 3], [10, 11, 12, 3, 3, 3, 3]];
            let short = with_padding(short, [5, 3], &device);
            let other = with_padding(other, [5, 3], &device);
            let longer = with_padding(longer, [5, 3], &device);
            let expected = answer(short, [2, 7]);
            for (found, name) in [(answer(other, [2, 7]), "content"), (answer(longer, [2, 9]), "length")] {
                for (found, expected) in found.iter().zip(&expected) {
                    assert_close(name, found, expected, ROUNDING);
                }
            }
        };
        with(DropoutRng::off);
        with(|| DropoutRng::training(1, [7, 8]));
    }
}

#[test]
fn a_sequence_does_not_depend_on_the_others_in_its_batch() {
    for device in devices() {
        let model = BertForSequenceClassification::init(&config(), &labels(5), 1, &device);
        let rows = [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]];
        let answer = |input: BertInput, rng| values(model.forward(BertInput { rng, ..input }));
        for rng in [|_: &[u64]| DropoutRng::off(), |samples: &[u64]| DropoutRng::training(1, samples)] {
            let together = answer(input(rows, &device), rng(&[3, 4, 5]));
            for (index, row) in rows.into_iter().enumerate() {
                let alone = answer(input([row], &device), rng(&[3 + index as u64]));
                assert_close("alone", &alone, &together[5 * index..5 * (index + 1)], ROUNDING);
            }
        }
    }
}

#[test]
fn no_segments_is_the_first_segment_everywhere() {
    for device in devices() {
        let model = BertForPreTraining::init(&config(), 1, &device);
        let ids = Tensor::<2, Int>::from_data([[5, 6, 7], [8, 9, 10]], &device);
        let bare = values(model.bert().forward(BertInput::new(ids.clone())));
        let segments = Some(Tensor::zeros([2, 3], &device));
        let found = values(model.bert().forward(BertInput { segments, ..BertInput::new(ids.clone()) }));
        assert_close("segment 0", &found, &bare, 1e-6);
        let segments = Some(Tensor::ones([2, 3], &device));
        let other = values(model.bert().forward(BertInput { segments, ..BertInput::new(ids) }));
        assert!(norm(other.iter().zip(&bare).map(|(x, y)| x - y)) > 0.1);
    }
}

/// Every parameter gets a gradient that is not zero, but for key biases: they add one number to all scores of a query,
/// which the softmax ignores.
fn check_gradients<M: Module>(model: &M, grads: &Gradients) {
    for (name, gradient) in gradients(model, grads) {
        let size = norm(gradient);
        if name.ends_with("key.bias") {
            assert!(size < 1e-4, "`{name}`: {size:e}");
        } else {
            assert!(size.is_finite() && size > 1e-3, "`{name}`: {size:e}");
        }
    }
}

#[test]
fn every_parameter_gets_a_gradient_in_training() {
    for device in devices() {
        let device = device.autodiff();
        let rows = [[5, 6, 7, 8], [9, 10, 11, 12]];
        let training = || BertInput { rng: DropoutRng::training(1, [7, 8]), ..input(rows, &device) };

        let model = BertForPreTraining::init(&config(), 1, &device);
        let logits = model.forward(training(), positions([1, 6], &device));
        // Squares, because the sum of a softmax's gradient vanishes.
        let loss = logits.mlm.powi_scalar(2).sum() + logits.next_sentence.powi_scalar(2).sum();
        check_gradients(&model, &loss.backward());

        let model = BertForSequenceClassification::init(&config(), &labels(5), 1, &device);
        check_gradients(&model, &model.forward(training()).powi_scalar(2).sum().backward());
    }
}

#[test]
fn dropout_is_a_function_of_the_sample_and_off_in_evaluation() {
    for device in devices() {
        for config in [BertConfig { dropout: 0.0, ..config() }, BertConfig { attention_dropout: 0.0, ..config() }] {
            let model = BertForSequenceClassification::init(&config, &labels(5), 1, &device);
            let answer = |rng| values(model.forward(BertInput { rng, ..input([[5, 6, 7, 8]], &device) }));
            assert_eq!(answer(DropoutRng::off()), answer(DropoutRng::off()));
            assert_eq!(answer(DropoutRng::training(1, [7])), answer(DropoutRng::training(1, [7])));
            assert_ne!(answer(DropoutRng::training(1, [7])), answer(DropoutRng::off()));
            assert_ne!(answer(DropoutRng::training(1, [7])), answer(DropoutRng::training(1, [8])));
            assert_ne!(answer(DropoutRng::training(1, [7])), answer(DropoutRng::training(2, [7])));
        }
    }
}

#[test]
fn embeddings_are_dropped_behind_their_norm() {
    let device = device();
    let model = BertForPreTraining::init(&config(), 1, &device);
    let ids = Tensor::<2, Int>::from_data([[5, 6, 7, 8, 9]; 10], &device);
    let samples: Vec<u64> = (0..10).collect();
    let embed = |rng| values(model.bert().embeddings().forward(ids.clone(), None, rng));
    let (dropped, kept) = (embed(DropoutRng::training(1, samples)), embed(DropoutRng::off()));
    let n_dropped = dropped.iter().filter(|&&x| x == 0.0).count() as f64;
    // Five standard deviations around a probability of 0.2 for 1000 elements.
    assert!((n_dropped - 200.0).abs() < 5.0 * 160_f64.sqrt(), "{n_dropped}");
    let scaled: Vec<f64> = dropped.iter().zip(&kept).map(|(x, y)| if *x == 0.0 { 0.0 } else { y / 0.8 }).collect();
    assert_close("kept", &dropped, &scaled, 1e-6);
}

#[test]
fn initial_weights_are_those_of_the_published_code() {
    let device = device();
    let config = BertConfig { vocab_size: 500, init_std: 0.02, ..config() };
    let model = BertForPreTraining::init(&config, 1, &device);
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let path = folder.path().join("model.safetensors");
    let mut file = burnformer_models::weights::Weights::open(&path).unwrap();
    for name in file.names() {
        let values: Vec<f64> = file.read(&name).unwrap().iter::<f64>().collect();
        match (name.contains("LayerNorm.weight"), name.ends_with("bias")) {
            (true, _) => assert!(values.iter().all(|&x| x == 1.0), "{name}"),
            (_, true) => assert!(values.iter().all(|&x| x == 0.0), "{name}"),
            // The row of the padding token was drawn too.
            _ => assert!(values.iter().all(|&x| x != 0.0 && x.abs() <= 0.04), "{name}"),
        }
    }
    let table: Vec<f64> = file.read("bert.embeddings.word_embeddings.weight").unwrap().iter::<f64>().collect();
    // Cut at two of them, a normal distribution keeps 0.8796 of its standard deviation; five standard errors of 10,000
    // draws.
    let std = norm(table.iter().copied()) / (table.len() as f64).sqrt();
    assert!((std / (0.02 * 0.8796) - 1.0).abs() < 5.0 * 0.0055, "{std}");
}

#[test]
fn a_body_does_not_depend_on_its_head() {
    let device = device();
    let [bare, classifier] = [
        values(BertForPreTraining::init(&config(), 1, &device).bert().forward(input([[5, 6, 7]], &device))),
        values(
            BertForSequenceClassification::init(&config(), &labels(5), 1, &device)
                .bert()
                .forward(input([[5, 6, 7]], &device)),
        ),
    ];
    assert_eq!(bare, classifier);
}

#[test]
fn a_model_that_is_only_counted_takes_no_memory() {
    let config = BertConfig { vocab_size: 1 << 24, d_model: 1 << 15, n_heads: 1, ..config() };
    let model = BertForPreTraining::new(&config, &device());
    assert!(n_parameters(&model) > 1 << 39);
    let (path, shape) = &parameters(&model)[0];
    assert_eq!((path.as_str(), shape), ("bert.embeddings.token.weight", &vec![1 << 24, 1 << 15]));
}

#[test]
#[should_panic(expected = "positions: position 10 is beyond `max_seq_length` (9)")]
fn a_sequence_that_is_too_long_is_refused() {
    let device = device();
    let model = BertForPreTraining::init(&config(), 1, &device);
    let _ = model.bert().forward(input([[5; 10]], &device));
}

#[test]
#[should_panic(expected = "bert: `segments` [1, 4] must have the shape of `ids` [2, 4]")]
fn segments_of_another_shape_are_refused() {
    let device = device();
    let model = BertForPreTraining::init(&config(), 1, &device);
    let segments = Some(Tensor::zeros([1, 4], &device));
    let _ = model.bert().forward(BertInput { segments, ..input([[5; 4]; 2], &device) });
}

#[test]
fn a_model_with_token_counts_guesses_by_frequency() {
    for device in devices() {
        let config = config();
        let counts: Vec<u64> = (0..config.vocab_size as u64).map(|id| (3 * id * id) % 17).collect();
        // Without weights only the bias speaks.
        let model = BertForPreTraining::new(&config, &device).with_token_counts(&counts);
        let logits =
            values(model.forward(BertInput::new(Tensor::from_data([[1, 2, 3]], &device)), positions([1], &device)).mlm);
        let total: u64 = counts.iter().map(|count| count + 1).sum();
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let found: Vec<f64> = logits.iter().map(|logit| logit.exp() / sum).collect();
        let expected: Vec<f64> = counts.iter().map(|&count| (count + 1) as f64 / total as f64).collect();
        assert_close("probabilities", &found, &expected, 1e-6);
    }
}

#[test]
fn positions_may_begin_as_sinusoids() {
    use burn::module::{ModuleVisitor, Param};

    #[derive(Default)]
    struct Positions(Vec<String>, Vec<f64>);

    impl ModuleVisitor for Positions {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.0.join(".") == "bert.embeddings.position.weight" {
                self.1 = values(param.val());
            }
        }
    }

    let (config, device) = (config(), device());
    let model = BertForPreTraining::init(&config, 1, &device).with_sinusoidal_positions();
    let mut found = Positions::default();
    model.visit(&mut found);
    // The paper's formula, in two places; the first row is 0, 1, 0, 1, …
    let scale = config.init_std * 2.0_f64.sqrt();
    let at = |position: usize, column: usize| found.1[position * config.d_model + column];
    assert_close("first row", &[at(0, 0), at(0, 1), at(0, 2)], &[0.0, scale, 0.0], 1e-7);
    let angle = 3.0 / 10_000_f64.powf(2.0 / config.d_model as f64);
    assert_close("row 3", &[at(3, 2), at(3, 3)], &[scale * angle.sin(), scale * angle.cos()], 1e-7);
}

#[test]
#[should_panic(expected = "token counts: 2 counts, the vocabulary has")]
fn every_token_needs_a_count() {
    let _ = BertForPreTraining::new(&config(), &device()).with_token_counts(&[1, 2]);
}
