//! Preparation of texts as a model's input, outside training.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use burnformer_data::batches::{Padded, PaddedTensors, Padding, parts};
use burnformer_data::tokenizer::{Encoded, Tokenizer, TokenizerError};
use burnformer_models::{BertConfig, BertInput, Head, ModelClass};
use burnformer_nn::DropoutRng;

use crate::TaskError;

/// Largest number of texts in a batch.
const BATCH: usize = 32;

/// The input of a model for a batch of `tokens`, which `tensors` has on the device.
pub(crate) fn bert_input(
    tokens: &Padded,
    tensors: PaddedTensors,
    segments: Option<Tensor<2, Int>>,
    rng: DropoutRng,
) -> BertInput {
    BertInput { ids: tensors.ids, segments, mask_pad: mask_pad(tokens, tensors.mask_pad), rng }
}

/// Padding mask; `None` without padding, so that attention skips the mask.
pub(crate) fn mask_pad(tokens: &Padded, mask: Tensor<2, Bool>) -> Option<Tensor<2, Bool>> {
    tokens.lengths.iter().any(|&length| length < tokens.seq_length).then_some(mask)
}

/// Checks that the model's embedding has a row for every token.
pub(crate) fn check_vocabulary(tokenizer: &Tokenizer, rows: usize) -> Result<(), TaskError> {
    let tokens = tokenizer.vocab_size();
    if tokens > rows { Err(TaskError::VocabularyMismatch { tokens, rows }) } else { Ok(()) }
}

/// Refuses a folder whose model has none of these heads; the first names the task in the error.
pub(crate) fn expect_head(folder: &Path, heads: &[Head]) -> Result<(), TaskError> {
    let found = ModelClass::of(folder)?.head();
    match heads {
        [first, ..] if !heads.contains(&found) => {
            Err(TaskError::OtherTask { folder: folder.to_owned(), found, expected: first.task() })
        }
        _ => Ok(()),
    }
}

/// Largest number of tokens of a text: the tokenizer's limit, at most the model's number of positions.
pub(crate) fn max_length(tokenizer: &Tokenizer, max_seq_length: usize) -> usize {
    tokenizer.max_length().map_or(max_seq_length, |length| length.min(max_seq_length))
}

/// Number of tokens of a prompt, with the special ones in front of it.
pub(crate) fn prompt_length(tokenizer: &Tokenizer, prompt: &str, max_length: usize) -> Result<usize, TokenizerError> {
    if prompt.is_empty() {
        return Ok(0);
    }
    let ids = tokenizer.encode_with_specials(prompt, None, Some(max_length))?.ids;
    let ends_special = ids.last().is_some_and(|id| tokenizer.special_ids().contains(id));
    Ok(ids.len() - usize::from(ends_special))
}

/// The tokenizer, with the length limit of the model that it is saved with.
pub(crate) fn with_max_length(tokenizer: &Tokenizer, config: &BertConfig) -> Tokenizer {
    tokenizer.clone().with_max_length(max_length(tokenizer, config.max_seq_length))
}

/// Turns texts into a model's input.
#[derive(Debug)]
pub(crate) struct Encode {
    pub(crate) tokenizer: Tokenizer,
    /// Longest text in tokens; longer texts are truncated.
    pub(crate) max_length: usize,
    pad_id: u32,
    device: Device,
    /// Number of texts that were truncated.
    n_cut: AtomicU64,
}

impl Encode {
    /// Uses the tokenizer in the model folder; inputs are placed on the model's device.
    pub(crate) fn load(folder: &Path, config: &BertConfig, device: &Device) -> Result<Self, TaskError> {
        Self::new(Tokenizer::load(folder)?, config, device)
    }

    /// Uses this tokenizer.
    pub(crate) fn new(tokenizer: Tokenizer, config: &BertConfig, device: &Device) -> Result<Self, TaskError> {
        check_vocabulary(&tokenizer, config.vocab_size)?;
        let max_length = max_length(&tokenizer, config.max_seq_length);
        let pad_id = tokenizer.specials().pad_id.unwrap_or(config.pad_id);
        Ok(Self { tokenizer, max_length, pad_id, device: device.clone(), n_cut: AtomicU64::new(0) })
    }

    /// The same, which reads special tokens written in a text as text, or as special tokens.
    pub(crate) fn with_split_special_tokens(self, splits: bool) -> Self {
        Self { tokenizer: self.tokenizer.with_split_special_tokens(splits), ..self }
    }

    /// The tokens of a text, or of a pair of texts.
    pub(crate) fn text(&self, text: &str, pair: Option<&str>) -> Result<Encoded, TokenizerError> {
        self.tokenizer.encode_with_specials(text, pair, Some(self.max_length))
    }

    /// What `encode` makes of each text. Its error gets the number of the text, and texts that are cut are counted.
    pub(crate) fn each<T, E>(
        &self,
        texts: impl IntoIterator<Item = T>,
        mut encode: impl FnMut(T) -> Result<E, TokenizerError>,
        is_cut: impl Fn(&E) -> bool,
    ) -> Result<Vec<E>, TaskError> {
        let one = |(number, text)| match encode(text) {
            Ok(encoded) => {
                self.n_cut.fetch_add(u64::from(is_cut(&encoded)), Ordering::Relaxed);
                Ok(encoded)
            }
            Err(source) => Err(TaskError::Text { number, source }),
        };
        (1..).zip(texts).map(one).collect()
    }

    /// Number of texts so far that were truncated.
    pub(crate) fn n_cut(&self) -> u64 {
        self.n_cut.load(Ordering::Relaxed)
    }

    /// The texts as rows of one length.
    pub(crate) fn input(&self, texts: &[&Encoded]) -> BertInput {
        let padding = Padding { pad_id: self.pad_id, multiple_of: 1 };
        let tokens = Padded::new(texts.iter().map(|text| text.ids.as_slice()), &padding);
        let segments =
            Padded::new(texts.iter().map(|text| text.type_ids.as_slice()), &Padding { pad_id: 0, ..padding });
        let shape = [segments.batch_size(), segments.seq_length];
        let segments: Vec<i32> = segments.ids.iter().map(|&segment| segment as i32).collect();
        let segments = Tensor::<2, Int>::from_data(TensorData::new(segments, shape), &self.device);
        let tensors = tokens.to_device(&self.device);
        bert_input(&tokens, tensors, Some(segments), DropoutRng::off())
    }

    /// Runs `answer` on batches of texts of similar length. Returns one answer for each text, in the order of the
    /// texts.
    pub(crate) fn in_batches<A>(
        &self,
        texts: &[Encoded],
        mut answer: impl FnMut(&[&Encoded], BertInput) -> Result<Vec<A>, TaskError>,
    ) -> Result<Vec<A>, TaskError> {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&text| texts[text].ids.len());
        let mut answers: Vec<Option<A>> = texts.iter().map(|_| None).collect();
        let lengths: Vec<usize> = order.iter().map(|&text| texts[text].ids.len()).collect();
        for part in parts(&lengths, BATCH) {
            let batch = &order[part];
            let rows: Vec<&Encoded> = batch.iter().map(|&text| &texts[text]).collect();
            for (&text, answer) in batch.iter().zip(answer(&rows, self.input(&rows))?) {
                answers[text] = Some(answer);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }
}

/// The values of a model's answer, row by row, read from the device.
///
/// # Errors
/// [`TaskError::NotFinite`] if one is NaN or infinite.
pub(crate) fn finite<const D: usize>(answer: Tensor<D>) -> Result<Vec<f32>, TaskError> {
    let values: Vec<f32> = answer.try_into_data()?.iter::<f32>().collect();
    if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(TaskError::NotFinite) }
}

/// `text` with a prompt in front of it.
pub(crate) fn behind<'a>(prompt: &str, text: &'a str) -> Cow<'a, str> {
    if prompt.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(format!("{prompt}{text}")) }
}

/// The first characters of a text, for messages.
pub(crate) fn beginning(text: &str) -> String {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() { shown + "…" } else { shown }
}

/// Row by row, the softmax of `logits` `[n, n_classes]`, read from the device.
///
/// # Errors
/// As [`finite`].
pub(crate) fn probabilities(logits: Tensor<2>) -> Result<Vec<Vec<f64>>, TaskError> {
    let [_, n_classes] = logits.dims();
    let values: Vec<f64> = finite(logits)?.into_iter().map(f64::from).collect();
    let softmax = |row: &[f64]| {
        let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exp: Vec<f64> = row.iter().map(|logit| (logit - greatest).exp()).collect();
        let sum: f64 = exp.iter().sum();
        exp.into_iter().map(|it| it / sum).collect()
    };
    Ok(values.chunks(n_classes).map(softmax).collect())
}
