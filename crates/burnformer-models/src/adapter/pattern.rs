//! Regular expressions of module names, as Python reads them.

use burnformer_core::ConfigError;
use regex::{Regex, RegexBuilder};

/// Most bytes of a compiled expression.
const MOST_BYTES: usize = 1 << 20;

/// A regular expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Python's `re.fullmatch(pattern, name)`.
    ///
    /// # Errors
    /// [`ConfigError`] of `key` if it is no regular expression, or needs look-around or a backreference.
    pub(super) fn whole(key: &'static str, pattern: &str) -> Result<Self, ConfigError> {
        Self::new(key, pattern, &format!("^(?:{pattern})$"))
    }

    /// Python's `re.match(rf"(.*\.)?({pattern})$", name)`.
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub(super) fn end(key: &'static str, pattern: &str) -> Result<Self, ConfigError> {
        Self::new(key, pattern, &format!(r"^(?:.*\.)?(?:{pattern})$"))
    }

    /// Python's `re.match(rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.", name)`.
    ///
    /// # Errors
    /// As [`Self::whole`].
    pub(super) fn layers(key: &'static str, pattern: &str) -> Result<Self, ConfigError> {
        Self::new(key, pattern, &format!(r"^(?:|.*?\.)(?:{pattern})\.(?P<layer>[0-9]+)\."))
    }

    fn new(key: &'static str, given: &str, whole: &str) -> Result<Self, ConfigError> {
        let compiled = RegexBuilder::new(whole).size_limit(MOST_BYTES).build();
        let expected = "a regular expression without look-around and backreferences, of moderate size";
        ConfigError::check(key, &given, compiled.is_ok(), expected)?;
        Ok(Self(compiled.expect("it has been checked")))
    }

    pub(super) fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// The number of the layer in `name`.
    pub(super) fn layer(&self, name: &str) -> Option<usize> {
        self.0.captures(name)?.name("layer")?.as_str().parse().ok()
    }
}
