//! Settings of token classification.

use burnformer_data::tag_scheme::TagScheme;
use serde::{Deserialize, Serialize};

/// Settings of token classification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenClassificationSettings {
    /// Scheme of the tags; absent for the one that the tags of the training sentences tell.
    pub scheme: Option<TagScheme>,
    /// `true` trains on all tokens of a word: those behind the first have the tag of the word, `I-X` in place of `B-X`. Metrics are
    /// those of the first tokens.
    pub label_all_tokens: bool,
}
