//! A confusion matrix as a picture.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use burnformer_core::printable;
use burnformer_tasks::metrics::ConfusionMatrix;

use crate::grid::{Grid, PictureError};

/// Most classes of which the whole matrix is drawn.
const MOST_CLASSES: usize = 60;
/// Most characters of a name.
const MOST_CHARACTERS: usize = 24;

/// A row for each true class with a cell for each answer, which has the number of texts and is the darker the larger their share
/// of the row is, as an SVG document.
///
/// Of more than 60 classes it shows those that are confused most: as many of the most frequent confusions as have at most 60
/// classes together, so that the picture of 10,000 classes is no larger than that of 60. A class without a name goes by its
/// number.
///
/// # Errors
/// If the drawing itself fails.
pub fn confusion_picture(confusion: &ConfusionMatrix, labels: &[String]) -> Result<String, PictureError> {
    let n_classes = confusion.n_classes();
    let classes = if n_classes > MOST_CLASSES { most_confused(confusion) } else { (0..n_classes).collect() };
    let name = |&class: &usize| cut(labels.get(class).map_or(&class.to_string(), |label| label));
    let names: Vec<String> = classes.iter().map(name).collect();
    // Of the whole row, answers that are not shown included.
    let mut totals = vec![0_u64; n_classes];
    confusion.cells().for_each(|(truth, _, count)| totals[truth] += count);
    let row = |&truth: &usize| -> (Vec<f64>, Vec<String>) {
        let cell = |&predicted: &usize| {
            let count = confusion.count(truth, predicted);
            (count as f64 / totals[truth].max(1) as f64, if count == 0 { String::new() } else { short(count) })
        };
        classes.iter().map(cell).unzip()
    };
    let (shades, numbers): (Vec<_>, Vec<_>) = classes.iter().map(row).unzip();
    let columns = match classes.len() == n_classes {
        true => "answer".to_owned(),
        false => format!("answer: the {} classes that are confused most, of {n_classes}", classes.len()),
    };
    Grid { rows: &names, columns: &names, sides: ("truth", &columns), shades: &shades, numbers: &numbers }.svg()
}

/// The classes of the most frequent confusions, in their order.
fn most_confused(confusion: &ConfusionMatrix) -> Vec<usize> {
    let mut wrong: Vec<_> = confusion.cells().filter(|(truth, predicted, _)| truth != predicted).collect();
    wrong.sort_by_key(|&(truth, predicted, count)| (Reverse(count), truth, predicted));
    let mut classes = BTreeSet::new();
    for (truth, predicted, _) in wrong {
        let n_new = [truth, predicted].iter().filter(|class| !classes.contains(*class)).count();
        if classes.len() + n_new <= MOST_CLASSES {
            classes.extend([truth, predicted]);
        }
        if classes.len() == MOST_CLASSES {
            break;
        }
    }
    // Where nothing is confused, the first classes.
    if classes.is_empty() { (0..MOST_CLASSES).collect() } else { classes.into_iter().collect() }
}

/// A count in at most four characters.
fn short(count: u64) -> String {
    match count {
        ..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        1_000_000..1_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}

/// The first characters of a name as they are shown on one line.
fn cut(name: &str) -> String {
    let name = printable(name).replace('\n', " ");
    match name.chars().count() {
        ..=MOST_CHARACTERS => name,
        _ => name.chars().take(MOST_CHARACTERS - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::tests::cells;

    fn count(svg: &str, text: &str) -> usize {
        svg.matches(&format!("\n{text}\n")).count()
    }

    #[test]
    fn every_cell_has_its_count_and_shade() {
        let confusion = ConfusionMatrix::from_counts([vec![3, 1], vec![0, 12_345]]);
        let svg =
            confusion_picture(&confusion, &["<a>".to_owned(), "a name of too many characters".to_owned()]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for (text, expected) in [("&lt;a&gt;", 2), ("a name of too many char…", 2), ("3", 1), ("12k", 1), ("0", 0)] {
            assert_eq!(count(&svg, text), expected, "{text}: {svg}");
        }
        assert_eq!((count(&svg, "truth"), count(&svg, "answer")), (1, 1));
        assert_eq!((cells(&svg, "#08306B"), cells(&svg, "#FFFFFF")), (1, 1));
        confusion_picture(&ConfusionMatrix::default(), &[]).unwrap();
    }

    /// The matrix of so many classes would have 100 million cells.
    #[test]
    fn of_many_classes_those_that_are_confused_are_drawn() {
        let n_classes = 10_000;
        let mut confusion = ConfusionMatrix::new(n_classes);
        (0..n_classes).for_each(|class| confusion.add(class, class));
        let none = confusion_picture(&confusion, &[]).unwrap();
        assert_eq!(count(&none, "answer: the 60 classes that are confused most, of 10000"), 1);
        for class in (0..n_classes).step_by(2) {
            confusion.add(class, class + 1);
        }
        (0..5).for_each(|_| confusion.add(9_000, 77));
        let svg = confusion_picture(&confusion, &[]).unwrap();
        assert_eq!((count(&svg, "9000"), count(&svg, "77"), count(&svg, "9998")), (2, 2, 0));
        assert_eq!(svg.matches("height=\"56\"").count(), 60 * 60);
    }
}
