//! Models from the Hugging Face hub: where it is, what a repository there holds, and its files in the cache that other
//! programs share.
//!
//! Addresses, the layout of the cache and the transfer of a file are those of `hf-hub`. This crate decides which files make a
//! model folder, checks that each has arrived as a whole, goes on with a file that broke off, and says why the hub refuses.
//!
//! ```no_run
//! use burnformer_core::{Interrupt, Silent};
//! use burnformer_hub::{Hub, HubError};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (name, revision) = ("sentence-transformers/all-MiniLM-L6-v2".parse()?, "main".parse()?);
//! let repository = Hub::from_env()?.repository(&name, &revision, &Interrupt::new())?;
//! repository.fetch_model(&Silent, &Interrupt::new())?;
//! println!("{}", repository.folder().display());
//! # Ok(())
//! # }
//! ```

mod choice;
mod error;
mod hub;
mod name;
mod refusal;
mod repository;
mod transfer;

pub use error::HubError;
pub use hub::Hub;
pub use name::{ModelName, NameError, Revision, RevisionError};
pub use repository::Repository;
