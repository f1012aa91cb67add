//! What a demonstration has shown.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use anyhow::{Result, bail};
use serde::Deserialize;

use super::plan::Size;

/// The result of `burnformer pretrain --format json`, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Pretrained {
    steps: u64,
    tokens: u64,
    seconds: f64,
    validation: Validation,
}

#[derive(Debug, Deserialize)]
struct Validation {
    metrics: BTreeMap<String, f64>,
    unigram_entropy: f64,
    pairs: u64,
    nsp_accuracy_interval: Option<(f64, f64)>,
}

/// The result of `burnformer finetune --format json`, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Finetuned {
    training_texts: u64,
    test: Scores,
    #[serde(default)]
    baselines: Vec<Baseline>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Scores {
    accuracy: f64,
    macro_f1: f64,
    macro_f1_standard_error: f64,
}

#[derive(Debug, Deserialize)]
struct Baseline {
    name: String,
    #[serde(flatten)]
    scores: Scores,
}

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
    scores: Scores,
    folder: Option<String>,
}

const FINE_TUNED: &str = "fine-tuned";
const UNPRETRAINED: &str = "without pretraining";

impl Rows {
    /// Adds a fine-tuned model, and the simple methods that were measured with it.
    pub(super) fn add(&mut self, size: &Size, from_scratch: bool, finetuned: Option<Finetuned>, folder: String) {
        let Some(Finetuned { training_texts, test, baselines }) = finetuned else { return };
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
        let of = |method| self.0.iter().find(|row| row.size == size && row.method == method).map(|row| row.scores);
        let (pretrained, fresh) = (of(FINE_TUNED)?, of(UNPRETRAINED)?);
        let error = pretrained.macro_f1_standard_error.hypot(fresh.macro_f1_standard_error);
        Some((pretrained.macro_f1 - fresh.macro_f1) / error)
    }
}

/// The end of a demonstration.
pub(super) struct Closing {
    pub(super) pretraining: Pretrained,
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
        let validation = &self.pretraining.validation;
        let below = validation.unigram_entropy - validation.metrics.get("mlm_loss").copied().unwrap_or(f64::NAN);
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
        let Pretrained { steps, tokens, seconds, validation } = &self.pretraining;
        let metric = |name: &str| validation.metrics.get(name).copied().unwrap_or(f64::NAN);
        let (loss, entropy) = (metric("mlm_loss"), validation.unigram_entropy);
        writeln!(f, "\n== what came of it, in {:.0} s\n", self.seconds)?;
        writeln!(f, "pretraining: {steps} steps, {tokens} tokens, {seconds:.0} s")?;
        writeln!(
            f,
            "  hidden tokens: loss {loss:.3} nats, {:.3} below the unigram entropy {entropy:.3}",
            entropy - loss
        )?;
        if let Some((low, high)) = validation.nsp_accuracy_interval {
            let accuracy = metric("nsp_accuracy");
            writeln!(
                f,
                "  next sentence: accuracy {accuracy:.3}, 95 % interval {low:.3} to {high:.3} ({} pairs)",
                validation.pairs
            )?;
        }
        writeln!(f, "\nwhat kind of item does a sentence document? (repositories that no model has seen)\n")?;
        writeln!(
            f,
            "  {:<12} {:>7}  {:<20} {:>9}  {:>8} ± {:<6}",
            "labels", "texts", "method", "accuracy", "macro F1", "error"
        )?;
        for Row { size, texts, method, scores, .. } in &self.rows.0 {
            let Scores { accuracy, macro_f1, macro_f1_standard_error } = scores;
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
    use super::*;

    fn closing(mlm_loss: f64, pretrained: f64, fresh: f64) -> Closing {
        let pretraining = serde_json::json!({
            "steps": 9, "tokens": 100, "seconds": 1.5, "stopped": "all steps done",
            "validation": {
                "metrics": {"mlm_loss": mlm_loss, "nsp_accuracy": 0.6}, "unigram_entropy": 6.0, "pairs": 10,
                "nsp_accuracy_interval": [0.3, 0.8],
            },
        });
        let mut rows = Rows::default();
        let size = Size { name: "100-labels", per_class: Some(100), epochs: 1 };
        for (from_scratch, macro_f1) in [(false, pretrained), (true, fresh)] {
            let scores = serde_json::json!({"accuracy": 0.5, "macro_f1": macro_f1, "macro_f1_standard_error": 0.01});
            let mut finetuned = serde_json::json!({"training_texts": 600, "test": scores});
            if !from_scratch {
                let mut baseline = scores.clone();
                baseline["name"] = "bag of words".into();
                finetuned["baselines"] = serde_json::json!([baseline]);
            }
            rows.add(&size, from_scratch, Some(serde_json::from_value(finetuned).unwrap()), "runs/a".to_owned());
        }
        Closing {
            pretraining: serde_json::from_value(pretraining).unwrap(),
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
        unmeasured.pretraining.validation.metrics.clear();
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
