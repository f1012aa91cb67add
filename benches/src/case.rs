//! The names of the cases of `cargo xtask bench --peers`. xtask, which builds without burn, includes this file.

use clap::ValueEnum;

/// Work to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Multi-head attention as in the article: query = key = value, dropout 0.1, weights handed out; gradients for the
    /// parameters, none for the input
    Mha,
    /// Attention of one head over a long sequence, forward and backward
    Long,
    /// Encoder on embedded tokens, in evaluation
    Encoder,
    /// Training step of an encoder with a masked language model's output layer
    MlmStep,
    /// Training step of BERT's pretraining
    BertMini,
    /// Training step of BERT for token classification: every second token has one of nine labels
    TokenStep,
    /// Training step of a low-rank adapter of the same and of its head
    LoraStep,
    /// Training step of BERT for question answering
    QaStep,
    /// Training step of an encoder–decoder with the sizes of a first translator
    #[value(name = "seq2seq-step")]
    Seq2SeqStep,
    /// Translation by the same: beam search with four hypotheses for each of 128 texts
    Beam,
    /// Vectors of a thousand texts of 29 tokens on average, by a model of the size of `MiniLM`
    Embed,
    /// The vector of one text of twelve tokens
    EmbedOne,
    /// Reading the weights of BERT, with the heads of pretraining
    Load,
    /// Start of the program: `predict` of one text by a small classifier; measured from outside
    Start,
}
