//! The texts of a fine-tuning run, with what is to be predicted.

use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::random::{Key, Permutation, Purpose};
use burnformer_data::DataError;
use burnformer_data::class_names::OddClasses;
use burnformer_data::conflicts::Conflicts;
use burnformer_data::labelled::{LabelError, LabelledTexts};
use burnformer_data::paired::PairError;
use burnformer_data::readers::{Files, Input, ReadError};
use burnformer_data::source::{OnBadRow, Skipped, Source, fingerprint};
use burnformer_data::tagged::{TagError, TaggedTexts, Tagging};
use burnformer_reports::{RepeatedTexts, RunSummary};

use crate::{Context, FinetuneSettings, FinetuneTask, Note, RecipeError};

/// Labelled rows of the data of a task.
pub trait Examples: Sized + Send + Sync {
    /// What is to be predicted of a text, in the plural.
    const TARGETS: &'static str;
    /// Why [`Self::split`] may leave no row for validation.
    const NO_SPLIT: &'static str = "there are too few different rows";

    /// Reads texts as `settings` say; their labels are the known ones, if there are any, else those that occur.
    ///
    /// # Errors
    /// The first bad row, unless `settings.on_bad_row` skips those, which are counted; on request of `interrupt`.
    fn read(
        source: &dyn Source,
        known: Option<Vec<String>>,
        settings: &FinetuneSettings,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError>;

    /// What is left, and a share for validation, with the rows of a text in one of them.
    fn split(self, share: f64, seed: u64) -> (Self, Self);

    /// The same of rows, as version 0.1.0 did it for the tasks that it had.
    fn split_rows(self, share: f64, seed: u64) -> (Self, Self) {
        self.split(share, seed)
    }

    /// Refuses labels that no model can be meant to learn, if there are such.
    ///
    /// # Errors
    /// An error that names the label and, where known, the row.
    fn check_labels(
        &self,
        _source: &dyn Source,
        _policy: OnBadRow,
        _progress: &dyn Progress,
        _interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        Ok(())
    }

    /// What is odd about the labels; nothing without labels.
    fn odd_labels(&self) -> OddClasses {
        OddClasses::default()
    }

    /// Texts with different labels.
    fn conflicts(&self) -> Conflicts;

    /// Numbers of texts or words by label; empty without labels.
    fn label_counts(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Scores of the texts; empty for tasks without scores.
    fn scores(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Number of rows with the text of an earlier one.
    fn n_repeated(&self) -> usize;

    /// Number of rows whose text is among `others` too.
    fn n_shared(&self, others: &Self) -> usize;

    /// At most as many training texts per class as the settings say; all of them where texts have no single class.
    fn limited(self, _settings: &FinetuneSettings) -> Self {
        self
    }

    /// The rows whose place in `is_kept` says `true`.
    fn retain(self, is_kept: &[bool]) -> Self;

    /// Names of the labels; empty without labels.
    fn labels(&self) -> &[String] {
        &[]
    }

    /// Number of texts.
    fn n_texts(&self) -> usize;
}

impl Examples for LabelledTexts {
    const TARGETS: &'static str = "labels";
    const NO_SPLIT: &'static str = "no class has two texts";

    fn read(
        source: &dyn Source,
        known: Option<Vec<String>>,
        settings: &FinetuneSettings,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let out_of_scope = settings.classification.out_of_scope.as_deref();
        Self::read_in_scope(source, known, out_of_scope, settings.on_bad_row, progress, interrupt)
    }

    fn split(self, share: f64, seed: u64) -> (Self, Self) {
        self.split(share, seed)
    }

    fn split_rows(self, share: f64, seed: u64) -> (Self, Self) {
        self.split_rows(share, seed)
    }

    fn check_labels(
        &self,
        source: &dyn Source,
        policy: OnBadRow,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        self.check_classes(source, policy, progress, interrupt)
    }

    fn label_counts(&self) -> Vec<u64> {
        self.class_counts()
    }

    fn odd_labels(&self) -> OddClasses {
        self.odd_classes()
    }

    fn conflicts(&self) -> Conflicts {
        self.conflicts()
    }

    fn n_repeated(&self) -> usize {
        self.n_repeated()
    }

    fn n_shared(&self, others: &Self) -> usize {
        self.n_shared(others)
    }

    fn limited(self, settings: &FinetuneSettings) -> Self {
        match settings.max_per_class {
            Some(n) => self.at_most_per_class(n, settings.seed),
            None => self,
        }
    }

    fn retain(self, is_kept: &[bool]) -> Self {
        self.retain(is_kept)
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn n_texts(&self) -> usize {
        self.examples.len()
    }
}

impl Examples for TaggedTexts {
    const TARGETS: &'static str = "tags";

    fn read(
        source: &dyn Source,
        known: Option<Vec<String>>,
        settings: &FinetuneSettings,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let (own, policy) = (settings.token_classification, settings.on_bad_row);
        match (known, own) {
            (Some(labels), own) => {
                let tagging = own.map_or(Tagging::AsWritten, |own| Tagging::Measured { scheme: own.scheme });
                Self::read_with_labels(source, labels, tagging, policy, progress, interrupt)
            }
            (None, own) => {
                let tagging = own.map_or(Tagging::AsWritten, |own| Tagging::Checked { scheme: own.scheme });
                Self::read(source, tagging, policy, progress, interrupt)
            }
        }
    }

    fn split(self, share: f64, seed: u64) -> (Self, Self) {
        self.split(share, seed)
    }

    fn split_rows(self, share: f64, seed: u64) -> (Self, Self) {
        self.split_rows(share, seed)
    }

    fn label_counts(&self) -> Vec<u64> {
        self.tag_counts()
    }

    fn odd_labels(&self) -> OddClasses {
        self.odd_tags()
    }

    fn conflicts(&self) -> Conflicts {
        self.conflicts()
    }

    fn n_repeated(&self) -> usize {
        self.n_repeated()
    }

    fn n_shared(&self, others: &Self) -> usize {
        self.n_shared(others)
    }

    fn retain(self, is_kept: &[bool]) -> Self {
        self.retain(is_kept)
    }

    fn labels(&self) -> &[String] {
        &self.labels
    }

    fn n_texts(&self) -> usize {
        self.examples.len()
    }
}

/// A random choice of `n` of `n_rows` rows.
fn sampled(n_rows: usize, n: usize, seed: u64) -> Vec<bool> {
    let order = Permutation::new(Key::new(seed, Purpose::Order, "training rows"), 0, n_rows as u64);
    let mut is_kept = vec![false; n_rows];
    (0..n).for_each(|place| is_kept[order.at(place as u64) as usize] = true);
    is_kept
}

/// Training, validation and test texts.
pub(crate) struct Texts<T> {
    pub(crate) train: T,
    pub(crate) validation: T,
    pub(crate) test: Option<T>,
    /// Texts that are there more than once.
    pub(crate) repeated: RepeatedTexts,
    /// Texts with different labels.
    pub(crate) conflicts: Conflicts,
    /// Rows that were skipped.
    pub(crate) skipped: SkippedRows,
    /// Fingerprint of the training texts, and of the validation texts where they have files of their own.
    pub(crate) fingerprint: String,
    /// Fingerprint of the training texts as version 0.1.0 made it.
    pub(crate) former_fingerprint: String,
}

/// Rows that were skipped.
#[derive(Debug, Default)]
pub(crate) struct SkippedRows {
    pub(crate) training: Skipped,
    pub(crate) validation: Skipped,
    pub(crate) test: Skipped,
}

impl<T: Examples> Texts<T> {
    /// The texts of training, validation and test.
    pub(crate) fn parts(&self) -> Vec<&T> {
        [&self.train, &self.validation].into_iter().chain(&self.test).collect()
    }

    /// The most frequent label of the validation texts, and its share.
    pub(crate) fn majority(&self) -> Option<(&str, f64)> {
        let counts = self.validation.label_counts();
        let (label, &count) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
        let all: u64 = counts.iter().sum();
        Some((self.validation.labels().get(label)?, count as f64 / all.max(1) as f64))
    }

    /// Tells if the best model of `run` is right no more often than the most frequent label would be.
    pub(crate) fn compare_with_majority(
        &self,
        run: &RunSummary,
        quality: (&'static str, f64),
        accuracy: f64,
        context: &Context<'_>,
    ) -> Option<f64> {
        let (label, majority) = self.majority()?;
        if accuracy <= majority {
            context.observer.note(&Note::NoBetterThanMajority { run, quality, accuracy, majority, label });
        }
        Some(majority)
    }

    /// Reads what the settings name, and the test texts. A run that `resumes` keeps whatever labels it has.
    pub(crate) fn read(
        settings: &FinetuneSettings,
        test: Option<&Input>,
        resumes: bool,
        context: &Context<'_>,
    ) -> Result<Self, RecipeError> {
        let (observer, interrupt) = (context.observer, context.interrupt());
        let read = |source: &dyn Source, known| -> Result<(T, Skipped), RecipeError> {
            let texts = T::read(source, known, settings, observer, &interrupt);
            let (texts, skipped) = texts.map_err(|error| with_task(error, settings.task()))?;
            observer.note(&Note::SkippedRows(&skipped));
            Ok((texts, skipped))
        };
        let content = |source: &Files| fingerprint(source, observer, &interrupt).map(|it| format!("{it:016x}"));
        let source = settings.data.open()?;
        let former = source.former_fingerprints().map_err(DataError::from)?;
        let former = former.iter().map(|it| format!("{it:016x}")).collect::<Vec<_>>().join("-");
        let mut fingerprint = content(&source)?;
        let mut skipped = SkippedRows::default();
        let (train, rows) = read(&source, None).map_err(|error| with_columns(error, &settings.data))?;
        skipped.training = rows;
        let others = |source: &Files| read(source, Some(train.labels().to_vec()));
        let (test, rows) = test.map(|input| others(&input.open()?)).transpose()?.unzip();
        skipped.test = rows.unwrap_or_default();
        let given = match &settings.validation {
            Some(input) => {
                let source = input.open()?;
                fingerprint = format!("{fingerprint} and {}", content(&source)?);
                let (texts, rows) = others(&source)?;
                skipped.validation = rows;
                Some(texts)
            }
            None => None,
        };
        if !resumes {
            train.check_labels(&source, settings.on_bad_row, observer, &interrupt)?;
        }
        observer.note(&Note::OddClasses(&train.odd_labels()));
        let conflicts = train.conflicts();
        observer.note(&Note::Conflicts { conflicts: &conflicts, of: T::TARGETS });
        let rows = train.n_texts();
        let repeated = train.n_repeated();
        observer.note(&Note::RepeatedTexts { repeated, rows });
        let (train, validation) = match given {
            Some(validation) => (train, validation),
            None if settings.split_by_text => train.split(settings.validation_share, settings.seed),
            None => train.split_rows(settings.validation_share, settings.seed),
        };
        if validation.n_texts() == 0 {
            return Err(RecipeError::NoValidationTexts { reason: T::NO_SPLIT });
        }
        let mut train = train.limited(settings);
        if let Some(n) = settings.max_train_samples.filter(|&n| n < train.n_texts()) {
            let is_kept = sampled(train.n_texts(), n, settings.seed);
            train = train.retain(&is_kept);
        }
        let shared = |part: &T, others: &T| part.n_shared(others) as u64;
        let of_test = |others: &T| test.as_ref().map_or(0, |test| shared(test, others));
        let repeated = RepeatedTexts {
            rows: repeated as u64,
            of: rows as u64,
            conflicts: conflicts.texts,
            validation_in_training: shared(&validation, &train),
            test_in_training: of_test(&train),
            test_in_validation: of_test(&validation),
        };
        let n_test = test.as_ref().map_or(0, T::n_texts);
        observer.note(&Note::SharedTexts { repeated: &repeated, validation: validation.n_texts(), test: n_test });
        let [fingerprint, former_fingerprint] =
            [fingerprint, former].map(|name| format!("{name}, {} texts", train.n_texts()));
        Ok(Self { train, validation, test, repeated, conflicts, skipped, fingerprint, former_fingerprint })
    }
}

/// An error about a blank cell, which may say that a text has no label.
pub(crate) fn with_task(error: DataError, task: FinetuneTask) -> RecipeError {
    match (error, task) {
        (error @ DataError::Read(ReadError::BlankField { .. }), FinetuneTask::MultiLabelClassification) => {
            RecipeError::BlankCell(error)
        }
        (error, _) => error.into(),
    }
}

/// An error about a missing label or second text, with the columns that there are if none is named.
fn with_columns(error: RecipeError, input: &Input) -> RecipeError {
    let RecipeError::Data(cause) = &error else { return error };
    let no_label =
        matches!(cause, DataError::Label(LabelError::NoLabel { .. }) | DataError::Tag(TagError::NoTags { .. }));
    let no_pair = matches!(cause, DataError::Pair(PairError::NoPair { .. }));
    let columns = if no_label || no_pair { input.column_names() } else { Vec::new() };
    let paths = input.paths.join(", ");
    match columns.is_empty() {
        true => error,
        false if no_pair => RecipeError::NoPairColumn { paths, columns },
        false => RecipeError::NoLabelColumn { paths, columns },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_as_many_rows_as_asked_for_and_depends_on_the_seed() {
        let kept = |seed| sampled(100, 30, seed);
        assert_eq!(kept(1).iter().filter(|&&kept| kept).count(), 30);
        assert_eq!(kept(1), kept(1));
        assert_ne!(kept(1), kept(2));
        assert_ne!(kept(1)[..30], [true; 30]);
    }
}
