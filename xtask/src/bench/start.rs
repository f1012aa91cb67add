//! The start of the program: `predict` of one text by a small classifier, from the command line to the end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};

use super::comparison::{Line, OURS, median};
use super::peer::Peer;
use crate::invocation::{Invocation, Runner};

const TEXT: &str = "a red parcel";
/// Timed starts of our side.
const RUNS: usize = 20;

/// Makes the classifier in `folder`, newly, and returns its place.
///
/// # Errors
/// If the disk or a command fails.
pub(super) fn prepare(runner: &Runner, program: &str, folder: &Path) -> Result<String> {
    let at = |name: &str| folder.join(name).display().to_string();
    if !runner.is_dry_run() {
        let folder = runner.root().join(folder);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
        }
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("texts.csv"), texts()))
            .with_context(|| format!("cannot write into `{}`", folder.display()))?;
    }
    let [texts, tokenizer, corpus, pretrained, classifier] =
        ["texts.csv", "tokenizer", "corpus", "pretrained", "classifier"].map(at);
    let steps = [
        format!("tokenizer train --input {texts} --text-column text --out {tokenizer}"),
        format!("data build --input {texts} --text-column text --tokenizer {tokenizer} --out {corpus}"),
        format!("pretrain --corpus {corpus} --preset bert-tiny --steps 1 --device flex --out {pretrained}"),
        format!(
            "finetune --model {pretrained} --train {texts} --label-column label --epochs 1 --device flex --out {classifier}"
        ),
    ];
    for step in steps {
        runner.run(&Invocation::new(program, step.split(' ')).args(["--quiet"]))?;
    }
    Ok(classifier)
}

/// Texts with four labels.
fn texts() -> String {
    const COLOURS: [&str; 4] = ["red", "green", "blue", "grey"];
    const THINGS: [&str; 5] = ["parcel", "ladder", "window", "engine", "garden"];
    let mut text = "text,label\n".to_owned();
    for (colour, thing) in (0..60).map(|row| (COLOURS[row % 4], THINGS[row / 4 % 5])) {
        let _ = writeln!(text, "a {colour} {thing},{colour}");
    }
    text
}

/// The work of one side: its command line, and how often it is timed.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) invocation: Invocation,
    /// That of our side.
    device: Option<&'static str>,
    runs: usize,
}

impl Start {
    pub(super) fn ours(program: &str, model: &str, device: &'static str) -> Self {
        let invocation = Invocation::new(program, ["predict", model, TEXT, "--device", device]);
        Self { invocation, device: Some(device), runs: RUNS }
    }

    /// transformers, which takes seconds.
    pub(super) fn torch(python: &str, model: &str) -> Self {
        let invocation = Invocation::new(python, ["benches/peers/torch_start.py", model, TEXT]);
        Self { invocation, device: None, runs: 3 }
    }

    /// Runs it once, which fills the cache of files, then against the clock.
    ///
    /// # Errors
    /// If the program fails.
    pub(super) fn measure(&self, runner: &Runner) -> Result<Line> {
        runner.output(&self.invocation)?;
        let mut ms = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            let start = Instant::now();
            runner.silently(&self.invocation)?;
            ms.push((start.elapsed().as_secs_f64() * 1e5).round() / 100.0);
        }
        Ok(Line {
            peer: self.device.map_or(Peer::Torch.name(), |_| OURS).into(),
            version: None,
            case: "start".into(),
            device: self.device.map(Into::into),
            dtype: "f32".into(),
            ms: median(&ms),
            min: ms.iter().copied().fold(f64::INFINITY, f64::min),
            max: ms.iter().copied().fold(0.0, f64::max),
            tokens_per_s: None,
            peak_rss_mib: None,
            threads: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_texts() {
        let texts = texts();
        assert_eq!(texts.lines().next(), Some("text,label"));
        for colour in ["red", "green", "blue", "grey"] {
            let rows = texts.lines().filter(|row| row.ends_with(&format!(",{colour}"))).count();
            assert_eq!(rows, 15, "{colour}");
        }
    }
}
