//! `burnformer fetch`.

use std::path::PathBuf;

use burnformer::hub::{ModelName, Revision};
use clap::Args;

use super::paths::folder_to_write;

/// Download a model from the Hugging Face hub
///
/// Downloads the configuration, one set of weights (safetensors if there is one), the tokenizer and the modules of
/// sentence-transformers into the cache that Hugging Face's programs use, and prints the model folder. Files that are in the
/// cache are not downloaded again; an interrupted download continues where it stopped. Every file is checked against the checksum
/// that the hub lists; the token is sent to the hub only, not to servers that it redirects to.
///
/// Environment variables: `HF_HOME` and `HF_HUB_CACHE` (place of the cache), `HF_TOKEN` (for private and gated models;
/// default: the token stored by `hf auth login`), `HF_ENDPOINT` (another server), `HF_HUB_DOWNLOAD_TIMEOUT` (seconds to wait
/// for the server; default: 30), `HTTPS_PROXY`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  burnformer fetch google-bert/bert-base-uncased --out models/bert
  burnformer fetch sentence-transformers/all-MiniLM-L6-v2 --revision main
  burnformer similarity $(burnformer fetch sentence-transformers/all-MiniLM-L6-v2) 'It leaks.' 'It drips.'")]
pub(crate) struct FetchArgs {
    /// Model name on the hub
    #[arg(value_name = "ORG/NAME")]
    pub(crate) name: ModelName,

    /// Branch, tag or commit
    #[arg(long, value_name = "REVISION", default_value = "main")]
    pub(crate) revision: Revision,

    /// Copy the model to this folder; must not exist
    #[arg(long, value_name = "FOLDER", value_parser = folder_to_write())]
    pub(crate) out: Option<PathBuf>,
}
