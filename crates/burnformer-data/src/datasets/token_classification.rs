//! Samples for token classification: sentences of words, with the label of each word on its first token.

use rayon::prelude::*;

use super::order::Order;
use super::{Dataset, Sample, SamplesError};
use crate::DataError;
use crate::tagged::{TaggedExample, TaggedTexts};
use crate::tokenizer::{Tokenizer, TokenizerError};

/// A sentence with labels: `[CLS] words [SEP]`. The label of a word is on its first token. The other tokens of a word
/// have none, or one that is in the loss alone; special tokens have none.
///
/// Source: Devlin et al. 2019, section 5.3, and `run_ner.py` of transformers, where what is ignored has the label -100; with its
/// `label_all_tokens` it also measures the further tokens, which is not done here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClassificationSample {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Positions of the first tokens of words, in ascending order.
    pub positions: Vec<u32>,
    /// Label index at each of `positions`.
    pub labels: Vec<u32>,
    /// Positions and label indices of further tokens of words, in ascending order of positions; empty unless they are labelled.
    pub further: Vec<(u32, u32)>,
}

/// Words of a sentence that have no label in its sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LostWords {
    /// Number of words that were truncated.
    pub cut_off: usize,
    /// Number of words without tokens, such as control characters.
    pub empty: usize,
}

impl TokenClassificationSample {
    /// Tokenises a sentence, truncated to `max_seq_length` tokens; the truncated words
    /// are counted. With `further`, the label of each tag on the further tokens of its word, these are labelled too.
    ///
    /// # Errors
    /// If the special tokens alone fill the length, or the tokenizer refuses a word.
    pub fn encode(
        example: &TaggedExample,
        tokenizer: &Tokenizer,
        max_seq_length: usize,
        further: Option<&FurtherLabels>,
    ) -> Result<(Self, LostWords), TokenizerError> {
        let words: Vec<&str> = example.words.iter().map(String::as_str).collect();
        let (encoded, alignment) = tokenizer.encode_words(&words, Some(max_seq_length))?;
        let (mut positions, mut labels, mut others, mut last) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (position, word) in (0..).zip(alignment.word_ids) {
            let Some(word) = word else { continue };
            let tag = example.tags[word as usize];
            if Some(word) != last {
                positions.push(position);
                labels.push(tag);
                last = Some(word);
            } else if let Some(FurtherLabels(label_of)) = further {
                others.push((position, label_of[tag as usize]));
            }
        }
        // Words behind the last one with a token were cut off, if any token was.
        let end = last.map_or(0, |word| word as usize + 1);
        let cut_off = if alignment.n_cut_off > 0 { words.len() - end } else { 0 };
        let lost = LostWords { cut_off, empty: words.len() - labels.len() - cut_off };
        Ok((Self { ids: encoded.ids, positions, labels, further: others }, lost))
    }
}

/// Labels of the further tokens of words, by the label of the first: that of `I-X` for `B-X` where there is one, else the same.
///
/// Source: `label_all_tokens` in `run_ner.py` of transformers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FurtherLabels(Vec<u32>);

impl FurtherLabels {
    /// Those of tags with these names.
    #[must_use]
    pub fn of(labels: &[String]) -> Self {
        let inside = |label: &String| {
            let wanted = format!("I-{}", label.strip_prefix("B-")?);
            labels.iter().zip(0..).find(|(other, _)| **other == wanted).map(|(_, number)| number)
        };
        Self(labels.iter().zip(0..).map(|(label, number)| inside(label).unwrap_or(number)).collect())
    }
}

impl Sample for TokenClassificationSample {
    fn length(&self) -> usize {
        self.ids.len()
    }
}

/// [`TokenClassificationSample`]s in memory, shuffled in each epoch.
#[derive(Clone, Debug)]
pub struct TokenClassificationDataset {
    samples: Vec<TokenClassificationSample>,
    order: Order,
    lost: LostWords,
    n_cut: u64,
}

impl TokenClassificationDataset {
    /// Tokenises `texts` on all cores. Sentences without a labelled word (no word has tokens) are
    /// left out.
    ///
    /// # Errors
    /// If there are none, or as [`TokenClassificationSample::encode`].
    pub fn new(
        texts: &TaggedTexts,
        tokenizer: &Tokenizer,
        max_seq_length: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        Self::with_further_labels(texts, tokenizer, max_seq_length, None, seed)
    }

    /// [`Self::new`] with labels on the further tokens of words too, if `further` says which.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_further_labels(
        texts: &TaggedTexts,
        tokenizer: &Tokenizer,
        max_seq_length: usize,
        further: Option<&FurtherLabels>,
        seed: u64,
    ) -> Result<Self, DataError> {
        let encode =
            |example: &TaggedExample| TokenClassificationSample::encode(example, tokenizer, max_seq_length, further);
        let encoded = texts.examples.par_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let (mut samples, mut lost) = (Vec::with_capacity(encoded.len()), LostWords::default());
        let mut n_cut = 0;
        for (sample, LostWords { cut_off, empty }) in encoded {
            n_cut += u64::from(cut_off > 0);
            lost.cut_off += cut_off;
            lost.empty += empty;
            if !sample.labels.is_empty() {
                samples.push(sample);
            }
        }
        if samples.is_empty() {
            let n_documents = texts.examples.len();
            return Err(SamplesError::None { n_documents, reason: "a word with a token and a tag" }.into());
        }
        let order = Order::new(seed, samples.len() as u64);
        Ok(Self { samples, order, lost, n_cut })
    }

    /// Number of sentences of which words were truncated.
    #[must_use]
    pub fn n_cut(&self) -> u64 {
        self.n_cut
    }

    /// The words that have no label in any sample.
    #[must_use]
    pub fn lost_words(&self) -> LostWords {
        self.lost
    }
}

impl Dataset for TokenClassificationDataset {
    type Sample = TokenClassificationSample;

    fn per_epoch(&self) -> u64 {
        self.order.len()
    }

    fn sample(&self, number: u64) -> Result<TokenClassificationSample, DataError> {
        Ok(self.samples[self.order.at(number) as usize].clone())
    }

    fn length(&self, number: u64) -> Result<usize, DataError> {
        Ok(self.samples[self.order.at(number) as usize].length())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tokenizer;

    /// Words as they stand in `text`, each with its number as its tag.
    fn example(text: &str) -> TaggedExample {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let tags = (0..words.len() as u32).collect();
        TaggedExample { words, tags }
    }

    fn encode(text: &str, max_seq_length: usize) -> (TokenClassificationSample, LostWords) {
        TokenClassificationSample::encode(&example(text), &tokenizer(4), max_seq_length, None).unwrap()
    }

    #[test]
    fn the_first_token_of_a_word_has_its_label() {
        // `t0`, `##s`, and a word of two that the tokenizer cuts at its punctuation.
        let (sample, lost) = encode("t0s t1 t2-t3 t2", 20);
        assert_eq!(sample.ids, [2, 5, 9, 6, 7, 1, 8, 7, 3]);
        assert_eq!(sample.positions, [1, 3, 4, 7]);
        assert_eq!(sample.labels, [0, 1, 2, 3]);
        assert_eq!(lost, LostWords::default());
    }

    #[test]
    fn further_tokens_have_the_label_of_the_inside() {
        let labels = ["O", "B-X", "I-X", "B-Y"].map(str::to_owned);
        let further = FurtherLabels::of(&labels);
        assert_eq!(further, FurtherLabels(vec![0, 2, 2, 3]));
        let example =
            TaggedExample { words: ["t0s", "t1s", "t2", "t3s"].map(str::to_owned).into(), tags: vec![0, 1, 2, 3] };
        let (sample, _) = TokenClassificationSample::encode(&example, &tokenizer(4), 20, Some(&further)).unwrap();
        assert_eq!((sample.positions, sample.labels), (vec![1, 3, 5, 6], vec![0, 1, 2, 3]));
        assert_eq!(sample.further, [(2, 0), (4, 2), (7, 3)]);
    }

    #[test]
    fn words_that_are_cut_off_or_leave_nothing_are_counted() {
        let (sample, lost) = encode("t0s \u{7} t1 t2s t3", 6);
        // The second token of `t2s` and all of `t3` do not fit.
        assert_eq!(sample.ids, [2, 5, 9, 6, 7, 3]);
        assert_eq!((sample.positions, sample.labels), (vec![1, 3, 4], vec![0, 2, 3]));
        assert_eq!(lost, LostWords { cut_off: 1, empty: 1 });
        assert_eq!(encode("t0 \u{7}", 9).1, LostWords { cut_off: 0, empty: 1 });
    }

    #[test]
    fn a_sentence_without_tokens_is_left_out() {
        let texts = |examples: Vec<TaggedExample>| TaggedTexts { examples, ..TaggedTexts::default() };
        let new = |examples| TokenClassificationDataset::new(&texts(examples), &tokenizer(4), 8, 1);
        let dataset = new(vec![example("t1 t2"), example("\u{7} \u{7}"), example("t3")]).unwrap();
        assert_eq!((dataset.per_epoch(), dataset.lost_words()), (2, LostWords { cut_off: 0, empty: 2 }));
        assert_eq!(new(vec![example("t1"), example("t1 t2 t3 t0 t1 t2 t3 t0")]).unwrap().n_cut(), 1);
        let error = new(vec![example("\u{7}")]).unwrap_err().to_string();
        assert_eq!(error, "none of 1 documents gives a sample: each lacks a word with a token and a tag");
    }
}
