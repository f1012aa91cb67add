//! How much work a measurement is.

/// How much work a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Milliseconds on a software renderer.
    Small,
    /// What people train with. Too long for a software renderer, which does a few GFLOP/s.
    Large,
}

/// The sizes of a model and its batch.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Sequences in a batch.
    pub batch_size: usize,
    /// Tokens of each sequence.
    pub seq_length: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of heads.
    pub n_heads: usize,
    /// Width of the feed-forward layers.
    pub d_ff: usize,
    /// Number of encoder layers.
    pub n_layers: usize,
    /// Number of tokens in the vocabulary.
    pub vocab_size: usize,
    /// Tokens of each sequence that are hidden and predicted.
    pub masked_per_sequence: usize,
}

impl Sizes {
    /// BERT-mini with a vocabulary of 8192 (large), or a model of a few thousand weights (small).
    #[must_use]
    pub fn of_bert(size: Size) -> Self {
        match size {
            Size::Small => Self {
                batch_size: 2,
                seq_length: 8,
                d_model: 16,
                n_heads: 2,
                d_ff: 24,
                n_layers: 2,
                vocab_size: 50,
                masked_per_sequence: 2,
            },
            Size::Large => Self {
                batch_size: 32,
                seq_length: 128,
                d_model: 256,
                n_heads: 4,
                d_ff: 1024,
                n_layers: 4,
                vocab_size: 8192,
                masked_per_sequence: 19,
            },
        }
    }

    /// Tokens of a batch.
    #[must_use]
    pub fn n_tokens(&self) -> usize {
        self.batch_size * self.seq_length
    }

    /// Predicted tokens of a batch.
    #[must_use]
    pub fn n_masked(&self) -> usize {
        self.batch_size * self.masked_per_sequence
    }

    /// Width of one head.
    #[must_use]
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }
}
