//! Notes and measurements of a run as text for people.

use std::fmt::{self, Display};

use burnformer_data::class_names::OddClasses;
use burnformer_data::conflicts::{Conflict, Conflicts};
use burnformer_search::Failure;
use burnformer_train::HistoryEntry;
use indicatif::HumanCount;

use crate::text::{fact, number};
use crate::{Note, TrialNews, causes};

/// The note in lines without a break at the end; empty if there is nothing to say.
impl Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(lines(self).concat().trim_end_matches('\n'))
    }
}

impl Note<'_> {
    /// `true` if something may be wrong.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::SkippedRows(_)
                | Self::OddClasses(_)
                | Self::Conflicts { .. }
                | Self::NotFiniteLoss { .. }
                | Self::SharedTexts { .. }
                | Self::SmallBatches { .. }
                | Self::IdleStages { .. }
                | Self::NoBetterThanMajority { .. }
        )
    }
}

/// The lines of a note, each with its break.
fn lines(note: &Note<'_>) -> Vec<String> {
    match note {
        Note::SkippedRows(skipped) if skipped.rows == 0 => Vec::new(),
        Note::SkippedRows(skipped) => {
            let examples = skipped.examples.iter().map(|example| format!("  {}\n", causes(example).join(": ")));
            [format!("skipped rows: {}; the first errors:\n", skipped.rows)].into_iter().chain(examples).collect()
        }
        Note::Conflicts { conflicts, of } => conflict_lines(conflicts, of),
        Note::Shortened { asked, longest } => {
            vec![fact("longest text", format_args!("{longest} tokens, the most that the model takes, not {asked}"))]
        }
        Note::NotFiniteLoss { step, part } => vec![format!(
            "the run has diverged: its {part} loss at step {step} is not finite; lower the learning rate \
             (`train.optimizer.learning_rate`), and train anew\n"
        )],
        Note::OddClasses(odd) => odd_lines(odd),
        Note::RepeatedTexts { repeated: 0, .. } => Vec::new(),
        Note::RepeatedTexts { repeated, rows } => {
            let [repeated, rows] = [repeated, rows].map(|n| HumanCount(*n as u64));
            vec![fact("repeated texts", format_args!("{repeated} of {rows} rows have the text of an earlier row"))]
        }
        Note::SharedTexts { repeated, validation, test } => {
            let line = |(part, texts, others)| {
                let of = if part == "test" { test } else { validation };
                let [texts, of] = [texts, *of as u64].map(HumanCount);
                format!(
                    "{texts} of {of} {part} texts are {others} texts too: scores on them are better than on new texts\n"
                )
            };
            repeated.leaks().into_iter().map(line).collect()
        }
        Note::NoBetterThanMajority { run, quality: (name, quality), accuracy, majority, label } => vec![format!(
            "the best model has learned little: it was chosen by {name} {} after step {} of {}, and its validation accuracy \
             is {accuracy:.4}, that of always answering `{label}` {majority:.4}. Train longer, or with more texts\n",
            number(*quality),
            run.best_step,
            run.steps
        )],
        Note::IdleStages { micro_batches, replicas, stages } => vec![fact(
            "idle stages",
            format_args!(
                "{micro_batches} micro-batches a step keep {replicas} x {stages} stages of the pipeline busy for a part of the \
                 time: set `train.grad_accum_steps` to {} or more",
                2 * replicas * stages
            ),
        )],
        Note::UnigramEntropy(nats) => {
            vec![fact("unigram entropy", format_args!("{nats:.4} nats per masked token of the validation samples"))]
        }
        Note::Changed(change) => vec![fact("changed setting", change)],
        Note::PairsLeftOut(n) => {
            let n = HumanCount(*n as u64);
            vec![fact("skipped pairs", format_args!("{n}, outside the lengths of `data.samples`"))]
        }
        Note::TextsCut { cut: 0, .. } => Vec::new(),
        Note::TextsCut { cut, texts, max_length, part } => {
            let [cut, texts] = [cut, texts].map(|n| HumanCount(*n));
            vec![fact("texts cut off", format_args!("{cut} of {texts} {part} texts, behind {max_length} tokens"))]
        }
        Note::TrainingWords { lost, invalid_tags, new_beginnings } => [
            ("words cut off", lost.cut_off as u64, "behind the maximum length, not trained on"),
            ("words without tokens", lost.empty as u64, "not trained on"),
            ("invalid tags", *invalid_tags, "such as `I-` behind `O`, counted as beginnings of entities"),
            ("new beginnings", *new_beginnings, "`I-` of the scheme `iob1` where an entity begins, read as `B-`"),
        ]
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(name, count, what)| fact(name, format_args!("{} ({what})", HumanCount(count))))
        .collect(),
        Note::SmallBatches { samples, batches, asked } => {
            let found = *samples as f64 / (*batches).max(1) as f64;
            // The last batches of a window are smaller anyway.
            if found >= 0.75 * asked.min(*samples as f64) {
                return Vec::new();
            }
            vec![format!(
                "many texts occur often, and no batch may have one twice: a batch has {found:.1} pairs on average, not \
                 {asked:.0}, so that {} steps are one pass over the data\n",
                HumanCount(*batches)
            )]
        }
        Note::FreshWeights([]) => vec![fact("fresh weights", "none, as the model has a head for the same classes")],
        Note::FreshWeights(names) => vec![fact("fresh weights", names.join(", "))],
        Note::LeftOverWeights(names) => vec![fact("unused weights", names.join(", "))],
        Note::StartsAnew { folder } => {
            vec![format!("`{}` has no checkpoint yet: the run starts from its first step\n", folder.display())]
        }
        Note::Seed { seed, number, of } => vec![format!("seed {seed}: run {number} of {of}\n")],
        Note::SeedsInterrupted { recipe, folder } => {
            vec![format!("to continue with all seeds: `burnformer {recipe} --out {} --resume`\n", folder.display())]
        }
        Note::Interrupted { recipe, folder, step } => vec![format!(
            "stopped after step {step}, checkpoint written; to continue: `burnformer {recipe} --out {} --resume`\n",
            folder.display()
        )],
        Note::SearchInterrupted { folder } => {
            vec![format!("stopped; to continue: `burnformer search --out {} --resume`\n", folder.display())]
        }
        Note::Trial { number: trial, news } => vec![format!("trial {trial}: {}\n", trial_news(news))],
    }
}

fn trial_news(news: &TrialNews<'_>) -> String {
    match news {
        TrialNews::Starts(settings) => settings.join(", "),
        TrialNews::Waits { metric, value, step } => format!("{metric} {} after {step} steps, waits", number(*value)),
        TrialNews::GoesOn => "goes on".to_owned(),
        TrialNews::Complete { metric, value } => format!("{metric} {}, complete", number(*value)),
        TrialNews::Failed(Failure::Diverged(message)) => format!("diverged: {message}"),
        TrialNews::Failed(Failure::Impossible(message)) => format!("cannot be run: {message}"),
    }
}

/// Most classes, and groups of them, that a note lists.
const MOST_LISTED: usize = 10;

/// The lines on texts with different labels.
fn conflict_lines(conflicts: &Conflicts, of: &str) -> Vec<String> {
    if conflicts.texts == 0 {
        return Vec::new();
    }
    let quoted = |labels: &[String]| {
        let shown = labels.iter().take(MOST_LISTED).map(|it| format!("`{it}`")).collect::<Vec<_>>().join(" and ");
        match labels.len().saturating_sub(MOST_LISTED) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    };
    let mut lines = vec![format!(
        "texts with different {of}: {}, kept with each of them. A model cannot learn both: correct the {of}\n",
        HumanCount(conflicts.texts)
    )];
    if conflicts.rows_left_out > 0 {
        let left_out = HumanCount(conflicts.rows_left_out);
        lines.push(format!("  {left_out} such rows are in no part, as their text is in the part of another group\n"));
    }
    let shared = conflicts.labels.iter().take(MOST_LISTED);
    lines.extend(shared.map(|it| {
        let texts = if it.texts == 1 { "text" } else { "texts" };
        format!("  {}: {} {texts}\n", quoted(&it.labels), HumanCount(it.texts))
    }));
    if conflicts.labels.len() > MOST_LISTED {
        lines.push(format!("  and {} more groups of labels\n", conflicts.labels.len() - MOST_LISTED));
    }
    let example = |it: &Conflict| match it.labels.is_empty() {
        true => format!("  for example `{}`\n", it.text),
        false => format!("  for example `{}`: {}\n", it.text, quoted(&it.labels)),
    };
    lines.extend(conflicts.examples.iter().map(example));
    lines
}

/// The lines on odd classes.
fn odd_lines(OddClasses { alike, missing, classes_and_texts }: &OddClasses) -> Vec<String> {
    let mut lines = Vec::new();
    let counted = |shown: fn(&str) -> String| {
        move |(class, texts): &(String, u64)| format!("`{}` ({})", shown(class), HumanCount(*texts))
    };
    if !alike.is_empty() {
        lines.push("classes that differ only in blanks, case or form: write each class in one way\n".to_owned());
        let line = |group: &Vec<(String, u64)>| {
            // What looks the same is shown by its code points.
            let is_ascii = group.iter().all(|(class, _)| class.is_ascii());
            let shown: fn(&str) -> String =
                if is_ascii { str::to_owned } else { |class: &str| class.escape_default().to_string() };
            format!("  {}\n", group.iter().map(counted(shown)).collect::<Vec<_>>().join(", "))
        };
        lines.extend(alike.iter().take(MOST_LISTED).map(line));
        if alike.len() > MOST_LISTED {
            lines.push(format!("  and {} more groups of classes\n", alike.len() - MOST_LISTED));
        }
    }
    if !missing.is_empty() {
        let classes = missing.iter().map(counted(str::to_owned)).collect::<Vec<_>>().join(", ");
        lines.push(format!(
            "classes that look like missing values: {classes}; remove these texts unless it is a class\n"
        ));
    }
    if let Some((classes, texts)) = classes_and_texts {
        let (classes, texts) = (HumanCount(*classes), HumanCount(*texts));
        lines.push(format!(
            "{classes} classes for {texts} texts: most have one text only; is the column of the label the right one?\n"
        ));
    }
    lines
}

/// A line of the history of a run: the step, the part of the data, and its measurements.
#[must_use]
pub fn history_line(entry: &HistoryEntry) -> String {
    let values = entry.values.iter().map(|(name, value)| format!("{name} {}", number(*value)));
    format!("step {} {}: {}", entry.step, entry.split, values.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burnformer_data::datasets::LostWords;
    use burnformer_reports::{RepeatedTexts, RunSummary, Stopped};

    use super::*;

    #[test]
    fn a_note_has_a_line_for_each_fact() {
        let note =
            Note::TrainingWords { lost: LostWords { cut_off: 1200, empty: 0 }, invalid_tags: 3, new_beginnings: 0 };
        let expected = "words cut off        1,200 (behind the maximum length, not trained on)\n\
                        invalid tags         3 (such as `I-` behind `O`, counted as beginnings of entities)";
        assert_eq!(note.to_string(), expected);
        let note = Note::Interrupted { recipe: "pretrain", folder: Path::new("runs/a"), step: 7 };
        let expected = "stopped after step 7, checkpoint written; to continue: \
                        `burnformer pretrain --out runs/a --resume`";
        assert_eq!(note.to_string(), expected);
    }

    #[test]
    fn a_model_that_knows_less_than_the_most_frequent_label_is_told() {
        let run = RunSummary {
            folder: "a".into(),
            stopped: Stopped::Finished,
            steps: 30,
            best_step: 10,
            tokens: 1,
            seconds: 1.0,
            peak_memory_bytes: None,
        };
        let (quality, label) = (("entity_f1", 0.002), "O");
        let note = Note::NoBetterThanMajority { run: &run, quality, accuracy: 0.61, majority: 0.83, label };
        let expected = "the best model has learned little: it was chosen by entity_f1 2.00e-3 after step 10 of 30, and its \
                        validation accuracy is 0.6100, that of always answering `O` 0.8300. Train longer, or with more texts";
        assert_eq!(note.to_string(), expected);
    }

    #[test]
    fn texts_that_the_model_knows_already_are_told() {
        let repeated = RepeatedTexts { validation_in_training: 3, test_in_training: 1200, ..RepeatedTexts::default() };
        let note = Note::SharedTexts { repeated: &repeated, validation: 90, test: 2000 };
        let expected = "3 of 90 validation texts are training texts too: scores on them are better than on new texts\n\
                        1,200 of 2,000 test texts are training texts too: scores on them are better than on new texts";
        assert_eq!(note.to_string(), expected);
        let note = Note::RepeatedTexts { repeated: 560, rows: 1600 };
        assert_eq!(note.to_string(), "repeated texts       560 of 1,600 rows have the text of an earlier row");
    }

    #[test]
    fn odd_classes_are_told_by_name() {
        let classes = [("caf\u{e9}", 2), ("cafe\u{301}", 1), (" food", 5), ("food", 10), ("None", 3), ("x", 1000)];
        let note = OddClasses::of(classes);
        let expected = "classes that differ only in blanks, case or form: write each class in one way\n  \
                        `caf\\u{e9}` (2), `cafe\\u{301}` (1)\n  ` food` (5), `food` (10)\n\
                        classes that look like missing values: `None` (3); remove these texts unless it is a class";
        assert_eq!(Note::OddClasses(&note).to_string(), expected);
        let names: Vec<String> = (0..1500).map(|n| n.to_string()).collect();
        let note = OddClasses::of(names.iter().map(|name| (name.as_str(), 1)));
        assert!(Note::OddClasses(&note).to_string().starts_with("1,500 classes for 1,500 texts: "));
        assert_eq!(Note::OddClasses(&OddClasses::default()).to_string(), "");
    }

    #[test]
    fn conflicts_are_told_by_name() {
        use burnformer_data::conflicts::SharedTexts;

        let labels = ["x", "y"].map(str::to_owned).to_vec();
        let conflicts = Conflicts {
            texts: 60,
            rows_left_out: 0,
            labels: vec![SharedTexts { labels: labels.clone(), texts: 60 }],
            examples: vec![Conflict { text: "a kettle".to_owned(), labels }],
        };
        let expected = "texts with different labels: 60, kept with each of them. A model cannot learn both: correct the \
                        labels\n  `x` and `y`: 60 texts\n  for example `a kettle`: `x` and `y`";
        assert_eq!(Note::Conflicts { conflicts: &conflicts, of: "labels" }.to_string(), expected);
    }

    #[test]
    fn a_note_on_nothing_is_empty() {
        assert_eq!(Note::Conflicts { conflicts: &Conflicts::default(), of: "labels" }.to_string(), "");
        let cut = |cut| Note::TextsCut { cut, texts: 2000, max_length: 128, part: "training" }.to_string();
        assert_eq!(cut(0), "");
        assert_eq!(cut(1234), "texts cut off        1,234 of 2,000 training texts, behind 128 tokens");
        assert_eq!(
            Note::TrainingWords { lost: LostWords::default(), invalid_tags: 0, new_beginnings: 0 }.to_string(),
            ""
        );
    }
}
