//! The names of weights in Hugging Face's files, as tables.

/// Beginnings of our paths and of their names.
pub(crate) type Prefixes = &'static [(&'static str, &'static str)];

/// The names of one architecture's weights.
pub(crate) struct WeightNames {
    /// What is outside of layers.
    pub(crate) outside: Prefixes,
    /// What stands in front of the number of a layer.
    pub(crate) stacks: Prefixes,
    /// What stands behind the number of a layer.
    pub(crate) in_layer: Prefixes,
}

impl WeightNames {
    /// The name of the parameter at `path`. A path that no table has stays as it is.
    pub(crate) fn name(&self, path: &str) -> String {
        let in_layer = self.stacks.iter().find_map(|(ours, theirs)| {
            let (layer, rest) = path.strip_prefix(ours)?.split_once('.')?;
            Some(format!("{theirs}{layer}.{}", replace_prefix(rest, self.in_layer)))
        });
        in_layer.unwrap_or_else(|| replace_prefix(path, self.outside))
    }
}

/// `path` with its beginning as in the first row that has it.
pub(crate) fn replace_prefix(path: &str, table: &[(&str, &str)]) -> String {
    let replace = |(ours, theirs): &(&str, &str)| path.strip_prefix(ours).map(|rest| format!("{theirs}{rest}"));
    table.iter().find_map(replace).unwrap_or_else(|| path.to_owned())
}
