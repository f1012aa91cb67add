//! The report of a search as text for people.

use burnformer_reports::{SearchReport, TrialReport};
use indicatif::HumanCount;

use crate::Report;
use crate::runs_text::table;
use crate::text::{fact, number};

/// Most trials that are shown.
const MOST_SHOWN: usize = 20;
/// Longest error that is shown.
const LONGEST: usize = 80;

impl Report for SearchReport {
    fn text(&self) -> String {
        let of = |state: &str| self.trials.iter().filter(|trial| trial.state == state).count();
        let counts = ["complete", "pruned", "failed"].map(|state| format!("{} {state}", HumanCount(of(state) as u64)));
        let mut text = fact("search", self.folder.display());
        text += &fact("trials", format_args!("{} ({})", HumanCount(self.trials.len() as u64), counts.join(", ")));
        text +=
            &fact("metric", format_args!("{}, {} is better", self.metric, if self.maximize { "more" } else { "less" }));
        if let Some(best) = self.best.and_then(|best| self.trials.get(best)) {
            let value = best.value.map_or_else(|| "-".to_owned(), number);
            text += &fact(
                "best trial",
                format_args!("{} ({} {value}, {})", best.number, self.metric, best.folder.display()),
            );
        }
        if let Some(file) = &self.best_settings {
            text += &fact("best settings", format_args!("{}, for `--config`", file.display()));
        }
        text += &format!("\n{}", trials_table(self));
        if let Some(shares) = &self.importance {
            let mut shares: Vec<(&String, &f64)> = shares.iter().collect();
            shares.sort_by(|a, b| b.1.total_cmp(a.1));
            text += "\nimportance\n";
            text += &table(
                &shares.iter().map(|(key, share)| vec![(*key).clone(), format!("{share:.2}")]).collect::<Vec<_>>(),
            );
        }
        text
    }
}

/// The best trials first.
fn trials_table(report: &SearchReport) -> String {
    let mut trials: Vec<&TrialReport> = report.trials.iter().collect();
    let score = |trial: &TrialReport| {
        let value = trial.value.filter(|value| value.is_finite());
        value.map_or(f64::NEG_INFINITY, |value| if report.maximize { value } else { -value })
    };
    let is_complete = |trial: &TrialReport| trial.state == "complete";
    trials.sort_by(|a, b| {
        let by_end = is_complete(b).cmp(&is_complete(a)).then(b.error.is_none().cmp(&a.error.is_none()));
        by_end.then(score(b).total_cmp(&score(a)))
    });
    let keys: Vec<&String> = trials.first().map(|trial| trial.settings.keys().collect()).unwrap_or_default();
    let head = ["trial", "state", "steps", report.metric.as_str()].into_iter().map(str::to_owned);
    let head = head.chain(keys.iter().map(|key| (*key).clone())).collect();
    let row = |trial: &&TrialReport| {
        let value = trial.value.map_or_else(|| "-".to_owned(), number);
        let first = [trial.number.to_string(), trial.state.clone(), trial.steps.to_string(), value];
        let settings = trial.settings.values().map(ToString::to_string);
        let error = trial.error.iter().map(|error| error.chars().take(LONGEST).collect::<String>());
        first.into_iter().chain(settings).chain(error).collect()
    };
    let rows: Vec<Vec<String>> = [head].into_iter().chain(trials.iter().take(MOST_SHOWN).map(row)).collect();
    let rest = trials.len().saturating_sub(MOST_SHOWN);
    let rest = if rest > 0 { format!("and {} more in trials.csv\n", HumanCount(rest as u64)) } else { String::new() };
    table(&rows) + &rest
}
