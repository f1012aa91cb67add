//! The translation pipeline.

use std::cmp::Reverse;
use std::path::Path;

use burn::tensor::Device;
use burnformer_core::Local;
use burnformer_core::collective::Collective;
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{Collator, Dealt, Padding, TextPairCollator};
use burnformer_data::datasets::{Sample, TextPair};
use burnformer_models::{
    Convention, GenerationConfig, GenerationFile, GenerationInput, Hypothesis, Pretrained, Seq2Seq,
};
use burnformer_ops::{WeightFormat, is_on_host};
use rayon::prelude::*;
use serde::Serialize;

use super::{TranslationAttention, TranslationMetricState, TranslationTask, TranslationTokenizers};
use crate::{Evaluation, TaskError};

/// Default number of texts in a batch.
const BATCH_SIZE: usize = 64;
/// Number of batches that a thread fills with the texts that it translates one after the other.
const BATCHES_OF_A_SHARE: usize = 4;
/// Largest number of hypotheses of a text for full batches; beyond it batches have fewer texts, to bound their rows and
/// memory.
const FEW_HYPOTHESES: usize = 8;

/// Translates texts, and scores given translations.
#[derive(Debug)]
pub struct Translator {
    model: Seq2Seq,
    task: TranslationTask,
    batch_size: usize,
    device: Device,
}

/// A translation with its scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Translation {
    /// The text.
    pub text: String,
    /// The tokens, without start and end token.
    #[serde(skip)]
    pub tokens: Vec<u32>,
    /// Number of tokens of the source, with the end token; more than [`Translator::max_length`] if the source was truncated.
    #[serde(skip)]
    pub source_length: usize,
    /// The sum of the log-probabilities of its tokens, the end token included.
    pub log_prob: f64,
    /// Score by which translations of one text are ranked.
    pub score: f64,
    /// `false` if the translation was cut off at the longest length.
    pub is_finished: bool,
}

/// Options of a translation.
#[derive(Clone, Debug)]
pub struct TranslationOptions<'a> {
    /// Settings of generation; those of the model's folder are in [`Translator::generation_file`].
    pub generation: GenerationConfig,
    /// Seed of sampling; a draw also depends on the number of the text.
    pub seed: u64,
    /// The number of the first text; the others follow.
    pub first_number: u64,
    /// A request to stop.
    pub interrupt: Option<&'a Interrupt>,
}

impl TranslationOptions<'_> {
    /// These settings with seed 0, texts numbered from 0, and no interrupt.
    #[must_use]
    pub fn new(generation: GenerationConfig) -> Self {
        Self { generation, seed: 0, first_number: 0, interrupt: None }
    }
}

impl Translator {
    /// Loads the model in `folder`.
    ///
    /// # Errors
    /// If the folder holds no encoder–decoder with its tokenizers.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TaskError> {
        let model = Seq2Seq::load(folder, device)?;
        let task = TranslationTask::new(model.config().clone(), TranslationTokenizers::load(folder)?, 0.0)?;
        Ok(Self { model, task, batch_size: BATCH_SIZE, device: device.clone() })
    }

    /// The same pipeline with the weights of its model laid out once, as `format`, for the products of this processor: see
    /// [`Pretrained::prepare`].
    ///
    /// # Errors
    /// If the processor or the device has no products of this type.
    pub fn prepared(self, format: WeightFormat) -> Result<Self, TaskError> {
        Ok(Self { model: self.model.prepare(format)?, ..self })
    }

    /// The same pipeline with `batch_size` texts in a batch, at least one.
    #[must_use]
    pub fn with_batch_size(self, batch_size: usize) -> Self {
        Self { batch_size: batch_size.max(1), ..self }
    }

    /// The translations of each text, best first, in input order. Texts of similar length are translated together,
    /// fewer of them where each has more than eight beams or samples. A text longer than the model's limit is
    /// truncated, see [`Self::max_length`]; a blank text has an empty translation.
    ///
    /// # Errors
    /// If a setting cannot work, a text cannot be tokenised, the device fails, or on request of the interrupt.
    pub fn translate(&self, texts: &[&str], options: &TranslationOptions) -> Result<Vec<Vec<Translation>>, TaskError> {
        Ok(self.translate_share(texts, options, (0, 1))?.into_iter().flatten().collect())
    }

    /// [`Self::translate`], for the process `rank` of `size`: the translations of its share of the texts, each of which is that
    /// of one process. The others have those of the rest.
    ///
    /// # Errors
    /// As [`Self::translate`].
    pub fn translate_share(
        &self,
        texts: &[&str],
        options: &TranslationOptions,
        (rank, size): (usize, usize),
    ) -> Result<Vec<Option<Vec<Translation>>>, TaskError> {
        let sources = texts.iter().map(|text| self.whole_source(text)).collect::<Result<Vec<_>, _>>()?;
        let source_lengths: Vec<usize> = sources.iter().map(Vec::len).collect();
        let sources: Vec<Vec<u32>> = sources.into_iter().map(|source| self.cut(source)).collect();
        let is_blank = |text: usize| texts[text].trim().is_empty() || sources[text].len() <= 1;
        let of_blank = |text| (rank == 0 && is_blank(text)).then(|| vec![Translation::empty()]);
        let mut translations: Vec<_> = (0..texts.len()).map(of_blank).collect();
        let mut order: Vec<usize> = (0..texts.len()).filter(|&text| !is_blank(text)).collect();
        // The longest begin, so that those that begin together end together.
        order.sort_by_key(|&text| Reverse(sources[text].len()));
        let generation = &options.generation;
        // There padding and language codes may be generated, which are no text.
        let skip_specials = generation.convention == Convention::Transformers;
        let n_each = if generation.sampling.is_some() { generation.n_best } else { generation.n_beams };
        let batch_size = (self.batch_size * FEW_HYPOTHESES / n_each.max(FEW_HYPOTHESES)).max(1);
        // Equal shares, whatever the number of threads and processes is. In each, texts leave and enter one batch.
        let n_shares = order.len().div_ceil(BATCHES_OF_A_SHARE * batch_size);
        let share = |number: usize| order.iter().copied().skip(number).step_by(n_shares).collect::<Vec<usize>>();
        let shares: Vec<Vec<usize>> = (rank..n_shares).step_by(size).map(share).collect();
        let translate = |share: &Vec<usize>| {
            let tokens: Vec<Vec<u32>> = share.iter().map(|&text| sources[text].clone()).collect();
            let numbers: Vec<u64> = share.iter().map(|&text| options.first_number + text as u64).collect();
            let input = GenerationInput {
                numbers: Some(&numbers),
                seed: options.seed,
                interrupt: options.interrupt,
                at_once: Some(batch_size),
                ..GenerationInput::new(&tokens)
            };
            Ok(self.model.generate(generation, input)?)
        };
        // Threads with a batch each wait less for one another than threads that share one.
        let answers: Result<Vec<_>, TaskError> = match is_on_host(&self.device) {
            true => shares.par_iter().map(translate).collect(),
            false => shares.iter().map(translate).collect(),
        };
        for (&text, hypotheses) in shares.iter().flatten().zip(answers?.into_iter().flatten()) {
            let texts = hypotheses.into_iter().map(|it| self.translation(it, source_lengths[text], skip_specials));
            translations[text] = Some(texts.collect::<Result<_, _>>()?);
        }
        Ok(translations)
    }

    /// The settings of generation in the model's folder.
    #[must_use]
    pub fn generation_file(&self) -> &GenerationFile {
        self.model.generation_file()
    }

    /// Largest number of tokens of a text, the end token included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.task.config().max_seq_length
    }

    /// Cross-attention weights over `text` for each token of a given translation, computed in one forward pass.
    ///
    /// # Errors
    /// If the text cannot be tokenised, or the device fails.
    pub fn attention(&self, text: &str, translation: &Translation) -> Result<TranslationAttention, TaskError> {
        TranslationAttention::of(
            &self.model,
            &self.task,
            &self.cut(self.whole_source(text)?),
            &translation.tokens,
            &self.device,
        )
    }

    /// Scores given translations: the log-probabilities of their tokens. Pairs with a text longer than
    /// the model's limit are left out, and counted.
    ///
    /// # Errors
    /// If a text cannot be tokenised, the device fails, or on request of the interrupt.
    pub fn score(
        &self,
        pairs: &[(&str, &str)],
        interrupt: Option<&Interrupt>,
    ) -> Result<(TranslationMetricState, usize), TaskError> {
        self.score_together(pairs, interrupt, &Local)
    }

    /// As [`Self::score`], with the other processes of `collective`, each with the same model and pairs. All get the same numbers.
    ///
    /// # Errors
    /// As there; if another process fails.
    pub fn score_together(
        &self,
        pairs: &[(&str, &str)],
        interrupt: Option<&Interrupt>,
        collective: &dyn Collective,
    ) -> Result<(TranslationMetricState, usize), TaskError> {
        let (config, target) = (self.task.config(), self.task.tokenizers().target());
        let mut samples = Vec::with_capacity(pairs.len());
        for (number, (text, translation)) in (0..).zip(pairs) {
            let mut pair = TextPair {
                source: self.whole_source(text)?,
                target: target.encode_beginning(translation, config.max_seq_length)?,
            };
            pair.target.push(config.eos_id);
            if pair.length() <= config.max_seq_length {
                samples.push((number, pair));
            }
        }
        let n_left_out = pairs.len() - samples.len();
        samples.sort_by_key(|(_, pair): &(u64, TextPair)| pair.length());
        let collator = TextPairCollator { padding: Padding { pad_id: config.pad_id, multiple_of: 1 } };
        let (rank, owners) = (collective.rank(), (0..collective.size()).cycle());
        let batches = samples.chunks(self.batch_size).zip(owners).map(|(batch, owner)| {
            let collate = || {
                let (numbers, samples) = batch.iter().cloned().unzip();
                collator.collate(numbers, samples)
            };
            Ok(Dealt { owner, n_samples: batch.len(), batch: (owner == rank).then(collate) })
        });
        let interrupt = interrupt.cloned().unwrap_or_default();
        let evaluation = Evaluation { device: &self.device, collective, progress: &Silent, interrupt, stages: None };
        let metric_state = evaluation.run(&self.task, &self.model, batches, samples.len() as u64)?;
        Ok((metric_state, n_left_out))
    }

    /// The tokens of a text, truncated to the model's limit, with the end token.
    fn cut(&self, mut tokens: Vec<u32>) -> Vec<u32> {
        if tokens.len() > self.max_length() {
            tokens.truncate(self.max_length() - 1);
            tokens.push(self.task.config().eos_id);
        }
        tokens
    }

    /// The tokens of a text, as far as it takes to know whether there are too many, with the end token.
    fn whole_source(&self, text: &str) -> Result<Vec<u32>, TaskError> {
        let mut tokens = self.task.tokenizers().source().encode_source_beginning(text, self.max_length())?;
        tokens.push(self.task.config().eos_id);
        Ok(tokens)
    }

    fn translation(
        &self,
        hypothesis: Hypothesis,
        source_length: usize,
        skip_specials: bool,
    ) -> Result<Translation, TaskError> {
        let Hypothesis { tokens, log_prob, score, is_finished } = hypothesis;
        let text = self.task.tokenizers().target().decode(&tokens, skip_specials)?;
        Ok(Translation { text, tokens, source_length, log_prob, score, is_finished })
    }
}

impl Translation {
    /// The translation of a blank text.
    #[must_use]
    pub fn empty() -> Self {
        Self { text: String::new(), tokens: Vec::new(), source_length: 0, log_prob: 0.0, score: 0.0, is_finished: true }
    }
}
