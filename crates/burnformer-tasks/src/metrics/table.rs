//! Confusion matrix as a text table.

use std::fmt::Write;

use burnformer_core::printable;

use super::ConfusionMatrix;

/// Largest number of classes shown as a matrix, and of confusions listed for more classes.
const MAX_SHOWN: usize = 20;
/// Longest row label, in characters.
const MAX_NAME: usize = 24;

impl ConfusionMatrix {
    /// The matrix with names, recall and precision, for a fixed-width font. Of more than 20 classes it lists the most
    /// frequent confusions instead. Long names are cut; a class without a label goes by its number.
    ///
    /// ```text
    /// truth \ predicted  negative  positive  recall
    /// negative                412        16  96.3 %
    /// positive                 24       420  94.6 %
    /// precision            94.5 %    96.3 %
    /// ```
    #[must_use]
    pub fn table(&self, labels: &[String]) -> String {
        let name = |class: usize, width| cut(labels.get(class).map_or(&class.to_string(), |label| label), width);
        if self.n_classes() > MAX_SHOWN { self.confusions(name) } else { self.matrix(name) }
    }

    fn matrix(&self, name: impl Fn(usize, usize) -> String) -> String {
        let n_classes = self.n_classes();
        // Many columns must be narrow for a row to fit on a screen.
        let width = (60 / n_classes.max(1)).clamp(6, MAX_NAME);
        let classes = || 0..n_classes;

        let heads = classes().map(|class| name(class, width)).chain(["recall".to_owned()]);
        let mut rows = vec![["truth \\ predicted".to_owned()].into_iter().chain(heads).collect::<Vec<_>>()];
        for truth in classes() {
            let counts = classes().map(|predicted| self.count(truth, predicted).to_string());
            let recall = percent(self.of_class(truth).recall);
            rows.push([name(truth, MAX_NAME)].into_iter().chain(counts).chain([recall]).collect());
        }
        let precisions = classes().map(|class| percent(self.of_class(class).precision));
        rows.push(["precision".to_owned()].into_iter().chain(precisions).collect());
        aligned(&rows, &[0])
    }

    fn confusions(&self, name: impl Fn(usize, usize) -> String) -> String {
        let wrong = self.cells().filter(|(truth, predicted, _)| truth != predicted);
        let mut confusions: Vec<_> = wrong.map(|(truth, predicted, count)| (count, truth, predicted)).collect();
        if confusions.is_empty() {
            return "no class was taken for another\n".to_owned();
        }
        confusions.sort_by_key(|&(count, truth, predicted)| (std::cmp::Reverse(count), truth, predicted));

        let mut rows = vec![["count", "truth", "taken for"].map(str::to_owned).to_vec()];
        rows.extend(confusions.iter().take(MAX_SHOWN).map(|&(count, truth, predicted)| {
            vec![count.to_string(), name(truth, 2 * MAX_NAME), name(predicted, 2 * MAX_NAME)]
        }));
        aligned(&rows, &[1, 2])
    }
}

/// Columns two spaces apart; those in `left` are left-aligned, the others right-aligned.
fn aligned(rows: &[Vec<String>], left: &[usize]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |cell: &String| cell.chars().count();
    let widths: Vec<usize> = (0..n_columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Writing into a string cannot fail.
            let _ = if left.contains(&column) {
                write!(line, "{gap}{cell:<width$}")
            } else {
                write!(line, "{gap}{cell:>width$}")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The first `width` characters as they are shown on one line, the last of them an ellipsis if there are more.
fn cut(name: &str, width: usize) -> String {
    let name = printable(name).replace('\n', " ");
    if name.chars().count() <= width {
        return name;
    }
    name.chars().take(width - 1).chain(['…']).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
