//! BERT's pretraining model: masked tokens and next-sentence prediction.

use super::{BertPooler, MaskedTokenHead};
use crate::bert::{BertVariant, files};
use crate::{Architecture, Bert, BertConfig, BertInput, Head, Loaded, ModelClass, ModelConfig, ModelError, Pretrained};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use burnformer_nn::{DropoutRng, Linear, LinearConfig, init};
use std::path::Path;

/// BERT, or one of its variants, with its pretraining heads: masked tokens, and next sentences of a BERT that has that head.
/// The others are pretrained on masked tokens alone; their model is saved as a masked language model.
///
/// Source: Devlin et al. 2019, section 3.1. The masked token head's output layer is the table of the token embeddings.
#[derive(Module, Debug)]
pub struct BertForPreTraining {
    bert: Bert,
    /// With [`Self::next_sentence`] only.
    pooler: Option<BertPooler>,
    mlm: MaskedTokenHead,
    next_sentence: Option<Linear>,
}

/// Logits of both pretraining heads.
#[derive(Clone, Debug)]
pub struct PretrainingLogits {
    /// Logits of the masked tokens, `[n_masked, vocab_size]`.
    pub mlm: Tensor<2>,
    /// Logits of next-sentence prediction, `[batch_size, 2]`: class 0 if the second text follows the first, class 1 if
    /// it is random.
    pub next_sentence: Tensor<2>,
}

impl BertForPreTraining {
    /// Allocates the model on `device`, zero until it is initialised or loaded. Of a BERT it has both heads.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn new(config: &BertConfig, device: &Device) -> Self {
        Self::with_heads(config, config.variant.has_next_sentence(), device)
    }

    fn with_heads(config: &BertConfig, has_next_sentence: bool, device: &Device) -> Self {
        Self {
            bert: Bert::new(config, device),
            pooler: has_next_sentence.then(|| BertPooler::new(config, 0.0, device)),
            mlm: MaskedTokenHead::new(config, device),
            next_sentence: has_next_sentence.then(|| LinearConfig::new(config.d_model, 2).init(device)),
        }
    }

    /// Loads an encoder to be pretrained further: the body in `folder`, and every head of pretraining that its file has;
    /// those that are missing are initialised from `seed`. The folder may hold any BERT or one of its variants, with any
    /// head or none.
    ///
    /// # Errors
    /// If the folder holds no such model, or files that do not fit together.
    pub fn from_pretrained(folder: &Path, seed: u64, device: &Device) -> Result<Loaded<Self>, ModelError> {
        let config = BertConfig::load(folder)?;
        let heads = ["mlm.", "next_sentence."];
        files::load_with_fresh_head(&config, folder, seed, &heads, || Self::new(&config, device))
    }

    /// A model with initial weights, as the published code draws them: matrices and tables from a truncated normal
    /// distribution, the row of the padding token too.
    ///
    /// # Panics
    /// If the config is not valid.
    #[must_use]
    pub fn init(config: &BertConfig, seed: u64, device: &Device) -> Self {
        init::by_name(Self::new(config, device), seed, init::truncated_normal(config.init_std))
    }

    /// Initialises the bias of the masked token head with the log frequencies of the tokens. `counts` has the number of
    /// occurrences of each token; one is added to each count.
    ///
    /// The model starts with the loss of predicting by frequency, which takes thousands of updates to learn from a bias
    /// of zero: an update by Adam is no larger than the learning rate. The published code starts with zero.
    ///
    /// # Panics
    /// If there is not one count for each token.
    #[must_use]
    pub fn with_token_counts(mut self, counts: &[u64]) -> Self {
        self.mlm.set_bias(counts);
        self
    }

    /// Initialises the learned positions as sinusoids, with the standard deviation of the other tables.
    ///
    /// A step from one position to the next is then one linear map for all positions, which attention learns sooner
    /// than a map of its own for each of them. The published code starts with random positions. Sinusoids: Vaswani et
    /// al. 2017, section 3.5.
    #[must_use]
    pub fn with_sinusoidal_positions(mut self) -> Self {
        self.bert.set_sinusoidal_positions();
        self
    }

    /// # Shapes
    /// - input: see [`BertInput`]
    /// - `masked_positions`: `[n_masked]`, at least one, each `row * seq_length + column`; only these go through the
    ///   masked token head
    ///
    /// # Panics
    /// If the shapes do not fit, a sequence is longer than `max_seq_length`, or the model has no next-sentence head.
    pub fn forward(&self, input: BertInput, masked_positions: Tensor<1, Int>) -> PretrainingLogits {
        let (Some(pooler), Some(next_sentence)) = (&self.pooler, &self.next_sentence) else {
            panic!("pretraining: the model has no next-sentence head");
        };
        let hidden = self.bert.forward(input);
        let mlm = self.masked_logits(hidden.clone(), masked_positions);
        PretrainingLogits { mlm, next_sentence: next_sentence.forward(pooler.forward(hidden, DropoutRng::off())) }
    }

    /// [`Self::forward`] of the masked token head alone, which every model has.
    ///
    /// # Shapes
    /// - returns: `[n_masked, vocab_size]`
    ///
    /// # Panics
    /// If the shapes do not fit, or a sequence is longer than `max_seq_length`.
    pub fn forward_masked(&self, input: BertInput, masked_positions: Tensor<1, Int>) -> Tensor<2> {
        self.masked_logits(self.bert.forward(input), masked_positions)
    }

    fn masked_logits(&self, hidden: Tensor<3>, masked_positions: Tensor<1, Int>) -> Tensor<2> {
        let [batch_size, seq_length, d_model] = hidden.dims();
        let rows = hidden.reshape([batch_size * seq_length, d_model]);
        self.mlm.forward(rows.select(0, masked_positions), self.bert.embeddings().token())
    }

    /// `true` if the model has a next-sentence head.
    #[must_use]
    pub fn has_next_sentence(&self) -> bool {
        self.next_sentence.is_some()
    }

    /// The body.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }
}

impl Pretrained for BertForPreTraining {
    type Config = BertConfig;

    const HEAD: Head = Head::PreTraining;
    const ARCHITECTURES: &'static [Architecture] = &[Architecture::Bert];

    fn config(&self) -> &BertConfig {
        self.bert.config()
    }

    fn attn_weights(&self, input: BertInput) -> Option<Vec<Tensor<4>>> {
        Some(self.bert.forward_with_attn_weights(input).1)
    }

    fn class(&self) -> ModelClass {
        let head = if self.has_next_sentence() { Head::PreTraining } else { Head::MaskedLm };
        ModelClass::of_model(self.config().architecture(), head)
    }

    /// Reads a masked language model too, which has no next-sentence head.
    fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let class = ModelClass::expect(&[Head::PreTraining, Head::MaskedLm], &BertVariant::ARCHITECTURES, folder)?;
        let config = BertConfig::load(folder)?;
        files::load(&config, folder, || Self::with_heads(&config, class.head() == Head::PreTraining, device))
    }

    fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let config = self.config();
        files::save(self, self.mlm.second_bias(config.variant)?, config, &config.to_json(self.class()), folder)
    }
}
