//! Masking of tokens.

use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::random::{Key, Purpose, Stream};
use serde::{Deserialize, Serialize};

use super::SamplesError;
use crate::tokenizer::Tokenizer;

/// Settings of [`Masking`], by default those of BERT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskingConfig {
    /// Share of the tokens to be predicted, in `(0, 1]`.
    pub mlm_probability: f64,
    /// Share of the chosen tokens that are replaced by the mask token, in `[0, 1]`.
    pub mask_share: f64,
    /// Share of the chosen tokens that are replaced by a random token; the rest stay unchanged.
    pub random_share: f64,
    /// `true` chooses whole words instead of single tokens.
    pub whole_word_mask: bool,
}

impl Default for MaskingConfig {
    fn default() -> Self {
        Self { mlm_probability: 0.15, mask_share: 0.8, random_share: 0.1, whole_word_mask: false }
    }
}

impl Validate for MaskingConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let Self { mlm_probability, mask_share, random_share, .. } = self;
        let within = |value: f64, top: f64| (0.0..=top).contains(&value);
        let share = *mlm_probability > 0.0 && within(*mlm_probability, 1.0);
        ConfigError::check("mlm_probability", mlm_probability, share, "a value in (0, 1]")?;
        ConfigError::check("mask_share", mask_share, within(*mask_share, 1.0), "a value in [0, 1]")?;
        let share = within(*random_share, 1.0 - mask_share);
        ConfigError::check("random_share", random_share, share, "a value in [0, 1 - mask_share]")
    }
}

/// Masks tokens of a sequence, as a function of the sample number.
///
/// A share of the tokens of the text is chosen (rounded, at least one); each of these is replaced by the mask token or
/// by a random one, or kept. Special tokens are neither chosen nor drawn; a text of unknown words only is not masked.
///
/// Source: Devlin et al. 2019, "BERT", section 3.1 and appendix A.1; whole words as in the code published with it,
/// where a word that would exceed the number of predictions is passed over. That code counts the share of all tokens,
/// special ones included, and lets random replacements be special tokens.
#[derive(Clone, Debug)]
pub struct Masking {
    config: MaskingConfig,
    key: Key,
    mask_id: u32,
    /// Tokens that are never drawn, in ascending order.
    special_ids: Vec<u32>,
    /// By id: whether the token may be chosen, and whether it begins a word.
    ordinary: Vec<bool>,
    starts_word: Vec<bool>,
}

/// The masked tokens of a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masked {
    /// Positions in the sequence, in order.
    pub positions: Vec<u32>,
    /// Original tokens.
    pub labels: Vec<u32>,
}

impl Masking {
    /// Masking with the tokens of `tokenizer`.
    ///
    /// # Errors
    /// If it has no mask token, or nothing but special tokens.
    ///
    /// # Panics
    /// If the settings are invalid: a value built in code is the caller's responsibility.
    pub fn new(config: &MaskingConfig, tokenizer: &Tokenizer, seed: u64) -> Result<Self, SamplesError> {
        if let Err(error) = config.validate() {
            panic!("{error}");
        }
        let mask_id = tokenizer.specials().mask_id.ok_or(SamplesError::NoToken { role: "mask" })?;
        let vocab_size = tokenizer.vocab_size();
        let special_ids = tokenizer.special_ids().to_vec();
        let mut ordinary = vec![true; vocab_size];
        for &id in &special_ids {
            ordinary[id as usize] = false;
        }
        if special_ids.len() == vocab_size {
            return Err(SamplesError::NoToken { role: "ordinary" });
        }
        let starts_word = (0..vocab_size as u32).map(|id| tokenizer.starts_word(id)).collect();
        let key = Key::new(seed, Purpose::Mask, "");
        Ok(Self { config: config.clone(), key, mask_id, special_ids, ordinary, starts_word })
    }

    /// Masks tokens of sample `number`.
    pub fn mask(&self, number: u64, ids: &mut [u32]) -> Masked {
        let mut stream = Stream::new(self.key, number);
        let mut chosen = self.choose(ids, &mut stream);
        chosen.sort_unstable();
        let mut labels = Vec::with_capacity(chosen.len());
        for &position in &chosen {
            let id = &mut ids[position as usize];
            labels.push(*id);
            let draw = stream.uniform();
            if draw < self.config.mask_share {
                *id = self.mask_id;
            } else if draw < self.config.mask_share + self.config.random_share {
                *id = self.random_token(&mut stream);
            }
        }
        Masked { positions: chosen, labels }
    }

    /// `false` for special tokens, and for those of another vocabulary: the second texts of pairs may have their own.
    fn is_ordinary(&self, id: u32) -> bool {
        self.ordinary.get(id as usize).copied().unwrap_or(false)
    }

    fn choose(&self, ids: &[u32], stream: &mut Stream) -> Vec<u32> {
        let mut candidates: Vec<u32> =
            (0_u32..).zip(ids).filter(|(_, id)| self.is_ordinary(**id)).map(|(position, _)| position).collect();
        if candidates.is_empty() {
            return candidates;
        }
        let n_masked = ((candidates.len() as f64 * self.config.mlm_probability).round() as usize).max(1);
        if self.config.whole_word_mask {
            return self.choose_words(ids, &candidates, n_masked, stream);
        }
        for drawn in 0..n_masked {
            let other = drawn + stream.below((candidates.len() - drawn) as u64) as usize;
            candidates.swap(drawn, other);
        }
        candidates.truncate(n_masked);
        candidates
    }

    fn choose_words(&self, ids: &[u32], candidates: &[u32], n_masked: usize, stream: &mut Stream) -> Vec<u32> {
        // Tokens that follow each other in the sequence and do not begin a word belong to the word before.
        let mut words: Vec<&[u32]> = candidates
            .chunk_by(|&before, &position| position == before + 1 && !self.starts_word[ids[position as usize] as usize])
            .collect();
        let mut chosen = Vec::with_capacity(n_masked);
        for drawn in 0..words.len() {
            let other = drawn + stream.below((words.len() - drawn) as u64) as usize;
            words.swap(drawn, other);
            if chosen.len() + words[drawn].len() <= n_masked {
                chosen.extend_from_slice(words[drawn]);
            }
            if chosen.len() == n_masked {
                break;
            }
        }
        if chosen.is_empty() {
            // Every word is longer than the share: one of them, rather than nothing to learn.
            chosen.extend_from_slice(words[0]);
        }
        chosen
    }

    /// A random token that is not special, uniformly distributed.
    fn random_token(&self, stream: &mut Stream) -> u32 {
        let mut id = stream.below((self.ordinary.len() - self.special_ids.len()) as u64) as u32;
        for &special in &self.special_ids {
            id += u32::from(special <= id);
        }
        id
    }
}
