//! Baselines: bag of words with logistic regression, and the most frequent class.
//!
//! Words weighted by tf-idf in rows of length one, as by scikit-learn's `TfidfVectorizer`, and multinomial logistic regression
//! with the penalty of its `LogisticRegression(C=1)`, by the library linfa. Pairs of words made it worse on intents and reviews.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use burnformer_data::labelled::LabelledTexts;
use burnformer_reports::Baseline;
use burnformer_tasks::metrics::{ConfusionMatrix, majority};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_logistic::{MultiFittedLogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2};

use crate::class_scores;

/// The most features, chosen by how often they occur.
const MAX_FEATURES: usize = 4_096;
/// The most numbers in the matrix of all texts, which is not sparse: 1.2 GB. More texts get fewer features, as do more
/// classes.
const MAX_CELLS: usize = 300_000_000;

/// Why the baseline cannot be trained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// Different numbers of texts and labels.
    #[error("the baseline got {texts} texts and {labels} labels")]
    Lengths {
        /// How many texts there are.
        texts: usize,
        /// How many labels there are.
        labels: usize,
    },
    /// A label outside the classes.
    #[error("the baseline got the label `{label}`, expected one below {n_classes}")]
    Label {
        /// The label.
        label: usize,
        /// How many classes there are.
        n_classes: usize,
    },
    /// Fewer than two classes.
    #[error("the baseline needs examples of two classes or more, found {found}")]
    Classes {
        /// How many classes have examples.
        found: usize,
    },
    /// More texts and classes than memory has room for.
    #[error(
        "the baseline takes memory for each of {texts} texts and {classes} classes, expected at most {most} of both \
         multiplied: run without the baseline"
    )]
    Size {
        /// How many texts there are.
        texts: usize,
        /// How many classes there are.
        classes: usize,
        /// Largest product of both.
        most: usize,
    },
    /// Texts without words.
    #[error("the baseline found no word in {texts} texts, expected letters or digits")]
    NoWords {
        /// How many texts there are.
        texts: usize,
    },
    /// The search for the weights fails.
    #[error("cannot train the baseline")]
    Fit(#[from] linfa_logistic::error::Error),
}

/// Refuses what memory has no room for: the search for the weights keeps a matrix of texts and classes four times.
///
/// # Errors
/// [`BaselineError::Size`].
pub(crate) fn check_size(texts: usize, classes: usize) -> Result<(), BaselineError> {
    let most = MAX_CELLS / 4;
    if texts.saturating_mul(classes) <= most { Ok(()) } else { Err(BaselineError::Size { texts, classes, most }) }
}

/// Predictions of the baselines for `test`: the most frequent class and a bag of words, both trained on `train`.
pub(crate) fn measured(
    train_texts: &LabelledTexts,
    test: &LabelledTexts,
    seed: u64,
) -> Result<Vec<Baseline>, BaselineError> {
    let labels = &train_texts.labels;
    let words = |texts: &LabelledTexts| -> (Vec<String>, Vec<usize>) {
        let whole = |text: &str, pair: Option<&str>| pair.map_or(text.to_owned(), |pair| format!("{text} {pair}"));
        texts.examples.iter().map(|it| (whole(&it.text, it.pair.as_deref()), it.label as usize)).unzip()
    };
    let counts = |truths: &[usize]| {
        let mut counts = vec![0_u64; labels.len()];
        truths.iter().for_each(|&truth| counts[truth] += 1);
        counts
    };
    let ((texts, truths), (test_texts, test_truths)) = (words(train_texts), words(test));
    let bag = train(&texts, &truths, labels.len())?;
    let mut confusion = ConfusionMatrix::new(labels.len());
    test_truths.iter().zip(bag.predict(&test_texts)).for_each(|(&truth, answer)| confusion.add(truth, answer));
    let row = |name: &str, confusion: &ConfusionMatrix| Baseline {
        name: name.to_owned(),
        scores: class_scores::of_confusion(confusion, None, labels, seed),
    };
    Ok(vec![row("majority class", &majority(&counts(&truths), &counts(&test_truths))), row("bag of words", &confusion)])
}

/// A trained baseline.
struct BagOfWords {
    features: Features,
    model: MultiFittedLogisticRegression<f32, usize>,
}

/// Trains on texts and their classes below `n_classes`; a class without examples is never predicted.
///
/// # Errors
/// If there are fewer than two classes among the examples, or no word in them.
fn train(texts: &[String], labels: &[usize], n_classes: usize) -> Result<BagOfWords, BaselineError> {
    if texts.len() != labels.len() {
        return Err(BaselineError::Lengths { texts: texts.len(), labels: labels.len() });
    }
    if let Some(&label) = labels.iter().find(|&&label| label >= n_classes) {
        return Err(BaselineError::Label { label, n_classes });
    }
    let n_found = labels.iter().collect::<BTreeSet<_>>().len();
    if n_found < 2 {
        return Err(BaselineError::Classes { found: n_found });
    }

    check_size(texts.len(), n_classes)?;
    // The search keeps the weights of the last ten steps, and their changes.
    let of_weights = MAX_CELLS / (24 * n_classes);
    let features = Features::choose(texts, MAX_FEATURES.min(MAX_CELLS / texts.len()).min(of_weights).max(1));
    if features.of.is_empty() {
        return Err(BaselineError::NoWords { texts: texts.len() });
    }
    let mut matrix = Array2::<f32>::zeros((texts.len(), features.of.len()));
    for (text, mut row) in texts.iter().zip(matrix.rows_mut()) {
        for (feature, weight) in features.weights(text) {
            row[feature] = weight;
        }
    }

    // Two classes have one column of weights in scikit-learn and two of opposite sign here, whose squares add up to half.
    let alpha = if n_found == 2 { 2.0 } else { 1.0 };
    let model = MultiLogisticRegression::default()
        .alpha(alpha)
        .max_iterations(100)
        // Of the sum over all texts. In single precision a closer search would find only rounding.
        .gradient_tolerance(1e-3 * texts.len() as f32)
        .fit(&DatasetBase::new(matrix, Array1::from(labels.to_vec())))?;
    Ok(BagOfWords { features, model })
}

impl BagOfWords {
    /// The most probable class of each text.
    fn predict(&self, texts: &[String]) -> Vec<usize> {
        texts.iter().map(|text| self.predict_one(text)).collect()
    }

    fn predict_one(&self, text: &str) -> usize {
        let mut scores = self.model.intercept().clone();
        for (feature, weight) in self.features.weights(text) {
            scores.scaled_add(weight, &self.model.params().row(feature));
        }
        let best = scores.iter().zip(self.model.classes()).max_by(|(a, _), (b, _)| a.total_cmp(b));
        *best.expect("training refuses fewer than two classes").1
    }
}

/// The words that count, with their column and inverse document frequency.
struct Features {
    of: HashMap<String, (usize, f32)>,
}

impl Features {
    /// The `max_features` most frequent ones; of equally frequent ones the first in the order of their characters.
    fn choose(texts: &[String], max_features: usize) -> Self {
        // Occurrences, texts with it, and the last of those.
        let mut counts: HashMap<String, (u64, u64, usize)> = HashMap::new();
        for (index, text) in texts.iter().enumerate() {
            for word in words(text) {
                let (occurrences, n_texts, last) = counts.entry(word).or_insert((0, 0, usize::MAX));
                *occurrences += 1;
                *n_texts += u64::from(*last != index);
                *last = index;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by(|(a, (n_a, ..)), (b, (n_b, ..))| n_b.cmp(n_a).then_with(|| a.cmp(b)));
        counts.truncate(max_features);

        let idf = |n_texts: u64| ((1 + texts.len()) as f64 / (1 + n_texts) as f64).ln() + 1.0;
        let of = counts.into_iter().enumerate().map(|(column, (word, (_, n, _)))| (word, (column, idf(n) as f32)));
        Self { of: of.collect() }
    }

    /// The columns of a text that are not zero, and their values: a row of length one, or nothing.
    fn weights(&self, text: &str) -> BTreeMap<usize, f32> {
        // Ordered, so that sums are the same in every run.
        let mut weights = BTreeMap::new();
        for &(column, idf) in words(text).iter().filter_map(|word| self.of.get(word)) {
            *weights.entry(column).or_insert(0.0) += idf;
        }
        let length = weights.values().map(|weight| weight * weight).sum::<f32>().sqrt();
        weights.values_mut().for_each(|weight| *weight /= length);
        weights
    }
}

/// Lower-cased runs of letters and digits. Chinese has no spaces: an ideograph is a word of its own, and with the one in front
/// of it another.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut previous = None;
    for c in text.to_lowercase().chars() {
        let ideograph = is_ideograph(c).then_some(c);
        if c.is_alphanumeric() && ideograph.is_none() {
            word.push(c);
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if let Some(c) = ideograph {
            words.push(c.into());
            words.extend(previous.map(|previous| [previous, c].iter().collect()));
        }
        previous = ideograph;
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn toy() -> (Vec<String>, Vec<usize>) {
        let texts = ["A good film!", "good, GOOD fun", "a bad film", "bad; so bad", "so-so it is", "so-so, it was"];
        (strings(&texts), vec![0, 0, 2, 2, 3, 3])
    }

    #[test]
    fn classes_that_words_tell_apart_are_found() {
        let (texts, labels) = toy();
        let baseline = train(&texts, &labels, 5).unwrap();
        assert_eq!(baseline.predict(&texts), labels);
        assert_eq!(baseline.predict(&strings(&["Bad.", "good things", "it"])), [2, 0, 3]);
        assert!(baseline.predict(&[]).is_empty());
    }

    #[test]
    fn a_text_without_a_known_word_gets_the_most_frequent_class() {
        let (mut texts, mut labels) = toy();
        texts.extend(strings(&["dull", "dull thing", "a dull film"]));
        labels.extend([4, 4, 4]);
        assert_eq!(train(&texts, &labels, 5).unwrap().predict(&strings(&["unknown", "", "!?"])), [4, 4, 4]);
    }

    #[test]
    fn ideographs_are_words() {
        assert_eq!(
            words("Das BERT-Modell: 很好吃x 2!"),
            ["das", "bert", "modell", "很", "好", "很好", "吃", "好吃", "x", "2"]
        );
        let texts = strings(&["这个很好吃", "味道好", "房间不好", "服务不行"]);
        let baseline = train(&texts, &[1, 1, 0, 0], 2).unwrap();
        assert_eq!(baseline.predict(&strings(&["吃饭好", "不去"])), [1, 0]);
    }

    /// `TfidfVectorizer(token_pattern=r"\w+")` of scikit-learn 1.9.1 on these texts.
    #[test]
    fn weights_are_those_of_scikit_learn() {
        let texts = strings(&["the cat sat", "The cat and the dog", "a dog"]);
        let features = Features::choose(&texts, 100);
        let weights = features.weights(&texts[1]);
        let expected = [("and", 0.4729628), ("cat", 0.3597004), ("dog", 0.3597004), ("the", 0.7194008)];
        assert_eq!(weights.len(), expected.len());
        for (word, expected) in expected {
            let weight = weights[&features.of[word].0];
            assert!((weight - expected).abs() < 1e-6, "{word}: {weight}, expected {expected}");
        }
    }

    #[test]
    fn the_most_frequent_words_are_kept() {
        let features = Features::choose(&strings(&["b a c a", "c d", "e"]), 3);
        let mut found: Vec<_> = features.of.iter().map(|(word, (column, _))| (*column, word.as_str())).collect();
        found.sort();
        assert_eq!(found, [(0, "a"), (1, "c"), (2, "b")]);
    }

    #[test]
    fn more_texts_and_classes_than_fit_into_memory_are_refused() {
        assert!(check_size(20_000, 100).is_ok());
        let error = check_size(20_000, 10_000).unwrap_err().to_string();
        assert!(error.ends_with("at most 75000000 of both multiplied: run without the baseline"), "{error}");
        assert!(check_size(usize::MAX, 2).is_err());
    }

    #[test]
    fn what_cannot_be_learned_from_is_an_error() {
        let (texts, labels) = toy();
        let message = |texts: &[String], labels: &[usize]| train(texts, labels, 4).err().unwrap().to_string();
        assert_eq!(message(&texts, &[1; 6]), "the baseline needs examples of two classes or more, found 1");
        assert_eq!(message(&[], &[]), "the baseline needs examples of two classes or more, found 0");
        assert_eq!(message(&texts, &labels[1..]), "the baseline got 6 texts and 5 labels");
        assert_eq!(message(&texts, &[0, 1, 2, 3, 4, 0]), "the baseline got the label `4`, expected one below 4");
        let no_words = strings(&["!", ""]);
        assert_eq!(message(&no_words, &[0, 1]), "the baseline found no word in 2 texts, expected letters or digits");
    }
}
