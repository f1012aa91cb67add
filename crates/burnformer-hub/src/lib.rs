//! Models from the Hugging Face hub: where it is, what a repository there holds, and its files in the cache that other
//! programs share.
//!
//! The cache has the layout of Hugging Face's programs: `models--ORG--NAME` with `blobs`, `refs` and `snapshots`. Nothing that
//! the server sends is trusted: names become paths only if they stay inside the cache, files get their names only with the hash
//! that is listed, the token goes to the hub's own address alone, and every wait and every answer has a limit.
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

mod address;
mod cache;
mod choice;
mod client;
mod content;
mod error;
mod hub;
mod listing;
mod name;
mod part;
mod refusal;
mod repository;
mod transfer;

pub use address::AddressError;
pub use error::HubError;
pub use hub::Hub;
pub use listing::ListingError;
pub use name::{ModelName, NameError, Revision, RevisionError};
pub use repository::Repository;
