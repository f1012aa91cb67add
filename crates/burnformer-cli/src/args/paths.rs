//! Paths as values of flags.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// Parses the path of a folder that is written: anything but `-`, which stands for the standard output elsewhere.
pub(super) fn folder_to_write() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path == Path::new("-") {
        true => Err("`-` is standard output, but a folder is written: name a folder, or `./-` if that is its name"),
        false => Ok(path),
    })
}
