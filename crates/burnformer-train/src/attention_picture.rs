//! Where a model looks, as a picture.

use std::path::Path;

use burnformer_core::files::{FileError, atomic_write_bytes};
use burnformer_tasks::TranslationAttention;

use crate::grid::{Grid, PictureError};

/// Writes the attention of a translation to `folder`: its weights as `NAME.json`, and a picture of its
/// [alignment](TranslationAttention::alignment) as `NAME.svg`.
///
/// # Errors
/// If the drawing fails, or a file cannot be written.
pub fn write_attention(folder: &Path, name: &str, attention: &TranslationAttention) -> Result<(), AttentionError> {
    let json = serde_json::to_string(attention).map_err(|error| PictureError(error.into()))?;
    let svg = attention_picture(&attention.source, &attention.target, &attention.alignment())?;
    atomic_write_bytes(&folder.join(format!("{name}.json")), json + "\n")?;
    Ok(atomic_write_bytes(&folder.join(format!("{name}.svg")), svg)?)
}

/// An attention that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AttentionError {
    /// It cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A row for each target token with a cell for each source token, dark where the weight `[target][source]` is large, as an SVG
/// document.
///
/// # Errors
/// If the drawing itself fails.
pub fn attention_picture(source: &[String], target: &[String], weights: &[Vec<f64>]) -> Result<String, PictureError> {
    Grid { rows: target, columns: source, sides: ("", ""), shades: weights, numbers: &[] }.svg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::tests::cells;

    #[test]
    fn every_token_and_every_weight_is_drawn() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let weights = [vec![1.0, 0.0, 0.0], vec![0.0, 0.5, 0.5]];
        let svg = attention_picture(&names(&["ein", "<b>", "</s>"]), &names(&["a", "狗"]), &weights).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for token in ["ein", "&lt;b&gt;", "&lt;/s&gt;", "a", "狗"] {
            assert_eq!(svg.matches(&format!("\n{token}\n")).count(), 1, "{token}: {svg}");
        }
        assert_eq!((cells(&svg, "#08306B"), cells(&svg, "#FFFFFF"), cells(&svg, "#8397B5")), (1, 3, 2));
    }
}
