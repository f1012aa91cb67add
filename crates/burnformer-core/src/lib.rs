//! Foundations without tensors: layered settings, atomic files and folders, a lock for run folders, progress reports and
//! counter-based random numbers.
//!
//! ```
//! use burnformer_core::{ConfigError, Validate, atomic_write_bytes, settings};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Model {
//!     d_model: usize,
//!     n_heads: usize,
//! }
//!
//! impl Validate for Model {
//!     fn validate(&self) -> Result<(), ConfigError> {
//!         ConfigError::check_divides(self.d_model, self.n_heads)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let base = Model { d_model: 512, n_heads: 8 };
//! let file = folder.join("settings.toml");
//! atomic_write_bytes(&file, "n_heads = 4\n")?;
//!
//! let model = settings::load(&base, Some(&file), &["d_model=256".to_owned()])?;
//! assert_eq!((model.d_model, model.n_heads), (256, 4));
//!
//! let error = settings::load(&base, None, &["d_modle=256".to_owned()]).err().unwrap();
//! assert_eq!(
//!     error.to_string(),
//!     "the override `d_modle=256` sets the unknown key `d_modle`, did you mean `d_model`?"
//! );
//!
//! // Save the resolved settings; `reload` reads them back without a preset.
//! let run = folder.join("run.toml");
//! atomic_write_bytes(&run, settings::to_toml(&model)?)?;
//! let again: Model = settings::reload(&run, &[])?;
//! assert_eq!(again.d_model, 256);
//! # Ok(())
//! # }
//! ```

pub mod adapter;
pub mod collective;
pub mod config;
pub mod disk;
pub mod files;
pub mod lock;
pub mod memory;
pub mod progress;
pub mod random;
pub mod settings;
pub mod text;

pub use collective::{Collective, CollectiveError, Local};
pub use config::{ConfigError, Validate};
pub use disk::available_space;
pub use files::{
    AtomicFile, AtomicFolder, FileError, SETTINGS_LIMIT, atomic_write, atomic_write_bytes, open_regular, read_limited,
    read_text,
};
pub use lock::{FolderLock, LockError};
pub use memory::{available_memory, peak_memory, resident_memory};
pub use progress::{Interrupt, Interrupted, Progress, Silent, Stage, Unit, is_interrupted};
pub use settings::SettingsError;
pub use text::printable;
