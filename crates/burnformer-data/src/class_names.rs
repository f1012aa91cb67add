//! Names of classes that were perhaps not meant as such.

use serde::Serialize;
use tokenizers::NormalizedString;

use crate::conflicts::equal;
use crate::content::hash;

/// Least number of texts from which on the number of classes says something.
const MANY_TEXTS: u64 = 20;
/// What programs write where a value is missing, and nobody calls a class.
const MISSING: [&str; 6] = ["nan", "NaN", "NAN", "-nan", "<NA>", "NaT"];
/// What may be a missing value or a class.
const PERHAPS_MISSING: [&str; 8] = ["None", "NONE", "null", "NULL", "NA", "N/A", "n/a", "#N/A"];

/// What is odd about the classes of labelled texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OddClasses {
    /// Classes that differ only in blanks, case or form (of Unicode, of a number), each with its number of texts.
    pub alike: Vec<Vec<(String, u64)>>,
    /// Classes that look like missing values, with their numbers of texts.
    pub missing: Vec<(String, u64)>,
    /// Numbers of classes and texts, if a class has less than two texts on average.
    pub classes_and_texts: Option<(u64, u64)>,
}

impl OddClasses {
    /// Looks through classes and their numbers of texts.
    #[must_use]
    pub fn of<'a>(classes: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let classes: Vec<(&str, u64)> = classes.into_iter().collect();
        let named = |&(class, texts): &(&str, u64)| (class.to_owned(), texts);
        let missing = classes.iter().filter(|(class, _)| is_missing(class) || PERHAPS_MISSING.contains(&class.trim()));
        let keys: Vec<u64> = classes.iter().map(|(class, _)| hash(&key(class))).collect();
        let group = |group: Vec<u32>| group.into_iter().map(|class| named(&classes[class as usize])).collect();
        let (n_classes, n_texts) = (classes.len() as u64, classes.iter().map(|(_, texts)| texts).sum());
        let is_odd = n_texts >= MANY_TEXTS && 2 * n_classes > n_texts;
        Self {
            alike: equal(&keys).into_iter().map(group).collect(),
            missing: missing.map(named).collect(),
            classes_and_texts: is_odd.then_some((n_classes, n_texts)),
        }
    }
}

/// `true` if the class stands for a missing value, as pandas and numpy write it.
pub(crate) fn is_missing(class: &str) -> bool {
    MISSING.contains(&class.trim())
}

/// The first class with a fraction, if all classes are numbers: scores, which are no classes.
pub(crate) fn first_score(classes: &[String]) -> Option<&str> {
    let numbers: Vec<f64> = classes.iter().map_while(|class| class.trim().parse().ok()).collect();
    let is_score = |number: &f64| number.is_finite() && number.fract() != 0.0;
    let first = numbers.iter().position(is_score)?;
    (numbers.len() == classes.len()).then(|| classes[first].as_str())
}

/// The class among `classes` that differs from `class` only in blanks, case or form.
pub(crate) fn alike<'a>(class: &str, classes: &'a [String]) -> Option<&'a str> {
    let wanted = key(class);
    classes.iter().find(|other| key(other) == wanted).map(String::as_str)
}

/// What is left of a class without blanks, case and form: that of its Unicode characters (NFKC), or of a number, such as `1` and
/// `1.0`.
fn key(class: &str) -> String {
    // Further numbers are not told apart.
    if let Some(number) = class.trim().parse().ok().filter(|number: &f64| number.abs() < 2_f64.powi(53)) {
        return number.to_string();
    }
    // The second time because lower case may take characters apart again.
    let mut normalized = NormalizedString::from(class);
    normalized.nfkc().lowercase().nfkc().filter(|c| !c.is_whitespace() && !is_invisible(c));
    normalized.get().to_owned()
}

/// Characters without width that spreadsheets and web pages leave behind.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(classes: &[(&str, u64)]) -> OddClasses {
        OddClasses::of(classes.iter().copied())
    }

    #[test]
    fn classes_that_look_alike_are_found() {
        let names =
            [" food", "Food", "food ", "cafe\u{301}", "caf\u{e9}", "ｆｏｏｄ", "travel", "tra\u{200B}vel", "home"];
        let classes: Vec<(&str, u64)> = names.into_iter().zip(1..).collect();
        let alike: Vec<Vec<u64>> =
            odd(&classes).alike.iter().map(|group| group.iter().map(|(_, texts)| *texts).collect()).collect();
        assert_eq!(alike, [vec![1, 2, 3, 6], vec![4, 5], vec![7, 8]]);
        assert_eq!(odd(&[("a", 9), ("b", 9), ("a-b", 9), ("a_b", 9)]), OddClasses::default());
        // As pandas writes the same column without and with gaps.
        assert_eq!(odd(&[("1", 9), ("2", 9), ("1.0", 7)]).alike, [[("1".to_owned(), 9), ("1.0".to_owned(), 7)]]);
        let far = [("9007199254740993", 9), ("9007199254740992", 9), ("inf", 3)];
        assert_eq!(odd(&far), OddClasses::default());
        let known = ["travel", "food"].map(str::to_owned);
        assert_eq!((super::alike("FOOD ", &known), super::alike("foods", &known)), (Some("food"), None));
    }

    #[test]
    fn missing_values_are_found() {
        assert!(["nan", "NaN", " NaN ", "<NA>"].into_iter().all(is_missing));
        assert!(["none", "None", "n", "nano", "0"].into_iter().all(|class| !is_missing(class)));
        let missing = odd(&[("None", 3), ("none of these", 50), ("NaN", 4), ("NA", 5)]).missing;
        assert_eq!(missing.iter().map(|(_, texts)| *texts).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn numbers_with_fractions_are_scores() {
        let score = |classes: &[&str]| {
            let classes: Vec<String> = classes.iter().map(ToString::to_string).collect();
            first_score(&classes).map(str::to_owned)
        };
        assert_eq!(score(&["1", "2.0", "2.5", "3.5"]).as_deref(), Some("2.5"));
        assert_eq!(score(&["0.5", "1e0"]).as_deref(), Some("0.5"));
        // Whole numbers, as pandas writes those of a column with gaps; words; versions.
        for classes in [&["1.0", "2.0"][..], &["0", "1"], &["0.5", "high"], &["1.2.3", "1.2.4"], &["inf", "1"], &[]] {
            assert_eq!(score(classes), None, "{classes:?}");
        }
    }

    #[test]
    fn almost_as_many_classes_as_texts_are_odd() {
        let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let of = |texts: u64| OddClasses::of(names.iter().map(|name| (name.as_str(), texts))).classes_and_texts;
        assert_eq!((of(1), of(2)), (Some((30, 30)), None));
        assert_eq!(odd(&[("a", 1), ("b", 1)]).classes_and_texts, None);
    }
}
