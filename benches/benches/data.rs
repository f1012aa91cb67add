//! The way of the data: text → token ids → shards → batches, in tokens a second, and the opening of a corpus.
//!
//! The text is a part of `../shared/data/english_novels` beside the repository when that is there, else the documentation of
//! this project's dependencies, without the files that cannot be read.
#![allow(missing_docs)] // criterion's macros write functions.

use std::path::Path;
use std::sync::Arc;

use burnformer_core::{Interrupt, Silent};
use burnformer_data::DataError;
use burnformer_data::batches::{BatchConfig, Batches, Padding, PretrainingCollator};
use burnformer_data::corpus::{Corpus, CorpusBuilder, Tokenization};
use burnformer_data::datasets::{MaskingConfig, PretrainingConfig, PretrainingDataset};
use burnformer_data::readers::{Format, Input, TextLayout};
use burnformer_data::rust_docs::{Crates, RustDocs};
use burnformer_data::sentences::{Language, SentenceSplitter};
use burnformer_data::source::{OnBadRow, Sides, Source, Texts};
use burnformer_data::tokenizer::{TokenizerConfig, train};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Documents that are tokenised in one measurement: some megabytes.
const NOVELS: &str = "../shared/data/english_novels/[A-C]*.gz";

fn source() -> Result<Arc<dyn Source>, DataError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let format = Format::Text { layout: TextLayout::Lines };
    let paths = vec![root.join(NOVELS).display().to_string()];
    Ok(match Input::new(paths, format).open() {
        Ok(files) => Arc::new(files),
        Err(_) => {
            let manifest = root.join("Cargo.toml");
            Arc::new(RustDocs::new(Crates::Dependencies { manifest }).collect(&Silent)?.documents())
        }
    })
}

fn data(criterion: &mut Criterion) {
    run(criterion).unwrap_or_else(|error| panic!("{error}"));
}

fn run(criterion: &mut Criterion) -> Result<(), DataError> {
    let source = source()?;
    let texts = Texts::new(source.as_ref(), Sides::Both, OnBadRow::Skip, &Silent);
    let config = TokenizerConfig { vocab_size: 8192, ..TokenizerConfig::default() };
    let tokenizer = train(texts, &config, &Silent, &Interrupt::new())?;
    let sentences = SentenceSplitter::new(Language::ENGLISH);
    let tokenization = Tokenization { tokenizer: tokenizer.clone(), pair_tokenizer: None, sentences };
    let build = |folder: &Path, n_threads| {
        let builder = CorpusBuilder::new(Arc::clone(&source), tokenization.clone()).on_bad_row(OnBadRow::Skip);
        builder.threads(n_threads).build(folder, &Silent, &Interrupt::new())
    };

    let place = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let folder = place.path().join("corpus");
    let corpus = Arc::new(build(&folder, 2)?.corpus);
    let n_tokens = corpus.manifest().counts().tokens;

    let mut group = criterion.benchmark_group("data");
    group.sample_size(10);
    group.throughput(Throughput::Elements(n_tokens));
    for n_threads in [1, 2] {
        let target = place.path().join(format!("{n_threads}"));
        group.bench_function(BenchmarkId::new("text-to-shards", format!("{n_threads}-threads")), |bencher| {
            bencher.iter_with_setup(
                || drop(std::fs::remove_dir_all(&target)),
                |()| build(&target, n_threads).unwrap_or_else(|error| panic!("{error}")),
            );
        });
    }

    let documents: Vec<u32> = (0..corpus.n_documents()).collect();
    for whole_word_mask in [false, true] {
        let masking = MaskingConfig { whole_word_mask, ..MaskingConfig::default() };
        let config = PretrainingConfig { masking, ..PretrainingConfig::default() };
        let samples = Arc::new(PretrainingDataset::new(Arc::clone(&corpus), &documents, &tokenizer, &config, 0)?);
        let collator = PretrainingCollator { padding: Padding { pad_id: 0, multiple_of: 8 } };
        let epoch = |workers| {
            let config = BatchConfig { workers, ..BatchConfig::default() };
            let batches = Batches::epoch(Arc::clone(&samples), &collator, &config, 0);
            let batches = batches.unwrap_or_else(|error| panic!("{error}"));
            batches.map(|batch| batch.map_or(0, |batch| batch.tokens.lengths.iter().sum::<usize>())).sum::<usize>()
        };
        group.throughput(Throughput::Elements(epoch(2) as u64));
        let name = if whole_word_mask { "shards-to-batches-whole-word" } else { "shards-to-batches" };
        for workers in [1, 2] {
            group.bench_function(BenchmarkId::new(name, format!("{workers}-threads")), |bencher| {
                bencher.iter(|| epoch(workers));
            });
        }
    }

    group.throughput(Throughput::Elements(n_tokens));
    group.bench_function("open", |bencher| bencher.iter(|| Corpus::open(&folder).map(|corpus| corpus.n_documents())));
    group.bench_function("verify", |bencher| bencher.iter(|| Corpus::open(&folder).and_then(|corpus| corpus.verify())));
    group.finish();
    Ok(())
}

criterion_group!(benches, data);
criterion_main!(benches);
