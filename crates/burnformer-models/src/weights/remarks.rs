//! What is worth knowing about a file of weights that is read all the same.

use super::Weights;
use super::float::StoredType;
use crate::ModelError;
use std::fmt::{self, Display};
use std::path::Path;

/// Most names that a remark lists.
const SHOWN: usize = 5;

/// What is unusual about the weights in a model folder, by their headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeightRemarks {
    /// What stands before the names of all weights, with its dot, and is taken off; empty if nothing does.
    pub prefix: String,
    /// Number of weights of type f64, which are rounded to f32.
    pub rounded: usize,
    /// Names of what is not read, as no answer depends on it: buffers that are no floats, vectors beside the model such as
    /// the weights of classes in a loss, and the state of a run.
    pub ignored: Vec<String>,
    /// Names of buffers that earlier releases of transformers wrote into every file: numbers of positions and segments, which
    /// are not read either.
    pub former_buffers: Vec<String>,
}

impl WeightRemarks {
    /// The remarks on the weights in `folder`.
    ///
    /// # Errors
    /// As [`Weights::in_folder`].
    pub fn of(folder: &Path) -> Result<Self, ModelError> {
        let file = Weights::in_folder(folder)?;
        let (mut rounded, mut ignored, mut former_buffers) = (0, Vec::new(), Vec::new());
        for name in file.names() {
            if is_former_buffer(&name) {
                former_buffers.push(file.stored(&name).to_owned());
            } else if file.is_extra(&name) {
                ignored.push(file.stored(&name).to_owned());
            } else if file.stored_type(&name) == Some(StoredType::Double) {
                rounded += 1;
            }
        }
        let prefix = file.layout.map_or_else(String::new, |layout| layout.prefix);
        Ok(Self { prefix, rounded, ignored, former_buffers })
    }
}

/// A line for each remark, without a break at the end; empty if there is none, or nothing but former buffers, which are in
/// many files.
impl Display for WeightRemarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        if !self.prefix.is_empty() {
            lines.push(format!("the weights are read under the prefix `{}`", self.prefix));
        }
        if self.rounded > 0 {
            lines.push(format!("weights of type f64, rounded to f32: {}", self.rounded));
        }
        if !self.ignored.is_empty() {
            let shown: Vec<String> = self.ignored.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
            let more = match self.ignored.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            lines.push(format!("ignored in the weight file, as no part of the model: {}{more}", shown.join(", ")));
        }
        f.write_str(&lines.join("\n"))
    }
}

/// `true` for a buffer that earlier releases of transformers wrote beside the embeddings of a model.
pub(crate) fn is_former_buffer(name: &str) -> bool {
    name.ends_with("embeddings.position_ids") || name.ends_with("embeddings.token_type_ids")
}
