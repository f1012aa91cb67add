//! From a text file to a pretrained BERT: a tokenizer, a corpus, and a run, in seconds.
//!
//! ```sh
//! cargo run --release --package burnformer --example pretrain
//! ```
//!
//! The model is far too small, and so is the text: it shows the calls, not what can be had by them.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use burnformer::core::progress::{Interrupt, Silent};
use burnformer::data::corpus::{CorpusBuilder, Tokenization};
use burnformer::data::readers::{Format, Input, TextLayout};
use burnformer::data::sentences::{Language, SentenceSplitter};
use burnformer::data::source::{OnBadRow, Sides, Texts};
use burnformer::data::tokenizer::{TokenizerConfig, train};
use burnformer::recipes::reports::PretrainReport;
use burnformer::recipes::{Context, Overrides, Pretrain, PretrainSettings, PretrainStart, Recipe, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("burnformer-pretrain-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    println!("{}", run(&folder)?.text());
    Ok(())
}

/// Pretrains on a few sentences below `folder`, where the run goes to `model`.
pub(crate) fn run(folder: &Path) -> Result<PretrainReport, Box<dyn Error>> {
    let (text, corpus) = (folder.join("text.txt"), folder.join("corpus"));
    fs::write(&text, (0..60).map(document).collect::<String>())?;
    let format = Format::Text { layout: TextLayout::BlankLines };
    let source = Arc::new(Input::new(vec![text.display().to_string()], format).open()?);

    let config = TokenizerConfig { vocab_size: 150, ..TokenizerConfig::default() };
    let mut texts = Texts::new(source.as_ref(), Sides::Both, OnBadRow::Error, &Silent);
    let tokenizer = train(&mut texts, &config, &Silent, &Interrupt::new())?;
    let sentences = SentenceSplitter::new(Language::ENGLISH);
    let tokenization = Tokenization { tokenizer, pair_tokenizer: None, sentences };
    CorpusBuilder::new(source, tokenization).build(&corpus, &Silent, &Interrupt::new())?;

    // What `--set` takes on the command line; `run.toml` has all there are.
    let sets = ["model.d_model=32", "model.d_ff=64", "train.steps=20", "train.micro_batch_size=8"].map(str::to_owned);
    let overrides = Overrides { file: None, sets: &sets };
    let recipe = Pretrain::new(PretrainSettings::begin(&PretrainStart::new(&corpus), &overrides)?)?;
    let context = Context::default();
    println!("{}", recipe.plan(&context)?.text());
    Ok(recipe.run(&folder.join("model"), &context)?)
}

/// Three sentences.
fn document(n: usize) -> String {
    let (thing, place) = (["boat", "lamp", "kettle", "clock"][n % 4], ["pier", "shed", "kitchen"][n % 3]);
    format!("The old {thing} stood in the {place}. Nobody had touched it for {n} years. Then it was painted blue.\n\n")
}
