//! Initial weights: a function of seed, name and element.

use crate::support::{devices, layer_configs, parameters};
use burnformer_nn::init::{self, Init};
use burnformer_nn::{EncoderConfig, LayerConfig, LinearConfig};

type Rule<'a> = &'a dyn Fn(&str, &[usize]) -> Init;

#[test]
fn the_same_seed_gives_the_same_weights_on_every_device() {
    let weights: Vec<_> = devices()
        .iter()
        .map(|device| {
            let [config, _] = layer_configs();
            parameters(&init::by_name(EncoderConfig::new(2, config).init(device), 42, init::truncated_normal(0.02)))
        })
        .collect();
    assert!(weights.iter().all(|others| *others == weights[0]));
}

#[test]
fn every_parameter_has_numbers_of_its_own_by_seed_and_name() {
    let device = devices().remove(0);
    let [config, _] = layer_configs();
    let weights = |n_layers, seed| {
        let encoder = EncoderConfig::new(n_layers, config.clone()).init(&device);
        parameters(&init::by_name(encoder, seed, init::xavier_uniform))
    };
    let (two, one) = (weights(2, 1), weights(1, 1));
    assert!(one.iter().all(|(path, values)| two[path] == *values), "a second layer changed the first");
    assert_ne!(two["layers.0.attention.query.weight"], two["layers.0.attention.key.weight"]);
    assert_ne!(two["layers.0.attention.query.weight"], two["layers.1.attention.query.weight"]);
    assert_ne!(two, weights(2, 2));
}

#[test]
fn matrices_follow_their_rule_and_vectors_their_role() {
    let device = devices().remove(0);
    let weights = |rule: Rule| {
        let encoder = EncoderConfig::new(1, LayerConfig::new(60, 3, 100)).init(&device);
        parameters(&init::by_name(encoder, 7, rule))
    };
    let xavier_bound = (6.0_f64 / 160.0).sqrt();
    let cases: [(&str, Rule, f64, f64); 3] = [
        ("xavier", &init::xavier_uniform, xavier_bound / 3.0_f64.sqrt(), xavier_bound),
        ("normal", &init::normal(0.1), 0.1, 0.6),
        ("truncated normal", &init::truncated_normal(0.1), 0.1 * 0.773_741_3_f64.sqrt(), 0.2),
    ];
    for (name, rule, std, bound) in cases {
        let weights = weights(rule);
        let matrix = &weights["layers.0.feed_forward.linear_in.weight"];
        let n = matrix.len() as f64;
        let mean = matrix.iter().sum::<f64>() / n;
        let found = (matrix.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
        assert!(mean.abs() < 5.0 * std / n.sqrt(), "{name}: mean {mean}");
        assert!((found / std - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{name}: deviation {found}, expected {std}");
        // Single precision rounds the bound.
        assert!(matrix.iter().all(|x| x.abs() <= bound * (1.0 + 1e-6)), "{name}");
        assert!(weights["layers.0.feed_forward.linear_in.bias"].iter().all(|&x| x == 0.0), "{name}");
        assert!(weights["layers.0.norm_ff.weight"].iter().all(|&x| x == 1.0), "{name}");
        assert!(weights["layers.0.norm_ff.bias"].iter().all(|&x| x == 0.0), "{name}");
    }
}

#[test]
fn a_kept_parameter_keeps_its_values() {
    let device = devices().remove(0);
    let linear = init::by_name(LinearConfig::new(3, 5).init(&device), 1, init::normal(1.0));
    let before = parameters(&linear);
    let rule = |path: &str, _: &[usize]| {
        if path == "bias" { Init::Constant(2.0) } else { Init::Keep }
    };
    let after = parameters(&init::by_name(linear, 9, rule));
    assert_eq!(after["weight"], before["weight"]);
    assert_eq!(after["bias"], [2.0; 5]);
}
