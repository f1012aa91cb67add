//! Embeddings, the input of the encoder.

use super::BertConfig;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use burnformer_nn::{
    DropoutRng, Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, LearnedPositions, LearnedPositionsConfig,
    SinusoidalPositionsConfig, parts,
};
use burnformer_ops::{self as ops, Dropout};

/// `dropout(norm(token + segment + position))`, each a table of trained vectors.
///
/// Source: Devlin et al. 2019, section 3, figure 2; norm and dropout are in their code alone.
#[derive(Module, Debug)]
pub struct BertEmbeddings {
    token: Embedding,
    position: LearnedPositions,
    segment: Option<Embedding>,
    norm: LayerNorm,
    dropout: f64,
    /// The token that positions skip; `None` if positions count all tokens.
    uncounted: Option<u32>,
}

impl BertEmbeddings {
    pub(super) fn new(config: &BertConfig, device: &Device) -> Self {
        let table = |n_rows| EmbeddingConfig::new(n_rows, config.d_model).init(device);
        let n_positions = config.max_seq_length.saturating_add(config.first_position());
        Self {
            token: table(config.vocab_size),
            position: LearnedPositionsConfig::new(n_positions, config.d_model).init(device),
            segment: (config.n_segments > 0).then(|| table(config.n_segments)),
            norm: LayerNormConfig::new(config.d_model).with_eps(config.norm_eps).init(device),
            dropout: config.dropout,
            uncounted: (config.first_position() > 0).then_some(config.pad_id),
        }
    }

    /// Sets the table of positions to sinusoids with standard deviation `std`.
    pub(super) fn set_sinusoidal_positions(&mut self, std: f64) {
        if parts::is_left_out(&self.position.weight) {
            return;
        }
        let param = self.position.weight.clone();
        let shape = param.lazy_shape();
        let config = SinusoidalPositionsConfig::new(shape[0], shape[1]);
        // The mean square of a sinusoid is one half.
        let sinusoids = config.init(&param.lazy_device()).forward(0, shape[0]) * (std * 2.0_f64.sqrt());
        let id = param.id;
        self.position.weight = param.transform_for_load(sinusoids.squeeze_dim(0), id);
    }

    /// # Shapes
    /// - ids: `[batch_size, seq_length]`
    /// - segments: `[batch_size, seq_length]`, or `None` for segment 0 everywhere; a model with one segment or none does
    ///   not use them
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, ids: Tensor<2, Int>, segments: Option<Tensor<2, Int>>, rng: DropoutRng) -> Tensor<3> {
        if let Some(segments) = &segments {
            let shapes = [segments.dims(), ids.dims()];
            assert!(
                shapes[0] == shapes[1],
                "bert: `segments` {:?} must have the shape of `ids` {:?}",
                shapes[0],
                shapes[1]
            );
        }
        let position = self.positions(&ids);
        let x = self.token.forward(ids);
        let x = match (&self.segment, segments) {
            (None, _) => x,
            (Some(table), Some(segments)) if table.weight.lazy_shape()[0] > 1 => x + table.forward(segments),
            (Some(table), _) => x + table.weight.val().narrow(0, 0, 1).unsqueeze(), // [1, 1, d_model]
        };
        ops::dropout(self.norm.forward(x + position), None, Dropout::new(self.dropout, rng))
    }

    /// `[batch_size or 1, seq_length, d_model]`
    fn positions(&self, ids: &Tensor<2, Int>) -> Tensor<3> {
        let [_, seq_length] = ids.dims();
        let Some(pad_id) = self.uncounted else { return self.position.forward(0, seq_length) };
        let first = pad_id as usize + 1;
        let max_seq_length = self.position.weight.lazy_shape()[0] - first;
        assert!(
            seq_length <= max_seq_length,
            "positions: position {seq_length} is beyond `max_seq_length` ({max_seq_length})"
        );
        let counted = ids.clone().not_equal_elem(pad_id).int();
        let numbers = counted.clone().cumsum(1) * counted + i64::from(pad_id);
        ops::embedding(self.position.weight.val(), numbers)
    }

    /// The table of the tokens, which is the output layer of the masked token head too.
    pub fn token(&self) -> &Embedding {
        &self.token
    }
}
