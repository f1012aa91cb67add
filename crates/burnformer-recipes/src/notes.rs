//! Notes and measurements of a run as text for people.

use std::fmt::{self, Display};

use burnformer_train::HistoryEntry;
use indicatif::HumanCount;

use crate::text::{fact, number};
use crate::{Note, causes};

/// The note in lines without a break at the end; empty if there is nothing to say.
impl Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(lines(self).concat().trim_end_matches('\n'))
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
        Note::UnigramEntropy(nats) => {
            vec![fact("unigram entropy", format_args!("{nats:.4} nats per masked token of the validation samples"))]
        }
        Note::Changed(change) => vec![fact("changed setting", change)],
        Note::PairsLeftOut(n) => {
            let n = HumanCount(*n as u64);
            vec![fact("skipped pairs", format_args!("{n}, outside the lengths of `data.samples`"))]
        }
        Note::TrainingWords { lost, invalid_tags } => [
            ("words cut off", lost.cut_off as u64, "behind the maximum length, not trained on"),
            ("words without tokens", lost.empty as u64, "not trained on"),
            ("invalid tags", *invalid_tags, "such as `I-` behind `O`, counted as beginnings of entities"),
        ]
        .into_iter()
        .filter(|(_, count, _)| *count > 0)
        .map(|(name, count, what)| fact(name, format_args!("{} ({what})", HumanCount(count))))
        .collect(),
        Note::FreshWeights(names) => vec![fact("fresh weights", names.join(", "))],
        Note::LeftOverWeights(names) => vec![fact("unused weights", names.join(", "))],
        Note::StartsAnew { folder } => {
            vec![format!("`{}` has no checkpoint yet: the run starts from its first step\n", folder.display())]
        }
        Note::Interrupted { recipe, folder, step } => vec![format!(
            "stopped after step {step}, checkpoint written; to continue: `burnformer {recipe} --out {} --resume`\n",
            folder.display()
        )],
    }
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

    use super::*;

    #[test]
    fn a_note_has_a_line_for_each_fact() {
        let note = Note::TrainingWords { lost: LostWords { cut_off: 1200, empty: 0 }, invalid_tags: 3 };
        let expected = "words cut off        1,200 (behind the maximum length, not trained on)\n\
                        invalid tags         3 (such as `I-` behind `O`, counted as beginnings of entities)";
        assert_eq!(note.to_string(), expected);
        let note = Note::Interrupted { recipe: "pretrain", folder: Path::new("runs/a"), step: 7 };
        let expected = "stopped after step 7, checkpoint written; to continue: \
                        `burnformer pretrain --out runs/a --resume`";
        assert_eq!(note.to_string(), expected);
    }

    #[test]
    fn a_note_on_nothing_is_empty() {
        assert_eq!(Note::TrainingWords { lost: LostWords::default(), invalid_tags: 0 }.to_string(), "");
    }
}
