//! Samples for text embeddings: pairs of texts, each text by itself.

use rayon::prelude::*;

use super::order::Order;
use super::{Dataset, Sample, SamplesError};
use crate::DataError;
use crate::content::hash;
use crate::paired::{PairedExample, PairedTexts};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// Two texts and any number of negatives, each as `[CLS] A [SEP]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedSample {
    /// Tokens of the first text.
    pub text: Vec<u32>,
    /// Tokens of the second text.
    pub pair: Vec<u32>,
    /// Tokens of the texts that do not go together with the first one.
    pub negatives: Vec<Vec<u32>>,
    /// How similar the two texts are.
    pub score: Option<f32>,
    /// Hashes of all texts, if no batch may have one of them twice.
    pub keys: Vec<u64>,
}

impl Sample for PairedSample {
    const HAS_KEYS: bool = true;

    fn length(&self) -> usize {
        [&self.text, &self.pair].into_iter().chain(&self.negatives).map(Vec::len).max().unwrap_or(0)
    }

    fn keys(&self) -> &[u64] {
        &self.keys
    }
}

/// [`PairedSample`]s in memory, shuffled in each epoch.
#[derive(Clone, Debug)]
pub struct PairedDataset {
    samples: Vec<PairedSample>,
    order: Order,
    n_cut: u64,
    n_rows_cut: u64,
}

/// Settings of [`PairedDataset`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairedConfig {
    /// Maximum length of each text in tokens; longer texts are truncated.
    pub max_seq_length: usize,
    /// `true` keeps samples with a text in common out of one batch, where the text of one would be a negative of the other.
    pub distinct_in_batch: bool,
    /// What stands in front of first texts, and in front of second texts and negatives.
    pub prompts: [String; 2],
}

impl PairedDataset {
    /// Tokenises `texts` on all cores.
    ///
    /// # Errors
    /// If there are none, the special tokens alone fill the length, or the tokenizer refuses a text.
    pub fn new(
        texts: &PairedTexts,
        tokenizer: &Tokenizer,
        config: &PairedConfig,
        seed: u64,
    ) -> Result<Self, DataError> {
        let [first_prompt, prompt] = &config.prompts;
        let encode = |example: &PairedExample| -> Result<(PairedSample, u64), TokenizerError> {
            let mut n_cut = 0;
            let mut ids = |prompt: &String, text: &String| -> Result<Vec<u32>, TokenizerError> {
                let text = format!("{prompt}{text}");
                let encoded = tokenizer.encode_with_specials(&text, None, Some(config.max_seq_length))?;
                n_cut += u64::from(encoded.is_cut);
                Ok(encoded.ids)
            };
            let (text, pair) = (ids(first_prompt, &example.text)?, ids(prompt, &example.pair)?);
            let negatives = example.negatives.iter().map(|text| ids(prompt, text)).collect::<Result<_, _>>()?;
            let all = || [&example.text, &example.pair].into_iter().chain(&example.negatives);
            let keys = if config.distinct_in_batch { all().map(|text| hash(text)).collect() } else { Vec::new() };
            Ok((PairedSample { text, pair, negatives, score: example.score, keys }, n_cut))
        };
        let samples = texts.examples.par_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let (samples, n_cut): (Vec<_>, Vec<u64>) = samples.into_iter().unzip();
        if samples.is_empty() {
            return Err(SamplesError::None { n_documents: 0, reason: "a pair of texts" }.into());
        }
        let order = Order::new(seed, samples.len() as u64);
        let n_rows_cut = n_cut.iter().filter(|&&n| n > 0).count() as u64;
        Ok(Self { samples, order, n_cut: n_cut.into_iter().sum(), n_rows_cut })
    }

    /// Number of texts that were truncated, of first and second texts and negatives.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        self.n_cut
    }

    /// Number of pairs of which a text was truncated.
    #[must_use]
    pub fn n_rows_cut(&self) -> u64 {
        self.n_rows_cut
    }

    /// Number of first and second texts and negatives.
    #[must_use]
    pub fn n_texts(&self) -> u64 {
        self.samples.iter().map(|sample| 2 + sample.negatives.len() as u64).sum()
    }
}

impl Dataset for PairedDataset {
    type Sample = PairedSample;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<PairedSample, DataError> {
        Ok(self.samples[self.order.at(number) as usize].clone())
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        Ok(self.samples[self.order.at(number) as usize].length())
    }

    fn keys(&self, number: u64) -> Result<Vec<u64>, DataError> {
        Ok(self.samples[self.order.at(number) as usize].keys.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    #[test]
    fn each_text_is_a_sequence_of_its_own() {
        let example = |text: &str, pair: &str| PairedExample {
            text: text.to_owned(),
            pair: pair.to_owned(),
            negatives: vec!["t2".to_owned(), "t3 t3 t3 t3".to_owned()],
            score: Some(0.5),
        };
        let texts = PairedTexts { examples: vec![example("t0", "t1 t1")] };
        let config =
            |distinct_in_batch| PairedConfig { max_seq_length: 5, distinct_in_batch, prompts: Default::default() };
        let samples = |distinct| PairedDataset::new(&texts, &tokenizer(4), &config(distinct), 1).unwrap();
        let sample = samples(false).sample(3).unwrap();
        assert_eq!((sample.text, sample.pair), (vec![2, 5, 3], vec![2, 6, 6, 3]));
        assert_eq!(sample.negatives, [vec![2, 7, 3], vec![2, 8, 8, 8, 3]]);
        assert_eq!((samples(false).n_cut(), samples(false).n_texts(), samples(false).length(0).unwrap()), (1, 4, 5));
        assert!(sample.keys.is_empty() && samples(false).n_rows_cut() == 1);
        assert_eq!(samples(true).sample(0).unwrap().keys, ["t0", "t1 t1", "t2", "t3 t3 t3 t3"].map(hash));
        let prompts = ["t3 ".to_owned(), "t2 ".to_owned()];
        let prompted = PairedDataset::new(&texts, &tokenizer(4), &PairedConfig { prompts, ..config(true) }, 1).unwrap();
        let sample = prompted.sample(0).unwrap();
        assert_eq!((sample.text, sample.pair), (vec![2, 8, 5, 3], vec![2, 7, 6, 6, 3]));
        assert_eq!(sample.keys, ["t0", "t1 t1", "t2", "t3 t3 t3 t3"].map(hash));
        assert!(PairedDataset::new(&PairedTexts::default(), &tokenizer(1), &config(true), 1).is_err());
    }
}
