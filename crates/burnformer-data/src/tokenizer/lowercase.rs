//! Lower-casing in front of a tokenizer that tells capitals apart.

use std::sync::Arc;

use tokenizers::NormalizerWrapper;
use tokenizers::normalizers::{Lowercase, Sequence};

use super::long::guard;
use super::unigram::fingerprint;
use super::{Inner, Tokenizer, TokenizerError};

impl Tokenizer {
    /// The same tokenizer for texts that are lower-cased first, as `do_lower_case` of sentence-transformers does. Special
    /// tokens in a text keep their capitals. A tokenizer with the step `Lowercase` of its own stays as it is.
    ///
    /// # Errors
    /// [`TokenizerError::Encode`] if the library cannot put the step in front.
    pub fn lowercased(self) -> Result<Self, TokenizerError> {
        let steps = match self.0.marked.get_normalizer() {
            None => Vec::new(),
            Some(NormalizerWrapper::Sequence(steps)) => steps.as_ref().to_vec(),
            Some(step) => vec![step.clone()],
        };
        if steps.iter().any(|step| matches!(step, NormalizerWrapper::Lowercase(_))) {
            return Ok(self);
        }
        let steps = [NormalizerWrapper::Lowercase(Lowercase)].into_iter().chain(steps).collect();
        let normalizer = NormalizerWrapper::Sequence(Sequence::new(steps));
        let mut inner: Inner = Arc::unwrap_or_clone(self.0);
        inner.fingerprint = guard(|| {
            inner.plain.with_normalizer(Some(normalizer.clone()))?;
            inner.marked.with_normalizer(Some(normalizer))?;
            fingerprint(&inner.marked)
        })?;
        Ok(Self(Arc::new(inner)))
    }
}
