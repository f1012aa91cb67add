//! From a table of texts and labels to a classifier and its answers, in seconds.
//!
//! ```sh
//! cargo run --release --package burnformer --example finetune -- MODEL
//! ```
//!
//! `MODEL` is the folder of a pretrained model; without one, the example `pretrain` makes one first.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use burnformer::data::readers::{Columns, Format, Input};
use burnformer::ops::DeviceChoice;
use burnformer::recipes::finetune::TextClassification as ClassifyTexts;
use burnformer::recipes::reports::FinetuneReport;
use burnformer::recipes::{Context, Finetune, FinetuneSettings, Overrides, Recipe, Report};
use burnformer::tasks::TextClassification;

#[path = "pretrain.rs"]
#[expect(dead_code, reason = "its `main`")]
mod pretrain;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("burnformer-finetune-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    println!("{}", run(&folder, std::env::args().nth(1).map(PathBuf::from))?.text());
    Ok(())
}

/// Fine-tunes `model` on a few texts below `folder`, where the run goes to `classifier`.
pub(crate) fn run(folder: &Path, model: Option<PathBuf>) -> Result<FinetuneReport, Box<dyn Error>> {
    let model = match model {
        Some(model) => model,
        None => pretrain::run(folder).map(|report| report.run.folder)?,
    };
    let table = |name: &str, rows: std::ops::Range<usize>| -> std::io::Result<Input> {
        let path = folder.join(name);
        fs::write(&path, format!("text,state\n{}", rows.map(row).collect::<String>()))?;
        let columns = Columns { text: "text".to_owned(), label: Some("state".to_owned()), ..Columns::default() };
        let format = Format::Csv { columns, header: true, delimiter: ',' };
        Ok(Input::new(vec![path.display().to_string()], format))
    };
    let settings = FinetuneSettings::new(&model, table("train.csv", 0..48)?);
    let sets = ["train.micro_batch_size=8".to_owned(), "train.optimizer.learning_rate=0.003".to_owned()];
    let overrides = Overrides { file: None, sets: &sets };
    let context = Context::default();
    let recipe =
        Finetune::<ClassifyTexts>::begin(settings, 4.0, Some(&table("test.csv", 48..60)?), &overrides, &context)?;
    let report = recipe.run(&folder.join("classifier"), &context)?;

    let classifier = TextClassification::load(&report.run.folder, &DeviceChoice::Auto.open()?)?;
    let text = "The blue kettle in the kitchen is broken.";
    for answer in classifier.classify(&[(text, None)])? {
        println!("{} ({:.3}): {text}\n", answer.label, answer.probability);
    }
    Ok(report)
}

fn row(n: usize) -> String {
    let (state, words) = [("bad", "is broken and leaks"), ("good", "works well"), ("good", "is as good as new")][n % 3];
    let (thing, place) =
        (["boat", "lamp", "kettle", "clock"][n % 4], ["shed", "attic", "cellar", "kitchen", "garage"][n / 12]);
    format!("The {thing} in the {place} {words}.,{state}\n")
}
