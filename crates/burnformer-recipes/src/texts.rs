//! The labelled texts of a fine-tuning run.

use burnformer_data::labelled::LabelledTexts;
use burnformer_data::readers::Input;
use burnformer_data::source::Source;

use crate::{Context, FinetuneSettings, Note, RecipeError};

/// Training, validation and test texts.
pub(crate) struct Texts {
    pub(crate) train: LabelledTexts,
    pub(crate) validation: LabelledTexts,
    pub(crate) test: Option<LabelledTexts>,
    /// Fingerprint of the training texts.
    pub(crate) fingerprint: String,
}

impl Texts {
    /// Reads what the settings name, and the test texts.
    pub(crate) fn read(
        settings: &FinetuneSettings,
        test: Option<&Input>,
        context: &Context<'_>,
    ) -> Result<Self, RecipeError> {
        let (observer, interrupt) = (context.observer, context.interrupt());
        let source = settings.data.open()?;
        let parts = source.parts().iter().map(|part| format!("{:016x}", part.fingerprint));
        let fingerprint = parts.collect::<Vec<_>>().join("-");
        let (train, skipped) = LabelledTexts::read(&source, settings.on_bad_row, observer, &interrupt)?;
        observer.note(&Note::SkippedRows(&skipped));
        let others = |input: &Input| -> Result<LabelledTexts, RecipeError> {
            let (source, labels) = (input.open()?, train.labels.clone());
            let (texts, skipped) =
                LabelledTexts::read_with_labels(&source, labels, settings.on_bad_row, observer, &interrupt)?;
            observer.note(&Note::SkippedRows(&skipped));
            Ok(texts)
        };
        let test = test.map(others).transpose()?;
        let given = settings.validation.as_ref().map(others).transpose()?;
        let (train, validation) = match given {
            Some(validation) => (train, validation),
            None => train.split(settings.validation_share, settings.seed),
        };
        if validation.examples.is_empty() {
            return Err(RecipeError::NoValidationTexts);
        }
        let train = match settings.max_per_class {
            Some(n) => train.at_most_per_class(n, settings.seed),
            None => train,
        };
        let fingerprint = format!("{fingerprint}, {} texts", train.examples.len());
        Ok(Self { train, validation, test, fingerprint })
    }
}
