//! The texts of a fine-tuning run, with what is to be predicted.

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_data::DataError;
use burnformer_data::labelled::LabelledTexts;
use burnformer_data::readers::{Files, Input};
use burnformer_data::source::{OnBadRow, Skipped, Source, fingerprint};
use burnformer_data::tagged::TaggedTexts;

use crate::{Context, FinetuneSettings, Note, RecipeError};

/// Texts with labels, of one kind.
pub(crate) trait Examples: Sized {
    /// Reads texts; their labels are the known ones, if there are any, else those that occur.
    fn read(
        source: &dyn Source,
        known: Option<Vec<String>>,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError>;

    /// What is left, and a share for validation.
    fn split(self, share: f64, seed: u64) -> (Self, Self);

    /// At most as many training texts as the settings say.
    fn limited(self, settings: &FinetuneSettings) -> Self;

    /// Names of the labels.
    fn labels(&self) -> &[String];

    /// Number of texts.
    fn n_texts(&self) -> usize;
}

impl Examples for LabelledTexts {
    fn read(
        source: &dyn Source,
        known: Option<Vec<String>>,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        match known {
            Some(labels) => Self::read_with_labels(source, labels, policy, progress, interrupt),
            None => Self::read(source, policy, progress, interrupt),
        }
    }

    fn split(self, share: f64, seed: u64) -> (Self, Self) {
        self.split(share, seed)
    }

    fn limited(self, settings: &FinetuneSettings) -> Self {
        match settings.max_per_class {
            Some(n) => self.at_most_per_class(n, settings.seed),
            None => self,
        }
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn n_texts(&self) -> usize {
        self.examples.len()
    }
}

impl Examples for TaggedTexts {
    fn read(
        source: &dyn Source,
        known: Option<Vec<String>>,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        match known {
            Some(labels) => Self::read_with_labels(source, labels, policy, progress, interrupt),
            None => Self::read(source, policy, progress, interrupt),
        }
    }

    fn split(self, share: f64, seed: u64) -> (Self, Self) {
        self.split(share, seed)
    }

    /// All of them: a sentence has no class.
    fn limited(self, _settings: &FinetuneSettings) -> Self {
        self
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn n_texts(&self) -> usize {
        self.examples.len()
    }
}

/// Training, validation and test texts.
pub(crate) struct Texts<T> {
    pub(crate) train: T,
    pub(crate) validation: T,
    pub(crate) test: Option<T>,
    /// Fingerprint of the training texts, and of the validation texts where they have files of their own.
    pub(crate) fingerprint: String,
    /// Fingerprint of the training texts as version 0.1.0 made it.
    pub(crate) former_fingerprint: String,
}

impl<T: Examples> Texts<T> {
    /// Reads what the settings name, and the test texts.
    pub(crate) fn read(
        settings: &FinetuneSettings,
        test: Option<&Input>,
        context: &Context<'_>,
    ) -> Result<Self, RecipeError> {
        let (observer, interrupt) = (context.observer, context.interrupt());
        let read = |source: &dyn Source, known| -> Result<T, RecipeError> {
            let (texts, skipped) = T::read(source, known, settings.on_bad_row, observer, &interrupt)?;
            observer.note(&Note::SkippedRows(&skipped));
            Ok(texts)
        };
        let content = |source: &Files| fingerprint(source, observer, &interrupt).map(|it| format!("{it:016x}"));
        let source = settings.data.open()?;
        let former = source.former_fingerprints().map_err(DataError::from)?;
        let former = former.iter().map(|it| format!("{it:016x}")).collect::<Vec<_>>().join("-");
        let mut fingerprint = content(&source)?;
        let train = read(&source, None)?;
        let others = |source: &Files| read(source, Some(train.labels().to_vec()));
        let test = test.map(|input| others(&input.open()?)).transpose()?;
        let given = match &settings.validation {
            Some(input) => {
                let source = input.open()?;
                fingerprint = format!("{fingerprint} and {}", content(&source)?);
                Some(others(&source)?)
            }
            None => None,
        };
        let (train, validation) = match given {
            Some(validation) => (train, validation),
            None => train.split(settings.validation_share, settings.seed),
        };
        if validation.n_texts() == 0 {
            return Err(RecipeError::NoValidationTexts);
        }
        let train = train.limited(settings);
        let [fingerprint, former_fingerprint] =
            [fingerprint, former].map(|name| format!("{name}, {} texts", train.n_texts()));
        Ok(Self { train, validation, test, fingerprint, former_fingerprint })
    }
}
