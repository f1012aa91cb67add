//! What a demonstration has shown.

use std::fmt::{self, Display, Formatter};

use anyhow::{Result, bail};
use burnformer_reports::{ClassificationScores, FinetuneReport, PretrainReport};
use serde::Deserialize;

use super::plan::Size;

/// The result of `burnformer fill-mask --format json`, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Filled {
    text: String,
    masks: Vec<Mask>,
}

#[derive(Debug, Deserialize)]
struct Mask {
    fills: Vec<Fill>,
}

#[derive(Debug, Deserialize)]
struct Fill {
    token: String,
    probability: f64,
}

/// What was measured on the test items.
#[derive(Default)]
pub(super) struct Rows(Vec<Row>);

struct Row {
    size: &'static str,
    texts: u64,
    method: String,
    scores: ClassificationScores,
    folder: Option<String>,
}

const FINE_TUNED: &str = "fine-tuned";
const UNPRETRAINED: &str = "without pretraining";

impl Rows {
    /// Adds a fine-tuned model, and the simple methods that were measured with it.
    pub(super) fn add(&mut self, size: &Size, from_scratch: bool, finetuned: Option<FinetuneReport>, folder: String) {
        let Some(FinetuneReport { training_texts, test: Some(test), baselines, .. }) = finetuned else { return };
        let row =
            |method: String, scores, folder| Row { size: size.name, texts: training_texts, method, scores, folder };
        self.0.extend(baselines.into_iter().map(|it| row(it.name, it.scores, None)));
        let method = if from_scratch { UNPRETRAINED } else { FINE_TUNED };
        self.0.push(row(method.to_owned(), test, Some(folder)));
    }

    /// By how many standard errors of the difference the fine-tuned model is better than the one without pretraining, for
    /// the smallest number of labels.
    fn advantage(&self) -> Option<f64> {
        let size = self.0.first()?.size;
        let of = |method| self.0.iter().find(|row| row.size == size && row.method == method).map(|row| &row.scores);
        let (pretrained, fresh) = (of(FINE_TUNED)?, of(UNPRETRAINED)?);
        let error = pretrained.macro_f1_standard_error.hypot(fresh.macro_f1_standard_error);
        Some((pretrained.macro_f1 - fresh.macro_f1) / error)
    }
}

/// The end of a demonstration.
pub(super) struct Closing {
    pub(super) pretraining: PretrainReport,
    pub(super) rows: Rows,
    pub(super) fills: Vec<Filled>,
    pub(super) seconds: f64,
    pub(super) pretrained: String,
}

impl Closing {
    /// Makes sure that pretraining has learnt more than how frequent tokens are, and that it is worth something to a model
    /// with few labels.
    ///
    /// # Errors
    /// If it has not, or is not.
    pub(super) fn check(&self) -> Result<()> {
        let below = self.pretraining.validation.as_ref().map_or(f64::NAN, |validation| {
            validation.unigram_entropy - validation.metrics.get("mlm_loss").unwrap_or(f64::NAN)
        });
        let advantage = self.rows.advantage().unwrap_or(f64::NAN);
        if below >= 0.3 && advantage > 2.0 {
            return Ok(());
        }
        bail!(
            "expected a masked-language-model loss at least 0.3 nats below the unigram entropy, found {below:.3}; and the \
             fine-tuned model more than 2 standard errors better than without pretraining, found {advantage:.1}"
        )
    }
}

impl Display for Closing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let PretrainReport { run, validation } = &self.pretraining;
        writeln!(f, "\n== what came of it, in {:.0} s\n", self.seconds)?;
        writeln!(f, "pretraining: {} steps, {} tokens, {:.0} s", run.steps, run.tokens, run.seconds)?;
        if let Some(validation) = validation {
            let metric = |name: &str| validation.metrics.get(name).unwrap_or(f64::NAN);
            let (loss, entropy) = (metric("mlm_loss"), validation.unigram_entropy);
            let below = entropy - loss;
            writeln!(f, "  hidden tokens: loss {loss:.3} nats, {below:.3} below the unigram entropy {entropy:.3}")?;
            if let Some((low, high)) = validation.nsp_accuracy_interval {
                let (accuracy, pairs) = (metric("nsp_accuracy"), validation.pairs);
                writeln!(
                    f,
                    "  next sentence: accuracy {accuracy:.3}, 95 % interval {low:.3} to {high:.3} ({pairs} pairs)"
                )?;
            }
        }
        writeln!(f, "\nwhat kind of item does a sentence document? (repositories that no model has seen)\n")?;
        writeln!(
            f,
            "  {:<12} {:>7}  {:<20} {:>9}  {:>8} ± {:<6}",
            "labels", "texts", "method", "accuracy", "macro F1", "error"
        )?;
        for Row { size, texts, method, scores, .. } in &self.rows.0 {
            let ClassificationScores { accuracy, macro_f1, macro_f1_standard_error, .. } = scores;
            writeln!(
                f,
                "  {size:<12} {texts:>7}  {method:<20} {accuracy:>9.3}  {macro_f1:>8.3} ± {macro_f1_standard_error:<6.3}"
            )?;
        }
        if let Some(advantage) = self.rows.advantage() {
            let first = self.rows.0.first().map_or("", |row| row.size);
            writeln!(f, "\n  pretraining is worth {advantage:.1} standard errors of macro F1 at {first}")?;
        }
        writeln!(f, "\nwhat stands behind the mask?\n")?;
        for Filled { text, masks } in &self.fills {
            writeln!(f, "  {text}")?;
            for mask in masks {
                let fills = mask.fills.iter().map(|fill| format!("{} {:.2}", fill.token, fill.probability));
                writeln!(f, "    {}", fills.collect::<Vec<_>>().join(", "))?;
            }
        }
        writeln!(f, "\nrun folders\n\n  {}", self.pretrained)?;
        self.rows.0.iter().filter_map(|row| row.folder.as_ref()).try_for_each(|folder| writeln!(f, "  {folder}"))
    }
}

#[cfg(test)]
mod tests {
    use burnformer_reports::{Baseline, PretrainingScores, RepeatedTexts, RunSummary, Stopped};

    use super::*;

    fn run() -> RunSummary {
        let stopped = Stopped::Finished;
        RunSummary {
            folder: "runs/a".into(),
            stopped,
            steps: 9,
            best_step: 9,
            tokens: 100,
            seconds: 1.5,
            peak_memory_bytes: None,
        }
    }

    fn scores(macro_f1: f64) -> ClassificationScores {
        ClassificationScores {
            texts: 0,
            accuracy: 0.5,
            macro_f1,
            macro_f1_standard_error: 0.01,
            ..ClassificationScores::default()
        }
    }

    fn closing(mlm_loss: f64, pretrained: f64, fresh: f64) -> Closing {
        let validation = PretrainingScores {
            samples: 20,
            masked_tokens: 50,
            pairs: 10,
            metrics: [("mlm_loss", mlm_loss), ("nsp_accuracy", 0.6)].into_iter().collect(),
            unigram_entropy: 6.0,
            nsp_accuracy_interval: Some((0.3, 0.8)),
        };
        let mut rows = Rows::default();
        let size = Size { name: "100-labels", per_class: Some(100), epochs: 1 };
        for (from_scratch, macro_f1) in [(false, pretrained), (true, fresh)] {
            let bag = Baseline { name: "bag of words".to_owned(), scores: scores(macro_f1) };
            let finetuned = FinetuneReport {
                run: run(),
                training_texts: 600,
                repeated: RepeatedTexts::default(),
                majority_accuracy: None,
                validation: scores(0.0),
                test: Some(scores(macro_f1)),
                baselines: if from_scratch { Vec::new() } else { vec![bag] },
            };
            rows.add(&size, from_scratch, Some(finetuned), "runs/a".to_owned());
        }
        Closing {
            pretraining: PretrainReport { run: run(), validation: Some(validation) },
            rows,
            fills: Vec::new(),
            seconds: 1.0,
            pretrained: "runs/p".to_owned(),
        }
    }

    #[test]
    fn pretraining_must_be_worth_something() {
        assert!(closing(5.69, 0.5, 0.47).check().is_ok());
        assert!(closing(5.71, 0.5, 0.47).check().is_err(), "0.29 nats");
        assert!(closing(5.69, 0.5, 0.472).check().is_err(), "1.98 standard errors");
        let mut unmeasured = closing(5.0, 0.5, 0.4);
        unmeasured.pretraining.validation = None;
        assert!(unmeasured.check().is_err());
    }

    #[test]
    fn the_table_has_a_row_for_each_method() {
        let text = closing(5.5, 0.5, 0.4).to_string();
        for method in ["bag of words", FINE_TUNED, UNPRETRAINED] {
            assert_eq!(text.matches(method).count(), 1, "{text}");
        }
        assert!(text.contains("loss 5.500 nats, 0.500 below the unigram entropy 6.000"), "{text}");
        assert!(text.contains("pretraining is worth 7.1 standard errors of macro F1 at 100-labels"), "{text}");
    }
}
