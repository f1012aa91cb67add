//! What samples promise, by property: where they come from, what is hidden, how often.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::corpus::Corpus;
use crate::testing::{Built, FIRST_WORD, all, build, numbered, record, tokenizer};
use crate::{DataError, Record};

const CLS: u32 = 2;
const SEP: u32 = 3;
const MASK: u32 = 4;

fn pretraining(built: &Built, config: &PretrainingConfig, seed: u64) -> Result<PretrainingDataset, DataError> {
    PretrainingDataset::new(Arc::clone(&built.corpus), &all(&built.corpus), &built.tokenizer, config, seed)
}

fn config(max_seq_length: usize) -> PretrainingConfig {
    PretrainingConfig { max_seq_length, ..PretrainingConfig::default() }
}

/// 40 documents of 2 to 11 sentences of 1 to 9 tokens.
fn corpus() -> Built {
    let shape: Vec<Vec<usize>> = (0..40).map(|d| (0..2 + d % 10).map(|s| 1 + (d * 7 + s * 5) % 9).collect()).collect();
    numbered(&shape)
}

/// `count` successes of `n` with probability `p`, within five standard deviations.
fn assert_binomial(count: usize, n: usize, p: f64, what: &str) {
    let (mean, deviation) = (n as f64 * p, (n as f64 * p * (1.0 - p)).sqrt());
    let off = (count as f64 - mean).abs();
    assert!(off <= 5.0 * deviation, "{what}: {count} of {n}, expected {mean:.0} ± {:.0}", 5.0 * deviation);
}

/// The sample before anything was hidden.
fn restored(sample: &PretrainingSample) -> Vec<u32> {
    let mut ids = sample.ids.clone();
    for (&position, &label) in sample.masked.positions.iter().zip(&sample.masked.labels) {
        ids[position as usize] = label;
    }
    ids
}

/// Document and place of every token of a corpus of numbered words.
fn places(corpus: &Corpus) -> HashMap<u32, (u32, usize)> {
    let of = |index| {
        let ids: Vec<u32> = {
            let document = corpus.document(index).unwrap();
            document.tokens(0..document.n_tokens()).unwrap()
        };
        ids.into_iter().enumerate().map(move |(place, id)| (id, (index, place))).collect::<Vec<_>>()
    };
    all(corpus).into_iter().flat_map(of).collect()
}

/// The document a run of tokens comes from and the place of its first one; they must follow each other there.
fn origin(places: &HashMap<u32, (u32, usize)>, ids: &[u32]) -> (u32, usize) {
    let (document, first) = places[&ids[0]];
    for (offset, id) in ids.iter().enumerate() {
        assert_eq!(places[id], (document, first + offset));
    }
    (document, first)
}

#[test]
fn a_pair_is_two_runs_of_its_documents_and_tells_the_truth() {
    let built = corpus();
    let places = places(&built.corpus);
    let samples = pretraining(&built, &config(24), 1).unwrap();
    let (mut n_next, mut n_full) = (0, 0);
    let n = 4000;
    for number in 0..n {
        let sample = samples.sample(number).unwrap();
        let ids = restored(&sample);
        assert!(ids.len() <= 24);
        let (a, b) = (&ids[1..sample.first_length - 1], &ids[sample.first_length..ids.len() - 1]);
        assert_eq!((ids[0], ids[sample.first_length - 1], ids[ids.len() - 1]), (CLS, SEP, SEP));
        assert!(!a.is_empty() && !b.is_empty());
        let ((document_a, start_a), (document_b, start_b)) = (origin(&places, a), origin(&places, b));
        if sample.is_next.unwrap() {
            n_next += 1;
            assert_eq!(document_a, document_b);
            assert!(start_b >= start_a + a.len());
        } else {
            assert_ne!(document_a, document_b, "sample {number}");
        }
        n_full += usize::from(ids.len() == 24);
    }
    assert_binomial(n_next, n as usize, 0.5, "pairs that follow each other");
    assert!(n_full > n as usize / 2, "{n_full} of {n} samples are full");
}

#[test]
fn whether_a_pair_is_real_does_not_depend_on_its_first_text() {
    // Documents of every length, among them the shortest that give pairs: nothing but B itself may give the answer away.
    let built = corpus();
    let places = places(&built.corpus);
    let samples = pretraining(&built, &config(24), 2).unwrap();
    let mut counts: HashMap<u32, [usize; 2]> = HashMap::new();
    for number in 0..12_000 {
        let sample = samples.sample(number).unwrap();
        let (document, _) = places[&restored(&sample)[1]];
        counts.entry(document).or_default()[usize::from(sample.is_next.unwrap())] += 1;
    }
    assert_eq!(counts.len(), 40);
    for (document, [random, next]) in counts {
        assert_binomial(next, random + next, 0.5, &format!("real pairs from document {document}"));
    }
}

#[test]
fn the_other_document_is_any_other_with_equal_probability() {
    let built = numbered(&vec![vec![4, 4]; 5]);
    let places = places(&built.corpus);
    let samples = pretraining(&built, &config(24), 3).unwrap();
    let mut counts = [[0_usize; 5]; 5];
    for number in 0..10_000 {
        let sample = samples.sample(number).unwrap();
        let ids = restored(&sample);
        let (a, b) = (places[&ids[1]].0, places[&ids[sample.first_length]].0);
        counts[a as usize][b as usize] += 1;
    }
    for (a, row) in counts.iter().enumerate() {
        let random: usize = row.iter().sum::<usize>() - row[a];
        for (b, &count) in row.iter().enumerate().filter(|(b, _)| *b != a) {
            assert_binomial(count, random, 0.25, &format!("document {b} beside {a}"));
        }
    }
}

#[test]
fn an_epoch_reads_the_whole_corpus() {
    let built = corpus();
    let single = PretrainingConfig { next_sentence: false, short_seq_probability: 0.0, ..config(20) };
    let samples = pretraining(&built, &single, 4).unwrap();
    let mut seen: HashMap<u32, usize> = HashMap::new();
    for number in 0..samples.per_epoch() {
        let sample = samples.sample(number).unwrap();
        assert_eq!(sample.is_next, None);
        assert_eq!(sample.first_length, sample.ids.len());
        for id in restored(&sample) {
            *seen.entry(id).or_default() += 1;
        }
    }
    let n_words = (seen.len() - 2) as u64;
    assert_eq!(n_words, built.corpus.manifest().counts().tokens);
}

#[test]
fn short_sequences_come_as_often_as_asked() {
    // One long document beside another: only the draw makes a sequence short.
    let built = numbered(&[vec![1; 3000], vec![1; 3000]]);
    let half = PretrainingConfig { short_seq_probability: 0.5, ..config(103) };
    let samples = pretraining(&built, &half, 5).unwrap();
    let n = 4000;
    let short = (0..n)
        .filter(|&number| samples.sample(number).unwrap().is_next == Some(true))
        .map(|number| samples.sample(number).unwrap().ids.len())
        .collect::<Vec<_>>();
    // A short target is uniform in [2, 100]; one in 99 of them is as long as the rest. At documents' ends some are shorter.
    let n_short = short.iter().filter(|&&length| length < 103).count();
    let expected = 0.5 * 98.0 / 99.0;
    let at_the_end = 0.04;
    let share = n_short as f64 / short.len() as f64;
    assert!((expected - 0.05..expected + at_the_end + 0.05).contains(&share), "{share}");
    let below_half = short.iter().filter(|&&length| length < 53).count();
    assert!((0.2..0.32).contains(&(below_half as f64 / short.len() as f64)));
}

#[test]
fn hidden_tokens_have_the_shares_of_the_paper() {
    let built = numbered(&[vec![1; 3000], vec![1; 3000]]);
    let samples = pretraining(&built, &config(128), 6).unwrap();
    let (mut masked, mut random, mut kept, mut text) = (0, 0, 0, 0);
    for number in 0..3000 {
        let sample = samples.sample(number).unwrap();
        let n_text = sample.ids.len() - 3;
        let n_chosen = sample.masked.positions.len();
        assert_eq!(n_chosen, ((n_text as f64 * 0.15).round() as usize).max(1));
        text += n_text;
        assert!(sample.masked.positions.is_sorted_by(|a, b| a < b));
        for (&position, &label) in sample.masked.positions.iter().zip(&sample.masked.labels) {
            assert!(label >= FIRST_WORD, "special tokens are never hidden");
            match sample.ids[position as usize] {
                MASK => masked += 1,
                id if id == label => kept += 1,
                id => {
                    assert!(id >= FIRST_WORD, "special tokens are never put in");
                    random += 1;
                }
            }
        }
    }
    let chosen = masked + random + kept;
    assert!((chosen as f64 / text as f64 - 0.15).abs() < 0.002);
    assert_binomial(masked, chosen, 0.8, "masked");
    assert_binomial(random, chosen, 0.1, "random");
    assert_binomial(kept, chosen, 0.1, "kept");
}

#[test]
fn every_place_is_hidden_equally_often_and_nothing_else_changes() {
    let tokenizer = tokenizer(200);
    let masking = Masking::new(&MaskingConfig::default(), &tokenizer, 7).unwrap();
    let text: Vec<u32> = [CLS].into_iter().chain((0..40).map(|i| FIRST_WORD + i)).chain([SEP]).collect();
    let n = 20_000;
    let mut counts = vec![0; text.len()];
    for number in 0..n {
        let mut ids = text.clone();
        let masked = masking.mask(number, &mut ids);
        for (place, (before, after)) in text.iter().zip(&ids).enumerate() {
            let chosen = masked.positions.contains(&(place as u32));
            assert!(chosen || before == after, "place {place}");
            counts[place] += usize::from(chosen);
        }
    }
    for (place, &count) in counts.iter().enumerate().skip(1).take(40) {
        assert_binomial(count, n as usize, 6.0 / 40.0, &format!("place {place}"));
    }
    assert_eq!((counts[0], counts[41]), (0, 0));
}

#[test]
fn random_tokens_are_any_ordinary_ones() {
    let tokenizer = tokenizer(10);
    let random = MaskingConfig { mask_share: 0.0, random_share: 1.0, mlm_probability: 1.0, whole_word_mask: false };
    let masking = Masking::new(&random, &tokenizer, 8).unwrap();
    let mut counts = [0_usize; 16];
    for number in 0..2000 {
        let mut ids = [FIRST_WORD; 8];
        masking.mask(number, &mut ids);
        for id in ids {
            counts[id as usize] += 1;
        }
    }
    assert_eq!(counts[..FIRST_WORD as usize], [0; 5]);
    // Ten words and the continuation.
    for (id, &count) in counts.iter().enumerate().skip(FIRST_WORD as usize) {
        assert_binomial(count, 16_000, 1.0 / 11.0, &format!("token {id}"));
    }
}

#[test]
fn words_are_hidden_whole() {
    let tokenizer = tokenizer(100);
    let continuation = FIRST_WORD + 100;
    let whole = MaskingConfig { whole_word_mask: true, ..MaskingConfig::default() };
    let masking = Masking::new(&whole, &tokenizer, 9).unwrap();
    // Words of one, two, three, … tokens: t0, t1 ##s, t2 ##s ##s.
    let mut text = vec![CLS];
    for word in 0..12 {
        text.push(FIRST_WORD + word);
        text.extend(std::iter::repeat_n(continuation, word as usize % 3));
    }
    text.push(SEP);
    for number in 0..2000 {
        let mut ids = text.clone();
        let masked = masking.mask(number, &mut ids);
        assert!((1..=4).contains(&masked.positions.len()), "{masked:?}");
        for &position in &masked.positions {
            let word = |place: u32| text[..=place as usize].iter().filter(|&&id| id != continuation).count();
            let of_same =
                (0..text.len() as u32).filter(|&place| word(place) == word(position) && text[place as usize] != SEP);
            assert!(of_same.into_iter().all(|place| masked.positions.contains(&place)), "{masked:?} in {text:?}");
        }
    }
}

#[test]
fn a_word_longer_than_the_share_is_hidden_rather_than_none() {
    let tokenizer = tokenizer(3);
    let whole = MaskingConfig { whole_word_mask: true, ..MaskingConfig::default() };
    let mut ids = [CLS, FIRST_WORD, 8, 8, 8, SEP];
    let masked = Masking::new(&whole, &tokenizer, 10).unwrap().mask(0, &mut ids);
    assert_eq!(masked.positions, [1, 2, 3, 4]);
}

#[test]
fn unknown_words_are_not_hidden() {
    let masking = Masking::new(&MaskingConfig::default(), &tokenizer(3), 11).unwrap();
    let unknown = 1;
    let mut ids = [CLS, unknown, FIRST_WORD, unknown, SEP];
    assert_eq!(masking.mask(0, &mut ids).positions, [2]);
    assert_eq!(masking.mask(0, &mut [CLS, unknown, SEP]), Masked::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn samples_are_functions_of_seed_and_number(seed: u64, number in 0_u64..1 << 40) {
        let built = corpus();
        let [one, other] = [0, 1].map(|_| pretraining(&built, &config(24), seed).unwrap());
        prop_assert_eq!(one.sample(number).unwrap(), other.sample(number).unwrap());
    }

    #[test]
    fn any_shape_of_corpus_gives_sound_samples(
        shape in prop::collection::vec(prop::collection::vec(1_usize..30, 1..6), 2..8),
        length in 5_usize..40,
        next_sentence: bool,
        whole_word_mask: bool,
        seed: u64,
    ) {
        let built = numbered(&shape);
        let masking = MaskingConfig { whole_word_mask, ..MaskingConfig::default() };
        let config = PretrainingConfig { next_sentence, masking, short_seq_probability: 0.3, ..config(length) };
        let enough = shape.iter().filter(|d| d.len() > 1).count();
        match pretraining(&built, &config, seed) {
            Err(error) => prop_assert!(next_sentence && enough < 2, "{error}"),
            Ok(samples) => for number in 0..samples.per_epoch().min(50) {
                let sample = samples.sample(number).unwrap();
                prop_assert!(sample.ids.len() <= length && sample.first_length <= sample.ids.len());
                prop_assert!(!sample.masked.positions.is_empty());
            },
        }
    }

    #[test]
    fn windows_predict_every_token_once(shape in prop::collection::vec(1_usize..50, 1..8), length in 1_usize..20, seed: u64) {
        let built = numbered(&shape.iter().map(|&n| vec![n]).collect::<Vec<_>>());
        let config = LanguageModelConfig { max_seq_length: length };
        let documents = all(&built.corpus);
        let samples =
            LanguageModelDataset::new(Arc::clone(&built.corpus), &documents, &built.tokenizer, &config, seed).unwrap();
        let places = places(&built.corpus);
        let mut predicted = Vec::new();
        for number in 0..samples.per_epoch() {
            let ids = samples.sample(number).unwrap().ids;
            prop_assert!((2..=length + 1).contains(&ids.len()));
            let words: Vec<u32> = ids.iter().copied().filter(|&id| id != CLS && id != SEP).collect();
            if !words.is_empty() {
                origin(&places, &words);
            }
            predicted.extend_from_slice(&ids[1..]);
        }
        predicted.sort_unstable();
        let n_words: usize = shape.iter().sum();
        let expected: Vec<u32> =
            std::iter::repeat_n(SEP, shape.len()).chain((0..n_words as u32).map(|word| FIRST_WORD + word)).collect();
        prop_assert_eq!(predicted, expected);
    }
}

#[test]
fn every_sample_comes_once_an_epoch_in_an_order_of_its_own() {
    let built = numbered(&vec![vec![3]; 50]);
    let config = LanguageModelConfig { max_seq_length: 10 };
    let samples =
        LanguageModelDataset::new(Arc::clone(&built.corpus), &all(&built.corpus), &built.tokenizer, &config, 1)
            .unwrap();
    let n = samples.per_epoch();
    assert_eq!(n, 50);
    let epoch =
        |epoch: u64| (epoch * n..(epoch + 1) * n).map(|i| samples.sample(i).unwrap().ids[1]).collect::<Vec<_>>();
    let (first, second) = (epoch(0), epoch(1));
    assert_ne!(first, second);
    let sorted = |mut ids: Vec<u32>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(first.clone()), sorted(second));
    assert_eq!(first.len(), sorted(first).windows(2).filter(|pair| pair[0] != pair[1]).count() + 1);
}

#[test]
fn pairs_stay_together_and_too_long_ones_are_left_out() {
    let pair = |text: &str, pair: &str| Record { pair: Some(pair.to_owned()), ..record(&[text]) };
    let built =
        build(vec![pair("t1 t2", "t3"), pair("t4", "t5 t6 t7"), pair("t8", "t9"), record(&["t1"])], tokenizer(20));
    let config = TextPairsConfig { max_seq_length: 3, max_length_ratio: None };
    let make = |documents: &[u32], config| TextPairDataset::new(Arc::clone(&built.corpus), documents, SEP, config, 1);
    let sorted = |samples: &TextPairDataset| {
        let mut pairs: Vec<_> = (0..samples.per_epoch()).map(|number| samples.sample(number).unwrap()).collect();
        pairs.sort_by_key(|pair| pair.source.clone());
        pairs
    };
    let samples = make(&all(&built.corpus), &config).unwrap();
    assert_eq!((samples.per_epoch(), samples.n_left_out()), (2, 2));
    let short = TextPair { source: vec![13, SEP], target: vec![14, SEP] };
    assert_eq!(sorted(&samples), [TextPair { source: vec![6, 7, SEP], target: vec![8, SEP] }, short.clone()]);
    let alike = TextPairsConfig { max_length_ratio: Some(1.5), ..config.clone() };
    assert_eq!(sorted(&make(&all(&built.corpus), &alike).unwrap()), [short]);
    assert_eq!(
        make(&[1], &config).unwrap_err().to_string(),
        "none of 1 documents gives a sample: each lacks two texts within `max_seq_length` and `max_length_ratio`"
    );
}

#[test]
fn a_corpus_that_gives_no_pairs_says_why() {
    let error = pretraining(&numbered(&[vec![3], vec![3]]), &config(24), 1).unwrap_err();
    assert_eq!(error.to_string(), "none of 2 documents gives a sample: each lacks two sentences");
    let error = pretraining(&numbered(&[vec![3, 3], vec![3]]), &config(24), 1).unwrap_err();
    assert!(error.to_string().contains("needs at least two documents of two sentences, found 1"), "{error}");
}

#[test]
fn settings_that_cannot_work_are_named() {
    use burnformer_core::config::Validate;

    let masking =
        |masking: MaskingConfig| PretrainingConfig { masking, ..config(24) }.validate().unwrap_err().to_string();
    let default = MaskingConfig::default;
    assert_eq!(
        masking(MaskingConfig { mlm_probability: 0.0, ..default() }),
        "`masking.mlm_probability` is 0, expected a value in (0, 1]"
    );
    assert_eq!(
        masking(MaskingConfig { random_share: 0.3, ..default() }),
        "`masking.random_share` is 0.3, expected a value in [0, 1 - mask_share]"
    );
    let error = config(4).validate().unwrap_err();
    assert_eq!(error.to_string(), "`max_seq_length` is 4, expected 5 (two tokens and three special ones) to 1048576");
}

#[test]
fn another_tokenizer_is_refused() {
    let built = corpus();
    let config = PretrainingConfig::default();
    let other = tokenizer(3);
    let error = PretrainingDataset::new(Arc::clone(&built.corpus), &[0, 1], &other, &config, 1).unwrap_err();
    assert!(error.to_string().contains("built with another tokenizer"), "{error}");
    let config = LanguageModelConfig::default();
    assert!(LanguageModelDataset::new(Arc::clone(&built.corpus), &[0], &other, &config, 1).is_err());
}

#[test]
fn lengths_are_known_without_the_samples() {
    fn check(samples: &impl Dataset) {
        for number in 0..2 * samples.per_epoch() {
            assert_eq!(samples.length(number).unwrap(), samples.sample(number).unwrap().length(), "sample {number}");
        }
    }
    let built = corpus();
    let config = LanguageModelConfig { max_seq_length: 7 };
    let (corpus, documents) = (&built.corpus, all(&built.corpus));
    check(&LanguageModelDataset::new(Arc::clone(corpus), &documents, &built.tokenizer, &config, 1).unwrap());
    for next_sentence in [true, false] {
        let config = PretrainingConfig { next_sentence, short_seq_probability: 0.3, ..self::config(24) };
        check(&pretraining(&built, &config, 1).unwrap());
    }

    let pair = |i: usize| Record { pair: Some("t1 ".repeat(1 + i * 3 % 7)), ..record(&["t0 ".repeat(1 + i % 5)]) };
    let built = build((0..20).map(pair).collect(), tokenizer(2));
    let documents = all(&built.corpus);
    check(&TextPairDataset::new(Arc::clone(&built.corpus), &documents, 3, &TextPairsConfig::default(), 1).unwrap());
}
