//! Folders of adapters, which belong to a base model in another folder.

use crate::files::{SETTINGS_LIMIT, read_text};
use serde::Deserialize;
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

/// Settings of an adapter, as peft names the file.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

thread_local! {
    static BASE: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// The base model of an adapter cannot be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The settings cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The settings are not valid JSON, or have a value of another type.
    #[error("`{}` does not describe an adapter", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The error of the parser, with its position.
        source: serde_json::Error,
    },
    /// The settings do not name a base model.
    #[error(
        "`base_model_name_or_path` in `{}` is missing, expected the folder of the adapter's base model: name it as `base`",
        path.display()
    )]
    NoBase {
        /// The file.
        path: PathBuf,
    },
    /// The base model is an adapter itself.
    #[error("the base model of an adapter, `{}`, is an adapter too, expected a whole model", base.display())]
    BaseIsAdapter {
        /// Folder of the base.
        base: PathBuf,
    },
    /// There is no folder of the name of the base model.
    #[error(
        "the base model of the adapter in `{}` is `{base}`, and there is no such folder: name the folder of that model as \
         `base`",
        folder.display()
    )]
    MissingBase {
        /// Folder of the adapter.
        folder: PathBuf,
        /// Name in the settings, or the folder that was named instead.
        base: String,
    },
}

/// Calls `body`, in which every adapter on this thread belongs to the base model in `base`, whatever its settings name;
/// `None` changes nothing.
pub fn with_base<R>(base: Option<&Path>, body: impl FnOnce() -> R) -> R {
    /// Restores the former choice when dropped, also during a panic.
    struct Restore(Option<PathBuf>);
    impl Drop for Restore {
        fn drop(&mut self) {
            BASE.set(self.0.take());
        }
    }
    let Some(base) = base else { return body() };
    let _before = Restore(BASE.replace(Some(base.to_owned())));
    body()
}

/// Weights of a whole model, beside which an adapter is not read.
const WEIGHTS: [&str; 5] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.int8.safetensors",
];

/// `true` if `folder` holds an adapter, and no whole model.
#[must_use]
pub fn is_adapter(folder: &Path) -> bool {
    folder.join(ADAPTER_CONFIG).exists() && !WEIGHTS.iter().any(|file| folder.join(file).exists())
}

/// The folder of the base model of the adapter in `folder`: that of [`with_base`], or `base_model_name_or_path` in its
/// settings, from the working folder or from the folders that hold the adapter.
///
/// # Errors
/// [`AdapterError`] if the settings cannot be read, or there is no such folder.
pub fn adapter_base(folder: &Path) -> Result<PathBuf, AdapterError> {
    let missing = |base: &Path| {
        let (folder, base) = (folder.to_owned(), base.display().to_string());
        AdapterError::MissingBase { folder, base }
    };
    if let Some(base) = BASE.with_borrow(Clone::clone) {
        return first([base.clone()]).unwrap_or_else(|| Err(missing(&base)));
    }
    #[derive(Deserialize)]
    struct Settings {
        base_model_name_or_path: Option<String>,
    }
    let path = folder.join(ADAPTER_CONFIG);
    let text = read_text(&path, SETTINGS_LIMIT).map_err(|source| AdapterError::Read { path: path.clone(), source })?;
    let settings: Settings =
        serde_json::from_str(&text).map_err(|source| AdapterError::Json { path: path.clone(), source })?;
    let base = settings.base_model_name_or_path.filter(|base| !base.is_empty()).ok_or(AdapterError::NoBase { path })?;
    let base = Path::new(&base);
    // Above a relative folder there are others.
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let places = std::iter::once(base.to_owned()).chain(whole.ancestors().map(|above| above.join(base)));
    first(places).unwrap_or_else(|| Err(missing(base)))
}

/// The first of these folders that holds a whole model; without one the error of the first that is there.
fn first(places: impl IntoIterator<Item = PathBuf>) -> Option<Result<PathBuf, AdapterError>> {
    let mut adapter = None;
    for place in places.into_iter().filter(|place| place.is_dir()) {
        if !is_adapter(&place) {
            return Some(Ok(place));
        }
        adapter.get_or_insert(Err(AdapterError::BaseIsAdapter { base: place }));
    }
    adapter
}

/// `folder`, or that of its base model if it holds an adapter and none of `files`.
///
/// # Errors
/// As [`adapter_base`].
pub fn folder_with(folder: &Path, files: &[&str]) -> Result<PathBuf, AdapterError> {
    if !is_adapter(folder) || files.iter().any(|file| folder.join(file).exists()) {
        return Ok(folder.to_owned());
    }
    adapter_base(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_base_is_found_by_its_name_or_is_given() {
        let root = tempfile::tempdir().unwrap();
        let (adapter, base, other) =
            (root.path().join("runs/adapter"), root.path().join("base"), root.path().join("b"));
        for folder in [&adapter, &base, &other] {
            fs::create_dir_all(folder).unwrap();
        }
        assert!(!is_adapter(&adapter));
        fs::write(adapter.join(ADAPTER_CONFIG), r#"{"base_model_name_or_path": "base"}"#).unwrap();
        assert!(is_adapter(&adapter));
        assert_eq!(adapter_base(&adapter).unwrap(), base);
        assert_eq!(with_base(Some(&other), || adapter_base(&adapter)).unwrap(), other);
        assert_eq!(with_base(None, || adapter_base(&adapter)).unwrap(), base);
        // What lies in the folder itself comes first.
        assert_eq!(folder_with(&adapter, &["vocab.txt"]).unwrap(), base);
        fs::write(adapter.join("vocab.txt"), "").unwrap();
        assert_eq!(folder_with(&adapter, &["vocab.txt"]).unwrap(), adapter);
        assert_eq!(folder_with(&base, &["vocab.txt"]).unwrap(), base);
    }

    /// The folder of an adapter often has the name of its base.
    #[test]
    fn an_adapter_is_no_base() {
        let root = tempfile::tempdir().unwrap();
        let (adapter, base) = (root.path().join("runs/base"), root.path().join("base"));
        fs::create_dir_all(&adapter).unwrap();
        fs::write(adapter.join(ADAPTER_CONFIG), r#"{"base_model_name_or_path": "base"}"#).unwrap();
        let error = adapter_base(&adapter).unwrap_err().to_string();
        assert!(error.contains("is an adapter too"), "{error}");
        fs::create_dir_all(&base).unwrap();
        assert_eq!(adapter_base(&adapter).unwrap(), base);
        let error = with_base(Some(&adapter), || adapter_base(&adapter)).unwrap_err();
        assert!(matches!(error, AdapterError::BaseIsAdapter { .. }), "{error}");
    }

    #[test]
    fn a_base_that_is_nowhere_is_named() {
        let root = tempfile::tempdir().unwrap();
        let write = |json: &str| fs::write(root.path().join(ADAPTER_CONFIG), json).unwrap();
        let error = || adapter_base(root.path()).unwrap_err().to_string();
        write(r#"{"base_model_name_or_path": "org/model"}"#);
        assert!(error().contains("is `org/model`, and there is no such folder"), "{}", error());
        write("{}");
        assert!(error().contains("`base_model_name_or_path`"), "{}", error());
        write("[1");
        assert!(error().contains("does not describe an adapter"), "{}", error());
    }
}
