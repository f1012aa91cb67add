//! What goes into the encoder.

use super::BertConfig;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use burnformer_nn::{
    Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, LearnedPositions, LearnedPositionsConfig, Noise,
    SinusoidalPositionsConfig,
};
use burnformer_ops::{self as ops, Dropout};

/// `dropout(norm(token + segment + position))`, each a table of trained vectors.
///
/// Source: Devlin et al. 2019, section 3, figure 2; norm and dropout are in their code alone.
#[derive(Module, Debug)]
pub struct BertEmbeddings {
    token: Embedding,
    position: LearnedPositions,
    segment: Embedding,
    norm: LayerNorm,
    dropout: f64,
}

impl BertEmbeddings {
    pub(super) fn new(config: &BertConfig, device: &Device) -> Self {
        let table = |n_rows| EmbeddingConfig::new(n_rows, config.d_model).init(device);
        Self {
            token: table(config.vocab_size),
            position: LearnedPositionsConfig::new(config.max_seq_length, config.d_model).init(device),
            segment: table(config.n_segments),
            norm: LayerNormConfig::new(config.d_model).with_eps(config.norm_eps).init(device),
            dropout: config.dropout,
        }
    }

    /// Sets the table of positions to sinusoids with standard deviation `std`.
    pub(super) fn set_sinusoidal_positions(&mut self, std: f64) {
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
    /// - segments: `[batch_size, seq_length]`, or `None` for segment 0 everywhere
    /// - returns: `[batch_size, seq_length, d_model]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward(&self, ids: Tensor<2, Int>, segments: Option<Tensor<2, Int>>, noise: Noise) -> Tensor<3> {
        let [_, seq_length] = ids.dims();
        let segment = match segments {
            Some(segments) => {
                let shape = segments.dims();
                assert!(
                    shape == ids.dims(),
                    "bert: `segments` {shape:?} must have the shape of `ids` {:?}",
                    ids.dims()
                );
                self.segment.forward(segments)
            }
            None => self.segment.weight.val().narrow(0, 0, 1).unsqueeze(), // [1, 1, d_model]
        };
        let x = self.token.forward(ids) + segment + self.position.forward(0, seq_length);
        ops::dropout(self.norm.forward(x), None, Dropout::new(self.dropout, noise))
    }

    /// The table of the tokens, which is the output layer of the masked token head too.
    pub fn token(&self) -> &Embedding {
        &self.token
    }
}
