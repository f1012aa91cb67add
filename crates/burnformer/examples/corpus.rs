//! From text files to batches: a tokenizer, a corpus of shards, and the first batch for BERT's pretraining.
//!
//! ```sh
//! cargo run --release --package burnformer --example corpus -- FOLDER TEXT...
//! ```
//!
//! `TEXT` are files, folders or patterns of plain text, one document a file and one paragraph a line, as they are or
//! compressed; `FOLDER` is where the corpus goes. Without arguments the documentation of this project's dependencies is
//! taken, which lies on every machine that has built it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use burnformer::core::progress::{Interrupt, Silent};
use burnformer::data::batches::{Batch, BatchConfig, Batches, Padding, PretrainingCollator};
use burnformer::data::corpus::{CorpusBuilder, Tokenization};
use burnformer::data::datasets::{Dataset, PretrainingConfig, PretrainingDataset};
use burnformer::data::readers::{Format, Input, TextLayout};
use burnformer::data::rust_docs::{Crates, RustDocs};
use burnformer::data::sentences::{Language, SentenceSplitter};
use burnformer::data::source::{OnBadRow, Sides, Source, Texts};
use burnformer::data::split::{Split, SplitConfig};
use burnformer::data::statistics::Statistics;
use burnformer::data::tokenizer::{TokenizerConfig, train};

const SEED: u64 = 42;

fn main() -> Result<(), Box<dyn Error>> {
    let (progress, interrupt) = (Silent, Interrupt::new());
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("burnformer-corpus"), PathBuf::from);
    let source = source(arguments.collect())?;

    let mut texts = Texts::new(source.as_ref(), Sides::Both, OnBadRow::Skip, &progress);
    let config = TokenizerConfig { vocab_size: 8192, ..TokenizerConfig::default() };
    let tokenizer = train(&mut texts, &config, &progress, &interrupt)?;
    println!("tokenizer of {} tokens, {} rows skipped", tokenizer.vocab_size(), texts.skipped().rows);

    let sentences = SentenceSplitter::new(Language::ENGLISH);
    let tokenization = Tokenization { tokenizer: tokenizer.clone(), pair_tokenizer: None, sentences };
    let builder = CorpusBuilder::new(Arc::clone(&source), tokenization).on_bad_row(OnBadRow::Skip);
    let outcome = builder.build(&folder, &progress, &interrupt)?;
    println!("corpus in {}{}", folder.display(), if outcome.reused { " (existing, unchanged)" } else { "" });
    let corpus = Arc::new(outcome.corpus);

    let split = Split::of(&corpus, &SplitConfig::default(), SEED)?;
    let config = PretrainingConfig::default();
    let samples = Arc::new(PretrainingDataset::new(Arc::clone(&corpus), &split.train, &tokenizer, &config, SEED)?);
    let padding = Padding { pad_id: tokenizer.specials().pad_id.unwrap_or_default(), multiple_of: 8 };
    let collator = PretrainingCollator { padding };
    let mut statistics = Statistics::of(&corpus, &progress, &interrupt)?;
    let batches = Batches::epoch(Arc::clone(&samples), &collator, &BatchConfig::default(), SEED)?;
    let mut batches = batches.take(100).peekable();
    if let Some(Ok(batch)) = batches.peek() {
        println!("{} samples an epoch; the first of batch 0, number {}:", samples.per_epoch(), batch.numbers()[0]);
        println!("{}", tokenizer.decode(&batch.tokens.ids[..batch.tokens.lengths[0]], false)?);
    }
    statistics.measure_padding(batches)?;
    println!("\n{statistics}");
    Ok(())
}

fn source(paths: Vec<String>) -> Result<Arc<dyn Source>, Box<dyn Error>> {
    if paths.is_empty() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into();
        let collection = RustDocs::new(Crates::Dependencies { manifest }).collect(&Silent)?;
        println!("documentation of {} crates, named {}", collection.crates.len(), collection.hash());
        return Ok(Arc::new(collection.documents()));
    }
    let format = Format::Text { layout: TextLayout::Lines };
    Ok(Arc::new(Input::new(paths, format).open()?))
}
