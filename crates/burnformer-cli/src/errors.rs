//! Errors of the command line, and the advice for an error.

use std::error::Error as StdError;
use std::fmt;

use anyhow::Error;
use burnformer::recipes;

/// An error of the command line, with what the user can do about it.
#[derive(Debug)]
pub(crate) struct Advised {
    message: String,
    hint: String,
}

impl Advised {
    /// An error that says `message`, and advises `hint`.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Advised {}

/// What the user can do about `error` beyond what it says itself.
pub(crate) fn hint(error: &Error) -> Option<String> {
    // It may be a context, and contexts are not in the chain as themselves.
    if let Some(advised) = error.downcast_ref::<Advised>() {
        return Some(advised.hint.clone());
    }
    #[cfg(feature = "fetch")]
    if let Some(hint) = error.chain().find_map(|cause| cause.downcast_ref::<burnformer::hub::HubError>()?.hint()) {
        return Some(hint);
    }
    error.chain().find_map(|cause| match cause.downcast_ref::<Advised>() {
        Some(advised) => Some(advised.hint.clone()),
        None => recipes::hint(cause),
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;
    use burnformer::recipes::causes;

    use super::*;

    #[test]
    fn advice_is_found_below_any_context() {
        let error = Error::from(Advised::new("no label", "give it one")).context("cannot split");
        assert_eq!(causes(error.as_ref()), ["cannot split", "no label"]);
        assert_eq!(hint(&error).as_deref(), Some("give it one"));
        assert_eq!(hint(&anyhow!("no label")), None);
        let error = anyhow!("no label").context(Advised::new("cannot split", "give it one")).context("stopped");
        assert_eq!(hint(&error).as_deref(), Some("give it one"));
    }
}
