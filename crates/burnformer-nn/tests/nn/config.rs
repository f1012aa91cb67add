//! Settings that cannot work are typed errors that name the setting; shapes that cannot work panic with the shapes.

use burn::tensor::Tensor;
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::{
    AttentionInput, CrossEntropyLossConfig, DecoderConfig, EmbeddingConfig, EncoderConfig, EncoderDecoderConfig,
    FeedForwardConfig, GluConfig, LayerConfig, LayerNormConfig, LearnedPositionsConfig, LinearConfig,
    MultiHeadAttentionConfig, RmsNormConfig, RotaryConfig, SinusoidalPositionsConfig, StackConfig,
};
use burnformer_ops::DeviceChoice;

#[track_caller]
fn check(config: &impl Validate, field: &str) {
    let error = config.validate().expect_err(field);
    assert_eq!(error.field(), field, "{error}");
}

fn layer() -> LayerConfig {
    LayerConfig::new(12, 3, 20)
}

#[test]
fn zero_sizes_are_errors() {
    check(&LinearConfig::new(0, 5), "d_in");
    check(&LinearConfig::new(5, 0), "d_out");
    check(&LayerNormConfig::new(0), "d_model");
    check(&EmbeddingConfig::new(0, 4), "vocab_size");
    check(&EmbeddingConfig::new(4, 0), "d_model");
    check(&SinusoidalPositionsConfig::new(0, 4), "max_seq_length");
    check(&LearnedPositionsConfig::new(4, 0), "d_model");
    check(&FeedForwardConfig::new(4, 0), "d_ff");
    check(&MultiHeadAttentionConfig::new(0, 1), "d_model");
    check(&MultiHeadAttentionConfig::new(4, 0), "n_heads");
    check(&LayerConfig::new(12, 3, 0), "d_ff");
    check(&RmsNormConfig::new(0), "d_model");
    check(&GluConfig::new(4, 0), "d_ff");
    check(&RotaryConfig::new(0), "max_seq_length");
    check(&layer().with_d_head(Some(0)), "d_head");
    check(&layer().with_n_kv_heads(Some(0)), "n_kv_heads");
    check(&layer().with_rotary(Some(RotaryConfig::new(0))), "rotary.max_seq_length");
    check(&StackConfig::new(0, layer()), "n_layers");
    check(&EncoderConfig::new(0, layer()), "n_layers");
    check(&DecoderConfig::new(0, layer()), "n_layers");
    check(&EncoderDecoderConfig::new(0, 1, layer()), "n_encoder_layers");
    check(&EncoderDecoderConfig::new(1, 0, layer()), "n_decoder_layers");
}

#[test]
fn heads_must_divide_the_width() {
    let error = MultiHeadAttentionConfig::new(500, 8).validate().unwrap_err();
    assert!(matches!(error, ConfigError::HeadsDoNotDivide { d_model: 500, n_heads: 8, .. }), "{error}");
    let error = EncoderConfig::new(2, LayerConfig::new(500, 8, 4)).validate().unwrap_err();
    assert_eq!(error.field(), "layer.n_heads", "{error}");
}

#[test]
fn heads_of_keys_divide_those_of_queries_and_rotation_needs_pairs() {
    let message = |config: LayerConfig| config.validate().unwrap_err().to_string();
    assert_eq!(message(layer().with_n_kv_heads(Some(2))), "`n_kv_heads` is 2, expected a divisor of `n_heads`");
    let rotary = layer().with_rotary(Some(RotaryConfig::new(9)));
    let range = "expected an even width, as positions are rotary";
    assert_eq!(message(rotary.clone().with_d_head(Some(5))), format!("`d_head` is 5, {range}"));
    assert_eq!(rotary.validate(), Ok(()));
    // The width of a head is free where it is set.
    assert_eq!(LayerConfig::new(13, 3, 20).with_d_head(Some(4)).validate(), Ok(()));
}

#[test]
fn probabilities_lie_in_zero_to_one() {
    for probability in [-0.1, 1.0, 1.5, f64::NAN] {
        check(&FeedForwardConfig::new(4, 8).with_dropout(probability), "dropout");
        check(&MultiHeadAttentionConfig::new(4, 2).with_dropout(probability), "dropout");
        check(&layer().with_dropout(probability), "dropout");
        check(&layer().with_attention_dropout(probability), "attention_dropout");
        check(&layer().with_activation_dropout(probability), "activation_dropout");
        check(&DecoderConfig::new(1, layer().with_dropout(probability)), "layer.dropout");
        check(&CrossEntropyLossConfig::new().with_label_smoothing(probability), "label_smoothing");
    }
}

#[test]
fn eps_is_positive() {
    for eps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check(&LayerNormConfig::new(4).with_eps(eps), "eps");
        check(&RmsNormConfig::new(4).with_eps(eps), "eps");
        check(&RotaryConfig::new(4).with_theta(eps), "theta");
        check(&layer().with_norm_eps(eps), "norm_eps");
    }
}

#[test]
#[should_panic(expected = "`d_model` (10) is not divisible by `n_heads` (3)")]
fn building_from_an_invalid_config_panics_with_its_error() {
    let _ = MultiHeadAttentionConfig::new(10, 3).init(&DeviceChoice::Auto.open().unwrap());
}

#[test]
#[should_panic(
    expected = "multi-head attention: `d_model` differs between `key` [2, 5, 11] (axis 2) and `query.weight` [12, 12] (axis 1)"
)]
fn an_input_of_another_width_panics_with_its_shape() {
    let device = DeviceChoice::Auto.open().unwrap();
    let attention = MultiHeadAttentionConfig::new(12, 3).init(&device);
    let (query, memory) = (Tensor::ones([2, 3, 12], &device), Tensor::ones([2, 5, 11], &device));
    let _ = attention.forward(AttentionInput::cross_attention(query, memory));
}

#[test]
#[should_panic(expected = "position 9 is beyond `max_seq_length` (8)")]
fn a_sequence_beyond_the_table_panics() {
    let device = DeviceChoice::Auto.open().unwrap();
    let _ = LearnedPositionsConfig::new(8, 4).init(&device).forward(4, 5);
}

#[test]
fn choices_are_written_in_lower_case() {
    let layer = serde_json::to_value(layer()).unwrap();
    assert_eq!((&layer["norm_order"], &layer["activation"]), (&"post".into(), &"relu".into()));
    assert_eq!((&layer["norm"], &layer["mlp"]), (&"layer_norm".into(), &"mlp".into()));
    let positions = serde_json::to_value(SinusoidalPositionsConfig::new(8, 4)).unwrap();
    assert_eq!(positions["layout"], "interleaved");
}
