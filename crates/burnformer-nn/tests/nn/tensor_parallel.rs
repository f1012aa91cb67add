//! Parts of a module that compute together on several ranks equal the whole one but for rounding, and agree in every bit.

use crate::support::{all_layer_configs, assert_near, by_path, devices, randomised, tensor, values};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Device, Gradients, Int, Tensor};
use burnformer_core::collective::{Collective, share, thread_ranks};
use burnformer_nn::{
    CrossEntropyLossConfig, Cut, DropoutRng, Embedding, EmbeddingConfig, EncoderDecoder, EncoderDecoderConfig,
    EncoderDecoderInput, LayerConfig, LossSum, best_tokens, with_activation_checkpointing, with_tensor_parallel,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

/// What `work` returns on each of `n` ranks.
fn on_ranks<R: Send>(n: usize, work: impl Fn(Arc<dyn Collective>) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let ranks: Vec<_> = thread_ranks(n).into_iter().map(|rank| scope.spawn(move || work(Arc::new(rank)))).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

/// Takes the part of a rank from every parameter.
struct Take<'a> {
    ranks: &'a dyn Collective,
    path: Vec<String>,
}

impl ModuleMapper for Take<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value) = (param.id, param.val().inner());
        match Cut::of(&self.path.join(".")) {
            Cut::Along(axis) => {
                let rows = share(self.ranks, value.dims()[axis]);
                param.transform_for_load(Tensor::from_inner(value.narrow(axis, rows.start, rows.len())), id)
            }
            Cut::First if self.ranks.rank() > 0 => {
                let none = Tensor::from_inner(Tensor::zeros([0; D], &value.device()));
                param.transform_for_load(none, id).set_require_grad(false)
            }
            _ => param,
        }
    }
}

fn part_of<M: Module>(module: M, ranks: &dyn Collective) -> M {
    module.map(&mut Take { ranks, path: Vec::new() })
}

/// The gradient of every parameter; empty where there is none.
fn gradients<M: Module>(module: &M, grads: &Gradients) -> BTreeMap<String, Vec<f64>> {
    struct Found<'a>(&'a Gradients);
    impl crate::support::Read for Found<'_> {
        fn read<const D: usize>(&self, _path: &str, param: &Param<Tensor<D>>) -> Vec<f64> {
            param.val().grad(self.0).map(values).unwrap_or_default()
        }
    }
    by_path(module, Found(grads))
}

/// What the ranks have of a parameter with this shape, in one.
fn joined(path: &str, shape: &[usize], parts: &[&Vec<f64>]) -> Vec<f64> {
    match Cut::of(path) {
        Cut::Along(0) => parts.iter().flat_map(|part| part.iter().copied()).collect(),
        Cut::Along(_) => {
            let rows = shape[0];
            let row =
                |part: &Vec<f64>, row: usize| part[row * part.len() / rows..(row + 1) * part.len() / rows].to_vec();
            (0..rows).flat_map(|i| parts.iter().flat_map(move |part| row(part, i))).collect()
        }
        Cut::First => {
            assert!(parts[1..].iter().all(|part| part.is_empty()), "`{path}` is on rank 0 alone");
            parts[0].clone()
        }
        Cut::Whole => {
            assert!(parts.iter().all(|part| part == &parts[0]), "`{path}` differs among the ranks");
            parts[0].clone()
        }
    }
}

struct Results {
    out: Vec<f64>,
    inputs: Vec<Vec<f64>>,
    gradients: BTreeMap<String, Vec<f64>>,
    weights: Vec<f64>,
}

fn run(model: &EncoderDecoder, config: &LayerConfig, device: &Device) -> Results {
    let d_model = config.d_model;
    let source = tensor("source", [2, 7, d_model], device).require_grad();
    let target = tensor("target", [2, 5, d_model], device).require_grad();
    let keys: Tensor<2, Bool> =
        Tensor::<2, Int>::from_data([[0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1]], device).equal_elem(1);
    let input = || EncoderDecoderInput {
        source: source.clone(),
        target: target.clone(),
        source_mask_pad: Some(keys.clone()),
        target_mask_pad: None,
        rng: DropoutRng::training(1, [4, 5]),
    };
    let (_, weights) = model.valid().forward_with_attn_weights(EncoderDecoderInput {
        source: source.clone().inner(),
        target: target.clone().inner(),
        source_mask_pad: None,
        target_mask_pad: None,
        rng: DropoutRng::off(),
    });
    let out = model.forward(input());
    let grads = (out.clone() * tensor("cotangent", [2, 5, d_model], device)).sum().backward();
    let inputs = [&source, &target].map(|x| values(x.grad(&grads).unwrap())).to_vec();
    let weights = weights.decoder.cross_attention.into_iter().flat_map(values).collect();
    Results { out: values(out), inputs, gradients: gradients(model, &grads), weights }
}

#[test]
fn an_encoder_and_a_decoder_in_parts_are_the_whole_ones() {
    for device in devices() {
        let device = device.autodiff();
        for config in all_layer_configs() {
            for (size, checkpointing) in [(2, false), (2, true), (4, false)] {
                let n_kv_heads = config.n_kv_heads.map(|_| size);
                let config =
                    LayerConfig { d_model: 16, n_heads: 8, d_ff: 40 - 8 * (size / 4), n_kv_heads, ..config.clone() };
                let model = randomised(EncoderDecoderConfig::new(1, 2, config.clone()).init(&device));
                let whole = run(&model, &config, &device);
                let found = on_ranks(size, |ranks| {
                    let part = part_of(model.clone(), &*ranks);
                    let run = || with_activation_checkpointing(checkpointing, || run(&part, &config, &device));
                    with_tensor_parallel(&ranks, run).unwrap()
                });
                assert_near("output", &found[0].out, &whole.out, 1e-5, 1e-6);
                assert_near("attention weights", &found[0].weights, &whole.weights, 1e-5, 1e-6);
                for (found, whole) in found[0].inputs.iter().zip(&whole.inputs) {
                    assert_near("gradient of an input", found, whole, 1e-5, 1e-6);
                }
                let same = |other: &Results| other.out == found[0].out && other.inputs == found[0].inputs;
                assert!(found.iter().all(same), "the ranks disagree");
                let d_model = config.d_model;
                for (path, gradient) in &whole.gradients {
                    let parts: Vec<_> = found.iter().map(|it| &it.gradients[path]).collect();
                    let shape = [d_model, gradient.len() / d_model];
                    assert_near(path, &joined(path, &shape, &parts), gradient, 2e-5, 1e-5);
                }
            }
        }
    }
}

/// Loss, its count, the best tokens, and the gradients of table and bias.
type Scored = (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>);

fn score(table: &Embedding, bias: &Tensor<1>, n_tokens: usize, smoothing: f64, device: &Device) -> Scored {
    let ids = Tensor::<2, Int>::from_data([[0, 10, 5, 3], [9, 3, 3, 7]], device);
    let targets = Tensor::<1, Int>::from_data([0, 10, -100, 3, 9, 3, -100, 7], device);
    let logits = table.logits(table.forward(ids).reshape([8, 6]), Some(bias.clone()));
    let best = best_tokens(logits.clone().inner(), n_tokens);
    let loss = CrossEntropyLossConfig::new().with_label_smoothing(smoothing).init();
    let LossSum { sum, count } = loss.forward_tokens(logits, targets, n_tokens);
    let grads = (sum.clone() * 0.5).backward();
    let gradients = (values(table.weight.val().grad(&grads).unwrap()), values(bias.grad(&grads).unwrap()));
    (values(sum), values(count), best.into_data().iter::<f64>().collect(), gradients.0, gradients.1)
}

#[test]
fn a_table_of_tokens_in_parts_gives_the_loss_of_the_whole_one() {
    const N_TOKENS: usize = 11;
    for device in devices() {
        let device = device.autodiff();
        for (size, smoothing) in [(2, 0.0), (3, 0.1), (4, 0.0)] {
            let table = randomised(EmbeddingConfig::new(N_TOKENS, 6).init(&device));
            let bias = tensor("bias", [N_TOKENS], &device);
            let whole = score(&table, &bias.clone().require_grad(), N_TOKENS, smoothing, &device);
            let found = on_ranks(size, |ranks| {
                let rows = share(&*ranks, N_TOKENS);
                let narrow = |x: Tensor<2>| Tensor::from_inner(x.inner().narrow(0, rows.start, rows.len()));
                let mut part = table.clone();
                let (id, value) = (part.weight.id, part.weight.val());
                part.weight = part.weight.transform_for_load(narrow(value), id);
                let bias = bias.clone().narrow(0, rows.start, rows.len()).detach().require_grad();
                with_tensor_parallel(&ranks, || score(&part, &bias, N_TOKENS, smoothing, &device)).unwrap()
            });
            for it in &found {
                assert_near("loss", &it.0, &whole.0, 1e-6, 0.0);
                assert_eq!((&it.0, &it.1, &it.2), (&found[0].0, &whole.1, &whole.2));
            }
            let joined =
                |part: fn(&Scored) -> &Vec<f64>| found.iter().flat_map(|it| part(it).clone()).collect::<Vec<_>>();
            assert_near("gradient of the table", &joined(|it| &it.3), &whole.3, 1e-5, 1e-6);
            assert_near("gradient of the bias", &joined(|it| &it.4), &whole.4, 1e-5, 1e-6);
        }
    }
}

#[test]
fn a_rank_that_is_lost_is_an_error() {
    let device = devices().remove(0).autodiff();
    let config = LayerConfig { d_model: 16, n_heads: 4, d_ff: 16, ..LayerConfig::new(16, 4, 16) };
    let model = randomised(EncoderDecoderConfig::new(1, 1, config.clone()).init(&device));
    let mut ranks = thread_ranks(2);
    drop(ranks.pop());
    let ranks: Arc<dyn Collective> = Arc::new(ranks.remove(0));
    let part = part_of(model, &*ranks);
    let result = with_tensor_parallel(&ranks, || run(&part, &config, &device));
    assert!(result.is_err());
}
