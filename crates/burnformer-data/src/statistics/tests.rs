//! Statistics count what is there.

use std::sync::Arc;

use burnformer_core::progress::{Interrupt, Silent};

use super::*;
use crate::Record;
use crate::batches::{BatchConfig, BatchSize, Batches, Padding, WindowCollator};
use crate::datasets::{LanguageModelConfig, LanguageModelDataset};
use crate::testing::{Built, all, build, numbered, record, tokenizer};

fn of(built: &Built) -> Statistics {
    Statistics::of(&built.corpus, &Silent, &Interrupt::new()).unwrap()
}

fn labelled() -> Built {
    let with = |text: &[&str], label: &str, group: &str| Record {
        target: Some(crate::Target::Class(label.to_owned())),
        group: Some(group.to_owned()),
        ..record(text)
    };
    build(
        vec![
            with(&["t1 t2 t3", "t4"], "yes", "a"),
            with(&["t1 what"], "no", "a"),
            with(&["t1 t2 t3", "t4"], "yes", "b"),
            with(&[""], "no", "c"),
        ],
        tokenizer(14),
    )
}

#[test]
fn everything_is_counted() {
    let statistics = of(&labelled());
    assert_eq!((statistics.documents, statistics.sentences, statistics.tokens), (3, 5, 10));
    assert_eq!((statistics.vocab_size, statistics.vocab_used), (20, 5), "t1 to t4 and the unknown one");
    assert_eq!((statistics.unknown_tokens, statistics.duplicates, statistics.groups), (1, 1, 2));
    assert_eq!((statistics.empty_records, statistics.text_bytes), (1, 2 * 11 + 7));
    let labels: Vec<_> = statistics.labels.iter().map(|label| (label.label.as_str(), label.documents)).collect();
    assert_eq!(labels, [("yes", 2), ("no", 1)]);
    let buckets: Vec<_> = statistics.sentence_lengths.buckets().collect();
    assert_eq!(buckets, [Bucket { from: 1, to: 1, count: 2 }, Bucket { from: 2, to: 3, count: 3 }]);
    assert_eq!(statistics.document_lengths.longest(), 4);
}

#[test]
fn counts_are_the_same_on_any_number_of_threads() {
    let built = numbered(&(0..9000).map(|d| vec![1 + d % 3; 1 + d % 2]).collect::<Vec<_>>());
    let on = |n_threads| rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap().install(|| of(&built));
    assert_eq!(on(1), on(3));
    assert_eq!(on(1).documents, 9000);
}

#[test]
fn padding_is_measured_on_batches() {
    let built = numbered(&[vec![3], vec![7]]);
    let samples = LanguageModelDataset::new(
        Arc::clone(&built.corpus),
        &all(&built.corpus),
        &built.tokenizer,
        &LanguageModelConfig::default(),
        1,
    );
    let config = BatchConfig { size: BatchSize::Sequences(2), ..BatchConfig::default() };
    let collator = WindowCollator { padding: Padding { pad_id: 0, multiple_of: 1 } };
    let batches = Batches::epoch(Arc::new(samples.unwrap()), &collator, &config, 1).unwrap();
    let mut statistics = of(&built);
    statistics.measure_padding(batches).unwrap();
    // Rows of 4 and 8 tokens, both filled up to 8.
    assert_eq!(statistics.padding_share, Some(4.0 / 16.0));
}

#[test]
fn people_and_programs_can_read_them() {
    let statistics = of(&labelled());
    let text = statistics.to_string();
    for line in [
        "documents            3\n",
        "vocabulary used      5 of 20 (25.00 %)\n",
        "unknown tokens       1 (10.00 %)\n",
        "tokens in a sentence: 2.0 on average, 3 at most\n",
        "  2–3                           3 ████████████████████████████████████████\n",
        "  yes                           2 ████████████████████████████████████████\n",
        "  no                            1 ████████████████████\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
    let json = serde_json::to_value(&statistics).unwrap();
    assert_eq!(json["tokens"], 10);
    assert_eq!(json["sentence_lengths"]["buckets"][1]["count"], 3);
    assert_eq!(json["labels"][0]["label"], "yes");
    assert_eq!(json["padding_share"], serde_json::Value::Null);
}

#[test]
fn counting_can_be_interrupted() {
    let interrupt = Interrupt::new();
    interrupt.request();
    let error = Statistics::of(&labelled().corpus, &Silent, &interrupt).unwrap_err();
    assert!(matches!(error, crate::DataError::Interrupted(_)));
}
