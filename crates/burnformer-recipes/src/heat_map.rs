//! A matrix of shares as a picture made of characters.

use std::fmt::Write;

/// Characters from nothing to everything.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// A token's name beside its row is cut to so many characters.
const NAME: usize = 14;

/// A row for each token with a cell for each token, two characters wide; a cell is dark where the weight is large, relative
/// to the largest of the row. Behind each row stands what it looks at most.
pub(crate) fn heat_map(tokens: &[String], weights: &[Vec<f64>]) -> String {
    let columns: String = (0..tokens.len()).map(|column| format!("{:>2}", (column + 1) % 100)).collect();
    let mut map = format!("  {:NAME$} {columns}\n", "");
    for ((row, token), weights) in tokens.iter().enumerate().zip(weights) {
        let name: String = token.chars().take(NAME - 3).collect();
        // Writing into a string cannot fail.
        let _ = write!(map, "  {:>2} {name:<width$} ", row + 1, width = NAME - 3);
        let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for weight in weights {
            let shade = SHADES[((weight / largest * 4.0).round() as usize).min(4)];
            map.extend([shade; 2]);
        }
        let most = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap_or(0);
        let _ = writeln!(map, "  {:.2} {}", weights[most], tokens[most]);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_dark_where_it_looks() {
        let tokens = ["[CLS]", "cat", "extraordinarily"].map(str::to_owned);
        let map = heat_map(&tokens, &[vec![1.0, 0.0, 0.0], vec![0.2, 0.4, 0.4], vec![0.0, 0.25, 0.75]]);
        let expected = "                  1 2 3\n   1 [CLS]       ██      1.00 [CLS]\n   2 cat         ▒▒████  0.40 extraordinarily\n   \
                        3 extraordina   ░░██  0.75 extraordinarily\n";
        assert_eq!(map, expected);
    }
}
