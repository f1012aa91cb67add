//! A model in stages has the bits of a whole one.

use crate::support::{devices, gradients, gradients_there_are, layer_configs, randomised, tensor, values};
use burn::tensor::{Gradients, Tensor};
use burnformer_nn::pipeline::{StageLayers, embedded, embedded_target, run_stage, without_stage};
use burnformer_nn::{
    DropoutRng, EncoderDecoderConfig, EncoderDecoderInput, LayerInput, StackConfig, with_activation_checkpointing,
};
use burnformer_ops::{backward_from_all, is_on_host};
use std::collections::BTreeMap;
use std::ops::Range;

/// The stages between these numbers of layers.
fn stages(cuts: &[usize], n_before_memory: usize, n_layers: usize) -> Vec<StageLayers> {
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ranges = starts.zip(cuts.iter().copied().chain([n_layers])).map(|(start, end)| Range { start, end });
    ranges.map(|range| StageLayers { range, n_before_memory, n_layers }).collect()
}

/// Runs all stages forwards and then backwards. `forward` is the forward pass of the model, `cotangent` the gradient of its
/// output. Returns the output, and the gradients of each stage.
fn run(stages: &[StageLayers], forward: impl Fn() -> Tensor<3>, cotangent: Tensor<3>) -> (Tensor<3>, Vec<Gradients>) {
    let (mut incoming, mut passes, mut last) = (Vec::<Tensor<3>>::new(), Vec::new(), None);
    for (stage, layers) in stages.iter().enumerate() {
        let leaves: Vec<_> = incoming.iter().map(|x| Tensor::from_inner(x.clone().inner()).require_grad()).collect();
        let (out, outgoing) = run_stage(layers.clone(), leaves.clone(), &forward);
        assert_eq!(outgoing.is_empty(), stage + 1 == stages.len());
        assert_eq!(layers.is_last(), outgoing.is_empty());
        incoming = outgoing.clone();
        passes.push((leaves, outgoing));
        last = Some(out);
    }
    let last = last.unwrap();
    passes.last_mut().unwrap().1 = vec![last.clone()];
    let (mut gradients, mut given) = (Vec::new(), vec![cotangent]);
    for (leaves, outgoing) in passes.into_iter().rev() {
        let outs =
            outgoing.into_iter().zip(given).map(|(out, gradient)| (out.into_dispatch(), gradient.into_dispatch()));
        let mut found = backward_from_all(outs.collect());
        given = leaves.iter().map(|leaf| leaf.grad_remove(&mut found).unwrap()).collect();
        gradients.push(found);
    }
    (last, gradients)
}

/// Every cut into two, three and all stages.
fn cuts(n_layers: usize) -> Vec<Vec<usize>> {
    let two = (1..n_layers).map(|cut| vec![cut]);
    let three = (1..n_layers).flat_map(|first| (first + 1..n_layers).map(move |second| vec![first, second]));
    two.chain(three).chain([(1..n_layers).collect()]).collect()
}

#[test]
fn encoder_and_decoder_have_the_same_bits() {
    for device in devices().into_iter().filter(is_on_host) {
        let device = device.autodiff();
        for config in layer_configs() {
            let config = config.with_dropout(0.2).with_attention_dropout(0.1);
            let model = randomised(EncoderDecoderConfig::new(2, 3, config).init(&device));
            for on in [false, true] {
                let forward = |source: &Tensor<3>, target: &Tensor<3>| {
                    let input = EncoderDecoderInput {
                        source: embedded([2, 7, 12], &device, || source.clone()),
                        target: embedded_target([2, 5, 12], &device, || target.clone()),
                        source_mask_pad: None,
                        target_mask_pad: None,
                        rng: DropoutRng::training(1, [4, 5]),
                    };
                    with_activation_checkpointing(on, || model.forward(input))
                };
                let inputs = || {
                    let source = tensor("source", [2, 7, 12], &device).require_grad();
                    [source, tensor("target", [2, 5, 12], &device).require_grad()]
                };
                let cotangent = || tensor("cotangent", [2, 5, 12], &device).inner();
                let [source, target] = inputs();
                let out = forward(&source, &target);
                let grads = (out.clone() * Tensor::from_inner(cotangent())).sum().backward();
                let expected = [&source, &target].map(|x| values(x.grad(&grads).unwrap()));
                for cuts in cuts(5) {
                    let [source, target] = inputs();
                    let (found, all) = run(&stages(&cuts, 2, 5), || forward(&source, &target), cotangent());
                    assert!(values(found) == values(out.clone()), "{cuts:?}");
                    let of = |x: &Tensor<3>| all.iter().find_map(|grads| x.grad(grads)).map(values);
                    assert!([of(&source), of(&target)] == expected.clone().map(Some), "inputs, {cuts:?}, {on}");
                    let mut joined = BTreeMap::new();
                    all.iter().for_each(|grads| joined.extend(gradients_there_are(&model, grads)));
                    assert!(joined == gradients(&model, &grads), "{cuts:?}, checkpointing {on}");
                }
            }
        }
    }
}

#[test]
fn a_causal_stack_has_the_same_bits() {
    for device in devices().into_iter().filter(is_on_host) {
        let device = device.autodiff();
        for config in layer_configs() {
            let stack = randomised(StackConfig::new(4, config.with_causal(true).with_dropout(0.2)).init(&device));
            let forward = |x: &Tensor<3>| {
                let rng = DropoutRng::training(1, [4, 5]);
                stack.forward(LayerInput { rng, ..LayerInput::new(embedded([2, 7, 12], &device, || x.clone())) })
            };
            let cotangent = || tensor("cotangent", [2, 7, 12], &device).inner();
            let x = tensor("x", [2, 7, 12], &device).require_grad();
            let out = forward(&x);
            let grads = (out.clone() * Tensor::from_inner(cotangent())).sum().backward();
            for cuts in cuts(4) {
                let (found, all) = run(&stages(&cuts, 4, 4), || forward(&x), cotangent());
                assert!(values(found) == values(out.clone()), "{cuts:?}");
                let mut joined = BTreeMap::new();
                all.iter().for_each(|grads| joined.extend(gradients_there_are(&stack, grads)));
                assert!(joined == gradients(&stack, &grads), "{cuts:?}");
            }
        }
    }
}

#[test]
fn a_whole_model_may_run_in_the_middle_of_a_stage() {
    let device = burnformer_ops::DeviceChoice::Auto.open().unwrap();
    let embed = || values(embedded([1, 1, 1], &device, || Tensor::ones([1, 1, 1], &device)));
    let layers = StageLayers { range: 1..2, n_before_memory: 2, n_layers: 2 };
    let (found, _) = run_stage(layers, Vec::new(), || (embed(), without_stage(embed), embed()));
    assert_eq!(found, (vec![0.0], vec![1.0], vec![0.0]));
}
