//! The samples of a corpus: its documents divided into parts, and a dataset of each part.

use std::path::Path;
use std::sync::Arc;

use burnformer_data::DataError;
use burnformer_data::corpus::Corpus;
use burnformer_data::split::{Split, SplitConfig, Subset};

use crate::RecipeError;

/// Training and validation samples of a corpus.
pub(crate) struct CorpusSamples<S> {
    /// Documents to train on.
    pub(crate) documents: Vec<u32>,
    pub(crate) train: Arc<S>,
    /// `None` if the split has no validation part.
    pub(crate) validation: Option<Arc<S>>,
}

impl<S> CorpusSamples<S> {
    /// Splits `corpus`, which is in the folder `name`, and lets `samples` make a dataset of the documents of a part.
    pub(crate) fn new(
        corpus: &Corpus,
        name: &str,
        split: &SplitConfig,
        seed: u64,
        samples: impl Fn(&[u32]) -> Result<S, DataError>,
    ) -> Result<Self, RecipeError> {
        let split =
            Split::of(corpus, split, seed).map_err(|source| RecipeError::Split { corpus: name.into(), source })?;
        let of = |part: Subset, documents: &[u32]| {
            let no_samples = |source| RecipeError::NoSamples { part, corpus: name.into(), source };
            samples(documents).map(Arc::new).map_err(no_samples)
        };
        let train = of(Subset::Train, &split.train)?;
        let validation = match split.validation.as_slice() {
            [] => None,
            documents => Some(of(Subset::Validation, documents)?),
        };
        Ok(Self { documents: split.train, train, validation })
    }
}

/// Makes sure that the corpus of a run is where its setting `key` says.
pub(crate) fn check_corpus(key: &'static str, place: &str) -> Result<(), RecipeError> {
    if Path::new(place).is_dir() { Ok(()) } else { Err(RecipeError::DataGone { key, place: place.to_owned() }) }
}
