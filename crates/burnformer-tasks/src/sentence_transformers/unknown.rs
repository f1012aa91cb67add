//! Keys that are unknown here, so that nobody knows what they would change.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::file::read_if_there;
use super::modules::{Modules, list};
use super::{pooling, settings, steps, transformer};
use crate::TaskError;

/// The files of sentence-transformers in `folder` that have unknown keys, with these; none of a folder in another layout.
///
/// # Errors
/// If a file cannot be read.
pub fn unknown_settings(folder: &Path) -> Result<Vec<(PathBuf, Vec<String>)>, TaskError> {
    let mut found = Vec::new();
    if !Modules::are_in(folder) {
        return Ok(found);
    }
    let mut check = |path: PathBuf, is_known: &dyn Fn(&str) -> bool| -> Result<(), TaskError> {
        let json: Map<String, Value> = read_if_there(&path)?.unwrap_or_default();
        let unknown: Vec<String> = json.keys().filter(|key| !is_known(key)).cloned().collect();
        if !unknown.is_empty() {
            found.push((path, unknown));
        }
        Ok(())
    };
    check(folder.join(settings::FILE), &|key| settings::KEYS.contains(&key))?;
    for module in list(folder)? {
        let config = module.folder.join(steps::CONFIG);
        match module.kind.as_str() {
            "Transformer" => {
                if let Some(path) = transformer::file_in(&module.folder) {
                    check(path, &transformer::is_known)?;
                }
            }
            "Pooling" => check(config, &pooling::is_known)?,
            "Dense" | "Normalize" => check(config, &|key| steps::KEYS.contains(&key))?,
            _ => {}
        }
    }
    Ok(found)
}
