//! A matrix of shares as a picture made of characters.

use std::fmt::{self, Formatter};

/// Characters from nothing to everything.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// A token's name beside its row is cut to so many characters.
const NAME: usize = 14;

/// Writes a row for each token with a cell for each token, two characters wide; a cell is dark where the weight is large,
/// relative to the largest of the row. Behind each row stands what it looks at most.
pub(super) fn write(f: &mut Formatter<'_>, tokens: &[String], weights: &[Vec<f64>]) -> fmt::Result {
    write!(f, "  {:NAME$} ", "")?;
    for column in 0..tokens.len() {
        write!(f, "{:>2}", (column + 1) % 100)?;
    }
    writeln!(f)?;
    for ((row, token), weights) in tokens.iter().enumerate().zip(weights) {
        let name: String = token.chars().take(NAME - 3).collect();
        write!(f, "  {:>2} {name:<width$} ", row + 1, width = NAME - 3)?;
        let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for weight in weights {
            let shade = SHADES[((weight / largest * 4.0).round() as usize).min(4)];
            write!(f, "{shade}{shade}")?;
        }
        let most = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap_or(0);
        writeln!(f, "  {:.2} {}", weights[most], tokens[most])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Map;

    impl fmt::Display for Map {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            let tokens = ["[CLS]", "cat", "extraordinarily"].map(str::to_owned);
            write(f, &tokens, &[vec![1.0, 0.0, 0.0], vec![0.2, 0.4, 0.4], vec![0.0, 0.25, 0.75]])
        }
    }

    #[test]
    fn a_row_is_dark_where_it_looks() {
        let expected = "                  1 2 3\n   1 [CLS]       ██      1.00 [CLS]\n   2 cat         ▒▒████  0.40 extraordinarily\n   \
                        3 extraordina   ░░██  0.75 extraordinarily\n";
        assert_eq!(Map.to_string(), expected);
    }
}
