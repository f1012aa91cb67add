//! Reports as text for people.

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::time::Duration;

use burnformer_core::files::{FileError, atomic_write_bytes};
use burnformer_models::ModelSize;
use burnformer_reports::{
    CausalLmReport, CausalLmScores, ClassificationScores, Evaluation, FinetuneReport, Memory, PairScores, Plan,
    PretrainReport, PretrainingScores, QuestionAnsweringScores, RepeatedTexts, RunSummary, TokenClassificationScores,
    TrainSeq2SeqReport, first_of,
};
use burnformer_tasks::FilledText;
use burnformer_train::PictureError;
use indicatif::{HumanBytes, HumanCount, HumanDuration};
use serde::Serialize;

use crate::class_scores;
use crate::heat_map::heat_map;
use crate::{
    AdapterFacts, Comparison, CorpusScores, Inspection, RecipeError, ScoreReport, TranslationScores, TranslatorScores,
};

/// A report: JSON for programs, text for people.
pub trait Report: Serialize {
    /// The report as text for a fixed-width font; the last line ends with a line break.
    fn text(&self) -> String;

    /// Pictures of the report as SVG documents, each with the name of its file.
    ///
    /// # Errors
    /// If the drawing itself fails.
    fn pictures(&self) -> Result<Vec<Picture>, PictureError> {
        Ok(Vec::new())
    }
}

/// An SVG document with the name of its file.
pub type Picture = (&'static str, String);

/// A report of any type.
pub trait AnyReport {
    /// [`Report::text`].
    fn to_text(&self) -> String;

    /// The report as JSON, indented.
    ///
    /// # Errors
    /// If it has a key that JSON cannot have.
    fn to_json(&self) -> serde_json::Result<String>;

    /// The report as a value of JSON.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    fn to_value(&self) -> serde_json::Result<serde_json::Value>;

    /// [`Report::pictures`].
    ///
    /// # Errors
    /// As there.
    fn to_pictures(&self) -> Result<Vec<Picture>, PictureError>;
}

impl<R: Report> AnyReport for R {
    fn to_text(&self) -> String {
        self.text()
    }

    fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    fn to_value(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }

    fn to_pictures(&self) -> Result<Vec<Picture>, PictureError> {
        self.pictures()
    }
}

/// Writes the pictures of a report into `folder`, which is created if it is not there. Returns their number.
///
/// # Errors
/// If a picture cannot be drawn or written.
pub fn write_pictures(report: &dyn AnyReport, folder: &Path) -> Result<usize, RecipeError> {
    let pictures = report.to_pictures()?;
    if !pictures.is_empty() {
        let created = fs::create_dir_all(folder);
        created.map_err(|source| FileError::Io { attempt: "create", path: folder.to_owned(), source })?;
    }
    for (name, svg) in &pictures {
        atomic_write_bytes(&folder.join(name), svg)?;
    }
    Ok(pictures.len())
}

/// Scores of a supervised task.
pub trait TaskScores: Serialize + Clone + Send {
    /// Each number with its name.
    fn lines(&self) -> Vec<(String, String)>;

    /// What a report shows below the numbers, such as a table; ends with a line break, unless it is empty.
    fn details(&self) -> String {
        String::new()
    }

    /// [`Report::pictures`] of a report of these scores.
    ///
    /// # Errors
    /// As there.
    fn pictures(&self) -> Result<Vec<Picture>, PictureError> {
        Ok(Vec::new())
    }
}

/// Most classes that a list for people has.
pub(crate) const MOST_NAMED: usize = 100;

/// A line of a report: name and value.
pub(crate) fn fact(name: &str, value: impl Display) -> String {
    format!("{name:<20} {value}\n")
}

fn facts(lines: Vec<(String, String)>) -> String {
    lines.iter().map(|(name, value)| fact(name, value)).collect()
}

/// A number in few digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        _ if (1e3..1e15).contains(&value) => HumanCount(value as u64).to_string(),
        size if (0.01..1e3).contains(&size) || size == 0.0 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

impl Report for Plan {
    fn text(&self) -> String {
        let Memory { program, weights, gradients, moments, activations } = self.memory;
        let parts = [
            ("weights", weights),
            ("gradients", gradients),
            ("moments", moments),
            ("activations", activations),
            ("program and data", program),
        ];
        let parts = parts.map(|(name, bytes)| format!("{name} {}", HumanBytes(bytes))).join(", ");
        let tokens = HumanCount(self.tokens_per_step);
        let processes = match self.processes {
            1 => String::new(),
            n => fact("processes", format_args!("{n}, each with the memory below")),
        };
        [
            fact("device", &self.device),
            fact("parameters", HumanCount(self.parameters)),
            self.trained.map_or_else(String::new, |trained| fact("trained parameters", HumanCount(trained))),
            fact("training samples", HumanCount(self.samples)),
            fact("steps", format_args!("{} ({:.1} epochs)", HumanCount(self.steps), self.epochs)),
            fact("tokens per step", format_args!("at most {tokens}, in {} samples", self.samples_per_step)),
            processes,
            fact("memory, about", format_args!("{} ({parts})", HumanBytes(self.memory_bytes))),
            self.data.as_ref().map_or_else(String::new, |data| format!("\ndata\n{}", facts(data.lines()))),
        ]
        .concat()
    }
}

impl Report for RunSummary {
    fn text(&self) -> String {
        let steps = HumanCount(self.steps);
        let duration = HumanDuration(Duration::from_secs_f64(self.seconds));
        let speed = HumanCount((self.tokens as f64 / self.seconds.max(1e-9)) as u64);
        [
            fact("run", self.folder.display()),
            fact("steps", format_args!("{steps} ({}; best model after {})", self.stopped.reason(), self.best_step)),
            fact("tokens", HumanCount(self.tokens)),
            fact("time", format_args!("{duration} ({speed} tokens/s)")),
            self.peak_memory_bytes.map(|bytes| fact("peak memory", HumanBytes(bytes))).unwrap_or_default(),
        ]
        .concat()
    }
}

impl TaskScores for ClassificationScores {
    fn lines(&self) -> Vec<(String, String)> {
        self.lines()
    }

    fn details(&self) -> String {
        class_scores::confusion(self).table(&self.labels)
    }

    fn pictures(&self) -> Result<Vec<Picture>, PictureError> {
        class_scores::pictures(self)
    }
}

impl Report for PretrainingScores {
    fn text(&self) -> String {
        facts(self.lines())
    }
}

impl Report for CausalLmScores {
    fn text(&self) -> String {
        facts(self.lines())
    }
}

impl Report for CausalLmReport {
    fn text(&self) -> String {
        self.run.text() + &self.validation.as_ref().map_or_else(String::new, Report::text)
    }
}

/// What was evaluated on what.
fn evaluated<S>(evaluation: &Evaluation<S>) -> String {
    fact("model", evaluation.folder.display()) + &fact("data", &evaluation.data)
}

impl<S: TaskScores> Report for Evaluation<S> {
    fn text(&self) -> String {
        format!("{}{}\n{}", evaluated(self), facts(self.scores.lines()), self.scores.details())
    }

    fn pictures(&self) -> Result<Vec<Picture>, PictureError> {
        self.scores.pictures()
    }
}

impl Report for Evaluation<CorpusScores> {
    fn text(&self) -> String {
        evaluated(self)
            + &match &self.scores {
                CorpusScores::Pretraining(scores) => scores.text(),
                CorpusScores::CausalLm(scores) => scores.text(),
            }
    }
}

impl Report for PairScores {
    fn text(&self) -> String {
        let (pairs, tokens) = (HumanCount(self.pairs), HumanCount(self.target_tokens));
        fact("validation", format_args!("{pairs} pairs, {tokens} target tokens")) + &facts(self.lines())
    }
}

impl TaskScores for TokenClassificationScores {
    fn lines(&self) -> Vec<(String, String)> {
        self.lines()
    }

    fn details(&self) -> String {
        entity_table(self)
    }
}

impl TaskScores for QuestionAnsweringScores {
    fn lines(&self) -> Vec<(String, String)> {
        self.lines()
    }
}

/// The scores of each type of entities.
fn entity_table(scores: &TokenClassificationScores) -> String {
    let head = if scores.by_word { "tag" } else { "entity" };
    let rows = scores.entities.iter().map(|it| (it.label.as_str(), [it.precision, it.recall, it.f1], it.support));
    score_table(head, rows)
}

/// Precision, recall and F1 of each row, and its number of examples, behind its name.
pub(crate) fn score_table<'a>(head: &str, rows: impl Iterator<Item = (&'a str, [f64; 3], u64)> + Clone) -> String {
    let width = rows.clone().map(|(name, ..)| name.chars().count()).chain([head.len()]).max().unwrap_or(0);
    let mut text = format!("{head:<width$}  precision  recall      f1  support\n");
    for (name, [precision, recall, f1], support) in rows {
        text += &format!("{name:<width$}  {precision:>9.4}  {recall:.4}  {f1:.4}  {support:>7}\n");
    }
    text
}

/// Lines on the texts of a part that are in another part too.
pub(crate) fn leaks(repeated: &RepeatedTexts, part: &str) -> Vec<(String, String)> {
    let leaks = repeated.leaks().into_iter().filter(|leak| leak.0 == part);
    leaks.map(|(_, texts, others)| (format!("also in {others}"), HumanCount(texts).to_string())).collect()
}

impl<S: TaskScores> Report for FinetuneReport<S> {
    fn text(&self) -> String {
        let part =
            |name, scores: &S| format!("{name}\n{}{}\n", facts(leaks(&self.repeated, name)), facts(scores.lines()));
        let mut text = format!("{}\n{}", self.run.text(), part("validation", &self.validation));
        text += &self.test.as_ref().map_or_else(String::new, |test| part("test", test));
        for baseline in &self.baselines {
            text += &format!("test, {}\n{}\n", baseline.name, facts(baseline.scores.lines()));
        }
        text + &self.test.as_ref().unwrap_or(&self.validation).details()
    }

    fn pictures(&self) -> Result<Vec<Picture>, PictureError> {
        self.test.as_ref().unwrap_or(&self.validation).pictures()
    }
}

impl Report for PretrainReport {
    fn text(&self) -> String {
        self.run.text() + &self.validation.as_ref().map_or_else(String::new, Report::text)
    }
}

impl Report for TrainSeq2SeqReport {
    fn text(&self) -> String {
        self.run.text() + &self.validation.as_ref().map_or_else(String::new, Report::text)
    }
}

impl Report for TranslationScores {
    fn text(&self) -> String {
        format!("{}\n  {}\n{}\n  {}\n", self.bleu, self.bleu_signature, self.chrf, self.chrf_signature)
    }
}

impl Report for ScoreReport {
    fn text(&self) -> String {
        let mut text = self.scores.text();
        let Some(Comparison { bleu, chrf }) = &self.comparison else { return text };
        for (name, it) in [("BLEU", bleu), ("chrF", chrf)] {
            let (system, baseline) = (&it.system, &it.baseline);
            let difference = system.score - baseline.score;
            let spread = |mean: f64, half_width: f64| format!("{mean:.2} ± {half_width:.2}");
            text += &fact(&format!("{name}, baseline"), spread(baseline.mean, baseline.half_width));
            text += &fact(&format!("{name}, system"), spread(system.mean, system.half_width));
            text += &fact(&format!("{name}, difference"), format_args!("{difference:+.2} (p = {:.4})", it.p_value));
        }
        text
    }
}

impl Report for Evaluation<TranslatorScores> {
    fn text(&self) -> String {
        let scores = &self.scores;
        let mut text = evaluated(self);
        text += &fact("pairs", HumanCount(scores.pairs as u64));
        if scores.left_out > 0 {
            let left_out = HumanCount(scores.left_out as u64);
            text += &fact("skipped", format_args!("{left_out} pairs too long for the model (in the perplexity only)"));
        }
        if let (Some(perplexity), Some(accuracy)) = (scores.perplexity, scores.accuracy) {
            let tokens = HumanCount(scores.target_tokens);
            text += &fact("perplexity", format_args!("{perplexity:.3} ({tokens} target tokens)"));
            text += &fact("accuracy", format_args!("{accuracy:.4}"));
        }
        text += &fact("translation time", format_args!("{:.1} s", scores.seconds));
        text + &scores.scores.text()
    }
}

impl Report for FilledText<'_> {
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.text);
        for (number, mask) in self.masks.iter().enumerate() {
            if self.masks.len() > 1 {
                text += &format!("  mask {}\n", number + 1);
            }
            for fill in &mask.fills {
                text += &format!("  {:>7.4}  {:<16} {}\n", fill.probability, fill.token, fill.text);
            }
        }
        text
    }
}

/// Lines on the sizes of a model.
fn size_text(size: &ModelSize) -> String {
    let count = |n: usize| HumanCount(n as u64).to_string();
    let is_pair = size.n_encoder_layers > 0 && size.n_decoder_layers > 0;
    let layers = match is_pair {
        true => format!("{} encoder, {} decoder", size.n_encoder_layers, size.n_decoder_layers),
        false => (size.n_encoder_layers + size.n_decoder_layers).to_string(),
    };
    let source = count(size.vocab_size);
    let vocabulary = match size.target_vocab_size {
        Some(target) => format!("{source} source tokens, {} target tokens", count(target)),
        None if is_pair => format!("{source} tokens for both sides"),
        None => format!("{source} tokens"),
    };
    let ModelSize { d_model, n_heads, d_ff, max_seq_length, .. } = size;
    [
        fact("layers", layers),
        fact("width", format_args!("{d_model}, {n_heads} heads, feed-forward {d_ff}")),
        fact("vocabulary", vocabulary),
        fact("longest sequence", format_args!("{max_seq_length} tokens")),
    ]
    .concat()
}

impl Report for Inspection {
    fn text(&self) -> String {
        let mut text =
            fact("model", self.folder.display()) + &fact("architecture", &self.architecture) + &size_text(&self.size);
        if !self.labels.is_empty() {
            text += &fact("classes", first_of(&self.labels, MOST_NAMED));
        }
        text += &self.outputs.map(|outputs| fact("answer to a text", outputs)).unwrap_or_default();
        if let Some(AdapterFacts { base, r, lora_alpha, .. }) = &self.adapter {
            text += &fact("adapter", format_args!("LoRA of rank {r}, alpha {lora_alpha}, on `{}`", base.display()));
        }
        text += "\nparameters\n";
        for block in &self.blocks {
            let share = 100.0 * block.parameters as f64 / self.parameters as f64;
            let count = HumanCount(block.parameters as u64).to_string();
            text += &format!("  {:<32} {count:>14} {share:>6.1} %\n", block.name);
        }
        text += &format!("  {:<32} {:>14}\n", "all", HumanCount(self.parameters as u64).to_string());
        if !self.history.is_empty() {
            text += "\ntraining history\n";
        }
        for point in &self.history {
            let values = point.values.iter().map(|(name, value)| format!("{name} {}", number(*value)));
            let values = values.collect::<Vec<_>>().join("  ");
            text += &format!("  step {:>8} {:<11} {values}\n", point.step, point.split);
        }
        let of = self.head.map_or_else(|| "mean over heads".to_owned(), |head| format!("head {head}"));
        if let Some(map) = &self.attention {
            for layer in 0..map.weights.len() {
                text += &format!("\nattention of layer {} ({of}): rows are queries, columns are keys\n", layer + 1);
                text += &heat_map(&map.tokens, &map.mean_over_heads(layer));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        let shown = [0.0, 0.5, -0.25, 1234567.9, 0.00123, -2e6, 1e20, f64::INFINITY, f64::NAN].map(number);
        let expected = ["0.0000", "0.5000", "-0.2500", "1,234,567", "1.23e-3", "-2.00e6", "1.00e20", "inf", "NaN"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_plan_has_a_line_for_each_size() {
        let memory = Memory { program: 1024, weights: 1024, gradients: 1024, moments: 2048, activations: 0 };
        let plan = Plan {
            device: "flex".to_owned(),
            parameters: 1234,
            trained: None,
            samples: 64,
            steps: 16,
            samples_per_step: 8,
            tokens_per_step: 1024,
            epochs: 2.0,
            processes: 1,
            memory_bytes: memory.total(),
            available_bytes: None,
            warning: None,
            memory,
            data: None,
            settings: String::new(),
        };
        let expected = "device               flex\n\
                        parameters           1,234\n\
                        training samples     64\n\
                        steps                16 (2.0 epochs)\n\
                        tokens per step      at most 1,024, in 8 samples\n\
                        memory, about        5.00 KiB (weights 1.00 KiB, gradients 1.00 KiB, moments 2.00 KiB, activations 0 B, \
                        program and data 1.00 KiB)\n";
        assert_eq!(plan.text(), expected);
        let shared = Plan { processes: 4, ..plan }.text();
        assert!(shared.contains("\nprocesses            4, each with the memory below\nmemory, about "), "{shared}");
    }
}
