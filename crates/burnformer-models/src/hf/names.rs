//! The names of weights in Hugging Face's files, as tables.

use crate::weights::{Part, Place};

/// Prefixes: of our paths, and of Hugging Face's names.
pub(crate) type Prefixes = &'static [(&'static str, &'static str)];

/// Weight names of one architecture, and the layouts that differ from ours.
pub(crate) struct WeightNames {
    /// Names outside of layers.
    pub(crate) outside: Prefixes,
    /// Prefixes before the number of a layer.
    pub(crate) stacks: Prefixes,
    /// Names after the number of a layer.
    pub(crate) in_layer: Prefixes,
    /// Parameters of a layer that share a weight in the file, by the prefix of their paths.
    pub(crate) parts: &'static [(&'static str, Part)],
    /// Prefixes of the paths of matrices that the file stores transposed.
    pub(crate) transposed: &'static [&'static str],
}

impl WeightNames {
    /// The place of the parameter at `path`.
    pub(crate) fn place(&self, path: &str) -> Place {
        let in_layer = self.stacks.iter().find_map(|(ours, _)| path.strip_prefix(ours)?.split_once('.'));
        let rest = in_layer.map_or("", |(_, rest)| rest);
        Place {
            name: self.name(path),
            part: self.parts.iter().find(|(start, _)| rest.starts_with(start)).map(|(_, part)| *part),
            transposed: self.transposed.iter().any(|start| rest.starts_with(start)),
        }
    }

    /// The name of the parameter at `path`. A path that no table has stays as it is.
    pub(crate) fn name(&self, path: &str) -> String {
        let in_layer = self.stacks.iter().find_map(|(ours, theirs)| {
            let (layer, rest) = path.strip_prefix(ours)?.split_once('.')?;
            Some(format!("{theirs}{layer}.{}", replace_prefix(rest, self.in_layer)))
        });
        in_layer.unwrap_or_else(|| replace_prefix(path, self.outside))
    }
}

/// `path` with its prefix replaced by the first matching row.
fn replace_prefix(path: &str, table: Prefixes) -> String {
    let replace = |(ours, theirs): &(&str, &str)| path.strip_prefix(ours).map(|rest| format!("{theirs}{rest}"));
    table.iter().find_map(replace).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of GPT-2, whose queries, keys and values are one weight of a `Conv1D`.
    const NAMES: WeightNames = WeightNames {
        outside: &[("norm_final.", "transformer.ln_f.")],
        stacks: &[("layers.", "transformer.h.")],
        in_layer: &[("attention.key.", "attn.c_attn."), ("norm_ff.", "ln_2.")],
        parts: &[("attention.key.", Part { index: 1, of: 3 })],
        transposed: &["attention."],
    };

    #[test]
    fn a_layer_has_its_number_and_its_layout() {
        let key = NAMES.place("layers.11.attention.key.weight");
        let expected = Place {
            name: "transformer.h.11.attn.c_attn.weight".to_owned(),
            part: Some(Part { index: 1, of: 3 }),
            transposed: true,
        };
        assert_eq!(key, expected);
        for (path, name) in [
            ("layers.0.norm_ff.bias", "transformer.h.0.ln_2.bias"),
            ("norm_final.weight", "transformer.ln_f.weight"),
            ("attention.key.weight", "attention.key.weight"),
        ] {
            assert_eq!(NAMES.place(path), Place::from(name.to_owned()));
        }
    }
}
