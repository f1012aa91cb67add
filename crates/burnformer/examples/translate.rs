//! From pairs of sentences to a translator and a translation, in seconds.
//!
//! ```sh
//! cargo run --release --package burnformer --example translate
//! ```
//!
//! The language has six words: numbers, whose digits English says from right to left here.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use burnformer::core::progress::{Interrupt, Silent};
use burnformer::data::corpus::{CorpusBuilder, Tokenization};
use burnformer::data::readers::{Format, Input};
use burnformer::data::sentences::{Language, SentenceSplitter};
use burnformer::data::source::{OnBadRow, Sides, Texts};
use burnformer::data::tokenizer::{TokenizerConfig, TokenizerKind, train};
use burnformer::models::GenerationConfig;
use burnformer::ops::DeviceChoice;
use burnformer::recipes::reports::TrainSeq2SeqReport;
use burnformer::recipes::{Context, Overrides, Recipe, Report, TrainSeq2Seq, TrainSeq2SeqStart};
use burnformer::tasks::{TranslationOptions, Translator};

const WORDS: [(&str, &str); 6] =
    [("eins", "one"), ("zwei", "two"), ("drei", "three"), ("vier", "four"), ("neun", "nine"), ("acht", "eight")];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("burnformer-translate-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    println!("{}", run(&folder)?.text());
    Ok(())
}

/// Trains on pairs below `folder`, where the run goes to `translator`, and translates with it.
pub(crate) fn run(folder: &Path) -> Result<TrainSeq2SeqReport, Box<dyn Error>> {
    let paths = ["source.txt", "target.txt"].map(|name| folder.join(name).display().to_string());
    fs::write(&paths[0], (0..216).map(|n| digits(n).map(|digit| WORDS[digit].0).join(" ") + "\n").collect::<String>())?;
    fs::write(
        &paths[1],
        (0..216).map(|n| reversed(n).map(|digit| WORDS[digit].1).join(" ") + "\n").collect::<String>(),
    )?;
    let [source, target] = paths.map(|path| vec![path]);
    let source = Arc::new(Input::new(source, Format::Parallel { target }).open()?);

    let config = TokenizerConfig { kind: TokenizerKind::WordLevel, ..TokenizerConfig::default() };
    let learnt =
        |side| train(Texts::new(&*source, side, OnBadRow::Error, &Silent), &config, &Silent, &Interrupt::new());
    let (tokenizer, pair_tokenizer) = (learnt(Sides::First)?, Some(learnt(Sides::Second)?));
    let tokenization = Tokenization { tokenizer, pair_tokenizer, sentences: SentenceSplitter::new(Language::ENGLISH) };
    let corpus = folder.join("corpus");
    CorpusBuilder::new(Arc::clone(&source) as _, tokenization).build(&corpus, &Silent, &Interrupt::new())?;

    let sets =
        ["model.d_model=32", "model.d_ff=64", "model.dropout=0", "train.micro_batch_tokens=256"].map(str::to_owned);
    let start = TrainSeq2SeqStart { preset: "transformer-tiny", epochs: 4.0, ..TrainSeq2SeqStart::new(&corpus) };
    let recipe = TrainSeq2Seq::begin(&start, &Overrides { file: None, sets: &sets })?;
    let report = recipe.run(&folder.join("translator"), &Context::default())?;

    let translator = Translator::load(&report.run.folder, &DeviceChoice::Auto.open()?)?;
    let options = TranslationOptions::new(GenerationConfig::default());
    for translation in translator.translate(&["eins zwei drei"], &options)?.concat() {
        println!("eins zwei drei -> {}\n", translation.text);
    }
    Ok(report)
}

fn digits(n: usize) -> [usize; 3] {
    [n / 36, n / 6 % 6, n % 6]
}

fn reversed(n: usize) -> [usize; 3] {
    let [a, b, c] = digits(n);
    [c, b, a]
}
