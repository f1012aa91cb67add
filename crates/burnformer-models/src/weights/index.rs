//! Index of weights in several files.

use super::unique::Unique;
use crate::ModelError;
use burnformer_core::{SETTINGS_LIMIT, read_text};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// `model.safetensors.index.json` or `pytorch_model.bin.index.json`.
#[derive(Deserialize)]
pub(super) struct Index {
    /// The file of every weight.
    weight_map: Unique<String>,
}

impl Index {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let text = read_text(path, SETTINGS_LIMIT).map_err(|source| ModelError::read(path.to_owned(), source))?;
        serde_json::from_str(&text).map_err(|source| ModelError::Index { path: path.to_owned(), source })
    }

    /// Every file once, and the names of its weights. A file must lie in the folder of the index.
    pub(super) fn files(&self, path: &Path) -> Result<Vec<(PathBuf, Vec<&str>)>, ModelError> {
        let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, file) in &self.weight_map.0 {
            files.entry(file).or_default().push(name);
        }
        let mut places = Vec::new();
        for (file, names) in files {
            let mut parts = Path::new(file).components();
            let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
                return Err(ModelError::ShardPlace { path: path.to_owned(), file: file.to_owned() });
            };
            places.push((path.with_file_name(file), names));
        }
        Ok(places)
    }
}
