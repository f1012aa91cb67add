//! What batches promise: every sample once, little padding, any position without the ones before.

use std::sync::Arc;

use burnformer_core::progress::Interrupted;
use proptest::prelude::*;

use super::*;
use crate::DataError;
use crate::datasets::{
    ClassificationSample, ContextWindows, Dataset, LanguageModelConfig, LanguageModelDataset, Masked, PairedSample,
    PretrainingConfig, PretrainingDataset, PretrainingSample, QuestionAnsweringDataset, TextPair,
    TokenClassificationSample, Window,
};
use crate::questions::{Question, QuestionTexts};
use crate::scored::Score;
use crate::testing::{all, numbered, tokenizer};

/// Samples of lengths that look random, each with its number as its tokens.
#[derive(Debug)]
struct Lengths(u64);

impl Dataset for Lengths {
    type Sample = Window;

    fn per_epoch(&self) -> u64 {
        self.0
    }

    fn sample(&self, number: u64) -> Result<Window, DataError> {
        let length = 2 + (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize;
        Ok(Window { ids: vec![number as u32 + 1; length] })
    }
}

fn config(size: BatchSize, window: usize) -> BatchConfig {
    BatchConfig { size, window, workers: 2 }
}

const PADDING: Padding = Padding { pad_id: 0, multiple_of: 4 };
const WINDOWS: WindowCollator = WindowCollator { padding: PADDING };
const PAIRS: PairedCollator = PairedCollator { padding: Padding { pad_id: 0, multiple_of: 1 } };
const PRETRAINING: PretrainingCollator = PretrainingCollator { padding: PADDING };

/// Pairs of texts of lengths that look random, each with keys of which there are `n_keys`.
#[derive(Debug)]
struct Keyed {
    n: u64,
    n_keys: u64,
}

impl Dataset for Keyed {
    type Sample = PairedSample;

    fn per_epoch(&self) -> u64 {
        self.n
    }

    fn sample(&self, number: u64) -> Result<PairedSample, DataError> {
        let id = number as u32 + 1;
        let keys = [number, number.wrapping_mul(number)].map(|key| key % self.n_keys).to_vec();
        let text = vec![id; 1 + (number * 7 % 64) as usize];
        Ok(PairedSample { text, pair: vec![id], negatives: Vec::new(), score: None, keys })
    }
}

fn epoch(samples: u64, config: &BatchConfig, seed: u64) -> Vec<WindowBatch> {
    let batches = Batches::epoch(Arc::new(Lengths(samples)), &WINDOWS, config, seed).unwrap();
    batches.collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_epoch_has_every_sample_once(n in 1_u64..300, window in 8_usize..100, by_tokens: bool, size in 1_usize..9, seed: u64) {
        let size = if by_tokens { BatchSize::Tokens(size * 40) } else { BatchSize::Sequences(size.min(window)) };
        let batches = epoch(n, &config(size, window), seed);
        let mut numbers: Vec<u64> = batches.iter().flat_map(|batch| batch.numbers.clone()).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..n).collect::<Vec<_>>());
        for batch in &batches {
            prop_assert_eq!(batch.inputs.seq_length % 4, 0);
            prop_assert!(batch.inputs.seq_length < batch.inputs.lengths.iter().max().unwrap() + 4);
            match size {
                BatchSize::Sequences(most) => prop_assert!(batch.numbers.len() <= most),
                BatchSize::Tokens(most) => prop_assert!(batch.inputs.ids.len() <= most || batch.numbers.len() == 1),
            }
            for (row, (&number, &length)) in batch.numbers.iter().zip(&batch.inputs.lengths).enumerate() {
                let ids = &batch.inputs.ids[row * batch.inputs.seq_length..][..batch.inputs.seq_length];
                prop_assert!(ids[..length].iter().all(|&id| id == number as u32 + 1));
                prop_assert!(ids[length..].iter().all(|&id| id == 0));
            }
        }
    }

    #[test]
    fn batches_are_counted_without_making_them(n in 1_u64..300, window in 8_usize..100, by_tokens: bool, size in 1_usize..9, seed: u64) {
        let size = if by_tokens { BatchSize::Tokens(size * 40) } else { BatchSize::Sequences(size.min(window)) };
        let config = config(size, window);
        let counted = batches_per_epoch(&Lengths(n), &WINDOWS, &config).unwrap();
        prop_assert_eq!(counted, epoch(n, &config, seed).len() as u64);
    }

    #[test]
    fn samples_of_a_batch_share_no_key(n in 1_u64..300, n_keys in 1_u64..60, window in 8_usize..100, by_tokens: bool, size in 1_usize..9, seed: u64) {
        let size = if by_tokens { BatchSize::Tokens(size * 40) } else { BatchSize::Sequences(size.min(window)) };
        let (samples, config) = (Keyed { n, n_keys }, config(size, window));
        let counted = batches_per_epoch(&samples, &PAIRS, &config).unwrap();
        let samples = Arc::new(samples);
        let batches: Vec<PairedBatch> =
            Batches::epoch(Arc::clone(&samples), &PAIRS, &config, seed).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(counted, batches.len() as u64);
        let mut numbers: Vec<u64> = batches.iter().flat_map(|batch| batch.numbers.clone()).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..n).collect::<Vec<_>>());
        for batch in &batches {
            let keys = batch.numbers.iter().map(|&number| samples.sample(number).unwrap().keys);
            let mut met = std::collections::HashSet::new();
            let are_new = keys.into_iter().all(|mut keys| {
                keys.dedup();
                keys.into_iter().all(|key| met.insert(key))
            });
            prop_assert!(are_new);
            if let BatchSize::Sequences(most) = config.size {
                prop_assert!(batch.numbers.len() <= most);
            }
        }
        // One key for all: each sample is alone.
        let alone = batches_per_epoch(&Keyed { n, n_keys: 1 }, &PAIRS, &config).unwrap();
        prop_assert_eq!(alone, n);
    }

    #[test]
    fn any_position_is_reached_without_what_was_before(n in 1_u64..200, skip in 0_usize..40, workers in 1_usize..4, seed: u64) {
        let config = BatchConfig { workers, ..config(BatchSize::Sequences(5), 32) };
        let start = |position| Batches::endless(Arc::new(Lengths(n)), &WINDOWS, &config, seed, position).unwrap();
        let mut batches = start(Position::default());
        for batch in batches.by_ref().take(skip) {
            batch.unwrap();
        }
        let resumed: Vec<_> = start(batches.position()).take(9).map(Result::unwrap).collect();
        let never_stopped: Vec<_> = batches.take(9).map(Result::unwrap).collect();
        prop_assert_eq!(resumed, never_stopped);
    }
}

/// Samples of which every fourth has the same key, and which have one key besides.
#[derive(Debug)]
struct Popular;

impl Dataset for Popular {
    type Sample = PairedSample;

    fn per_epoch(&self) -> u64 {
        1200
    }

    fn sample(&self, number: u64) -> Result<PairedSample, DataError> {
        let keys = vec![if number.is_multiple_of(4) { 0 } else { number }, 1000 + number / 2];
        let text = vec![1; 1 + (number * 7 % 64) as usize];
        Ok(PairedSample { text, pair: vec![1], negatives: Vec::new(), score: None, keys })
    }
}

#[test]
fn a_key_of_many_samples_makes_all_batches_smaller() {
    let batches: Vec<PairedBatch> =
        Batches::epoch(Arc::new(Popular), &PAIRS, &config(BatchSize::Sequences(32), 1200), 1)
            .unwrap()
            .map(Result::unwrap)
            .collect();
    // The key is in three hundred samples: as many batches of four, and none of a single one behind large ones.
    let sizes: Vec<usize> = batches.iter().map(|batch| batch.numbers.len()).collect();
    assert!((300..=330).contains(&sizes.len()), "{sizes:?}");
    assert!(sizes.iter().filter(|&&size| size == 4).count() >= 240, "{sizes:?}");
}

#[test]
fn batches_do_not_depend_on_the_number_of_threads() {
    let [one, four] =
        [1, 4].map(|workers| epoch(500, &BatchConfig { workers, ..config(BatchSize::Tokens(300), 64) }, 3));
    assert_eq!(one, four);
}

#[test]
fn sorting_by_length_saves_padding() {
    let padding = |window| {
        let config = config(BatchSize::Sequences(16), window);
        let mut padding = PaddingStats::default();
        let batches = Batches::epoch(Arc::new(Lengths(4096)), &WINDOWS, &config, 1).unwrap();
        let sizes = batches.map(|batch| {
            let batch = batch.unwrap();
            padding += batch.padding_stats();
            batch.numbers.len()
        });
        assert_eq!(sizes.sum::<usize>(), 4096);
        padding.padding_share()
    };
    let (unsorted, sorted) = (padding(16), padding(1024));
    // Lengths are uniform in 1 to 64: half of a batch is padding unless it is sorted.
    assert!(unsorted > 0.4 && sorted < 0.1, "{unsorted} and {sorted}");
}

#[test]
fn batches_of_a_window_are_not_in_the_order_of_their_lengths() {
    let lengths: Vec<usize> =
        epoch(512, &config(BatchSize::Sequences(16), 512), 1).iter().map(|b| b.inputs.seq_length).collect();
    assert!(!lengths.is_sorted() && !lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
}

#[test]
fn a_pretraining_batch_says_where_everything_is() {
    let shape: Vec<Vec<usize>> = (0..20).map(|d| (0..4).map(|s| 1 + (d + 3 * s) % 7).collect()).collect();
    let built = numbered(&shape);
    let config = PretrainingConfig { max_seq_length: 24, ..PretrainingConfig::default() };
    let documents = all(&built.corpus);
    let samples =
        Arc::new(PretrainingDataset::new(Arc::clone(&built.corpus), &documents, &built.tokenizer, &config, 1).unwrap());
    let config = self::config(BatchSize::Sequences(4), 16);
    let batches = Batches::epoch(Arc::clone(&samples), &PRETRAINING, &config, 1);
    for batch in batches.unwrap() {
        let batch = batch.unwrap();
        let length = batch.tokens.seq_length;
        let segments: Vec<u8> = batch.segments().collect();
        let mask: Vec<bool> = batch.tokens.mask_pad().collect();
        let mut masked = batch.masked_positions.iter().zip(&batch.masked_labels);
        for (row, &number) in batch.numbers.iter().enumerate() {
            let sample = samples.sample(number).unwrap();
            let n = sample.ids.len();
            assert_eq!(batch.tokens.ids[row * length..][..n], sample.ids);
            assert_eq!(batch.is_next[row], sample.is_next.unwrap());
            for column in 0..length {
                let second = column >= sample.first_length && column < n;
                assert_eq!(segments[row * length + column], u8::from(second));
                assert_eq!(mask[row * length + column], column >= n);
            }
            for (position, label) in sample.masked.positions.iter().zip(&sample.masked.labels) {
                assert_eq!(masked.next(), Some((&((row * length) as u32 + position), label)));
            }
        }
        assert_eq!(masked.next(), None);
    }
}

#[test]
fn parts_of_a_batch_put_together_are_the_batch() {
    let shape: Vec<Vec<usize>> = (0..20).map(|d| (0..4).map(|s| 1 + (d + 3 * s) % 7).collect()).collect();
    let built = numbered(&shape);
    let config = PretrainingConfig { max_seq_length: 24, ..PretrainingConfig::default() };
    let samples = PretrainingDataset::new(Arc::clone(&built.corpus), &all(&built.corpus), &built.tokenizer, &config, 1);
    let config = self::config(BatchSize::Sequences(8), 16);
    for batch in Batches::epoch(Arc::new(samples.unwrap()), &PRETRAINING, &config, 1).unwrap() {
        let batch = batch.unwrap();
        let parts = batch.clone().split(3);
        assert_eq!(parts.len(), batch.numbers.len().div_ceil(3));
        let length = batch.tokens.seq_length;
        let mut whole = PretrainingBatch::default();
        (whole.tokens.seq_length, whole.tokens.multiple_of) = (length, batch.tokens.multiple_of);
        for part in parts {
            // No longer than its longest row, to a multiple of four.
            let part_length = part.tokens.seq_length;
            assert_eq!(part_length, part.tokens.lengths.iter().max().unwrap().next_multiple_of(4));
            let first = whole.tokens.lengths.len();
            let moved = part.masked_positions.iter().map(|&position| {
                let (row, column) = (position as usize / part_length, position as usize % part_length);
                ((first + row) * length + column) as u32
            });
            whole.masked_positions.extend(moved);
            whole.numbers.extend(part.numbers);
            for row in part.tokens.ids.chunks(part_length) {
                whole.tokens.ids.extend(row);
                whole.tokens.ids.resize(whole.tokens.ids.len().next_multiple_of(length), 0);
            }
            whole.tokens.lengths.extend(part.tokens.lengths);
            whole.first_lengths.extend(part.first_lengths);
            whole.masked_labels.extend(part.masked_labels);
            whole.is_next.extend(part.is_next);
        }
        assert_eq!(whole, batch);
    }
}

/// Checks that every range of these samples is collated alone as it is cut from the batch of all.
fn parts_are_rows<C: Collator>(collator: &C, samples: &[C::Sample])
where
    C::Sample: Clone,
    C::Batch: PartialEq + std::fmt::Debug,
{
    let numbers: Vec<u64> = (5..5 + samples.len() as u64).collect();
    let whole = collator.collate(numbers.clone(), samples.to_vec());
    for start in 0..=samples.len() {
        for end in start..=samples.len() {
            let part = collator.collate(numbers[start..end].to_vec(), samples[start..end].to_vec());
            assert_eq!(part, whole.rows(start..end), "rows {start} to {end}");
        }
    }
}

/// A rank that collates its own rows of a step alone has what one process cuts from the whole.
#[test]
fn rows_that_are_collated_alone_are_those_of_the_whole_for_every_collator() {
    let padding = PADDING;
    let lengths = [3_usize, 4, 5, 9, 9, 12, 2];
    let ids = |n: usize| (1..=n as u32).collect::<Vec<_>>();
    fn texts<L: Clone>(lengths: &[usize], label: impl Fn(usize) -> L) -> Vec<ClassificationSample<L>> {
        let text = |&n: &usize| ClassificationSample { ids: vec![n as u32; n], first_length: n / 2, label: label(n) };
        lengths.iter().map(text).collect()
    }
    parts_are_rows(&ClassificationCollator { padding }, &texts(&lengths, |n| n as u32));
    parts_are_rows(&MultiLabelCollator { padding }, &texts(&lengths, |n| ids(n % 3)));
    let score = |n: usize| Score { value: n as f64 / 7.0, query: n as u32 };
    parts_are_rows(&ScoreCollator { padding }, &texts(&lengths, score));

    let words = |&n: &usize| TokenClassificationSample {
        ids: ids(n),
        positions: (1..n as u32 - 1).step_by(2).collect(),
        labels: (1..n as u32 - 1).step_by(2).map(|at| at + 3).collect(),
        further: (2..n as u32 - 1).step_by(4).map(|at| (at, at + 7)).collect(),
    };
    parts_are_rows(&TokenClassificationCollator { padding }, &lengths.map(|n| words(&n)));

    let windows = lengths.map(|n| Window { ids: ids(n) });
    parts_are_rows(&WindowCollator { padding }, &windows);
    let pairs = lengths.map(|n| TextPair { source: ids(n), target: ids(13 - n) });
    parts_are_rows(&TextPairCollator { padding }, &pairs);
    for has_score in [true, false] {
        let pairs = lengths.map(|n| PairedSample {
            text: ids(n),
            pair: ids(13 - n),
            negatives: (0..n % 3).map(|i| ids(1 + i * n)).collect(),
            score: has_score.then_some(n as f32),
            keys: Vec::new(),
        });
        parts_are_rows(&PairedCollator { padding }, &pairs);
    }
    for next_sentence in [true, false] {
        let masked = |n: usize| Masked {
            positions: (1..n as u32 - 1).step_by(3).collect(),
            labels: (1..n as u32 - 1).step_by(3).map(|at| at + 9).collect(),
        };
        let sample = |n: usize| PretrainingSample {
            ids: ids(n),
            first_length: n / 2,
            is_next: next_sentence.then_some(n.is_multiple_of(2)),
            masked: masked(n),
        };
        parts_are_rows(&PretrainingCollator { padding }, &lengths.map(sample));
    }

    let context = "t0 t1 t2 t3 t4 t5 t6";
    let question = |id: &str, answer| {
        let (id, text) = (id.to_owned(), id.to_owned());
        Arc::new(Question { id, text, context: context.into(), answers: vec![answer] })
    };
    let questions = vec![question("t8", 15..20), question("t7 t6", 0..2), question("t1", 6..8)];
    let windows = ContextWindows::new(tokenizer(9), 8, 2).unwrap();
    let dataset = QuestionAnsweringDataset::new(&QuestionTexts { questions }, windows, 1).unwrap();
    let samples: Vec<_> = (0..dataset.per_epoch()).map(|number| dataset.sample(number).unwrap()).collect();
    parts_are_rows(&QuestionAnsweringCollator { padding }, &samples);
}

#[test]
fn both_sides_of_pairs_have_their_own_length() {
    let pair = |source: &[u32], target: &[u32]| TextPair { source: source.to_vec(), target: target.to_vec() };
    let samples = vec![pair(&[1, 2, 3], &[4]), pair(&[5], &[6, 7, 8, 9, 10])];
    let batch = TextPairCollator { padding: Padding { pad_id: 0, multiple_of: 1 } }.collate(vec![8, 3], samples);
    assert_eq!(batch.source.ids, [1, 2, 3, 5, 0, 0]);
    assert_eq!(batch.target.ids, [4, 0, 0, 0, 0, 6, 7, 8, 9, 10]);
    assert_eq!(batch.padding_stats(), PaddingStats { tokens: 10, total: 16 });
}

#[test]
fn inputs_and_targets_are_one_token_apart() {
    let built = numbered(&[vec![5]]);
    let config = LanguageModelConfig { max_seq_length: 8 };
    let samples = LanguageModelDataset::new(Arc::clone(&built.corpus), &[0], &built.tokenizer, &config, 1).unwrap();
    let config = self::config(BatchSize::Sequences(1), 1);
    let mut batches = Batches::epoch(Arc::new(samples), &WINDOWS, &config, 1).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert_eq!(batch.inputs.ids, [2, 5, 6, 7, 8, 9, 0, 0]);
    assert_eq!(batch.targets.ids, [5, 6, 7, 8, 9, 3, 0, 0]);
}

/// Fails at one sample.
struct Broken;

impl Dataset for Broken {
    type Sample = Window;

    fn per_epoch(&self) -> u64 {
        100
    }

    fn sample(&self, number: u64) -> Result<Window, DataError> {
        if number == 40 { Err(Interrupted.into()) } else { Lengths(100).sample(number) }
    }
}

#[test]
fn an_error_is_the_last_thing_that_comes() {
    let batches = Batches::epoch(Arc::new(Broken), &WINDOWS, &config(BatchSize::Sequences(8), 16), 1).unwrap();
    let results: Vec<bool> = batches.map(|batch| batch.is_ok()).collect();
    assert_eq!(results, [true, true, true, true, false]);
}

#[test]
fn settings_that_cannot_work_are_named_and_survive_a_file() {
    use burnformer_core::config::Validate;

    let error = |config: BatchConfig| config.validate().unwrap_err().to_string();
    let default = BatchConfig::default;
    assert_eq!(
        error(BatchConfig { window: usize::MAX, ..default() }),
        format!("`window` is {}, expected 1 to 1048576", usize::MAX)
    );
    assert_eq!(
        error(BatchConfig { window: 31, ..default() }),
        "`window` is 31, expected at least the sequences of a batch"
    );
    assert_eq!(error(BatchConfig { size: BatchSize::Tokens(0), ..default() }), "`size` is 0, expected 1 to 1073741824");
    assert_eq!(error(BatchConfig { workers: 0, ..default() }), "`workers` is 0, expected 1 to 1024");
    for size in [BatchSize::Tokens(4096), BatchSize::Sequences(16)] {
        let config = BatchConfig { size, ..default() };
        let text = burnformer_core::settings::to_toml(&config).unwrap();
        assert_eq!(
            burnformer_core::settings::reload_text::<BatchConfig>("run.toml", &text, &[]).unwrap(),
            config,
            "{text}"
        );
    }
}
