//! What an error says to a user: its causes, each once, and advice.

use std::error::Error as StdError;
use std::fmt;

use anyhow::Error;
use burnformer::data::DataError;
use burnformer::data::corpus::CorpusError;
use burnformer::data::datasets::SamplesError;
use burnformer::data::labelled::LabelError;
use burnformer::data::readers::ReadError;
use burnformer::data::tokenizer::TokenizerError;
use burnformer::models::{Head, ModelError};
use burnformer::tasks::TaskError;
use burnformer::train::TrainError;

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

/// What `error` says, then what each cause says that does not repeat the one before.
pub(crate) fn causes(error: &(dyn StdError + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if causes.last().is_none_or(|last| !last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

/// What the user can do about `error` beyond what it says itself.
pub(crate) fn hint(error: &Error) -> Option<String> {
    // It may be a context, and contexts are not in the chain as themselves.
    if let Some(advised) = error.downcast_ref::<Advised>() {
        return Some(advised.hint.clone());
    }
    error
        .chain()
        .map(passed_on)
        .find_map(|cause| {
            let data = cause.downcast_ref().and_then(hint_on_data);
            let model = cause.downcast_ref().and_then(hint_on_model);
            let task = cause.downcast_ref().and_then(hint_on_task);
            data.or(model).or(task).or_else(|| cause.downcast_ref().and_then(hint_on_training))
        })
        .map(str::to_owned)
}

fn hint_on_data(error: &DataError) -> Option<&str> {
    match error {
        DataError::RustDocs(error) => error.hint(),
        DataError::Corpus(CorpusError::NotACorpus { .. }) => Some("build a corpus with `burnformer data build`"),
        DataError::Read(ReadError::MissingColumn { .. } | ReadError::MissingField { .. }) => {
            Some("name the columns with `--text-column`, `--pair-column`, `--label-column` and `--group-column`")
        }
        DataError::Label(LabelError::NoLabel { .. }) => Some("name the column of the label with `--label-column`"),
        DataError::Label(LabelError::Unknown { .. }) => Some("remove these texts, or train on texts of this class too"),
        DataError::Samples(SamplesError::OneDocument { .. }) => {
            Some("set `--set data.samples.next_sentence=false`, raise the shares below `data.split`, or add text")
        }
        DataError::Samples(SamplesError::NoPairs) => {
            Some("build a corpus of pairs: `burnformer data build` with `--pair-input` or `--pair-column`")
        }
        DataError::Tokenizer(TokenizerError::TooShort { .. }) => Some("raise `--max-seq-length`"),
        error if error.is_bad_row() => Some("`--on-bad-row skip` skips such rows and counts them"),
        _ => None,
    }
}

fn hint_on_model(error: &ModelError) -> Option<&str> {
    match error {
        ModelError::NotAModelFolder { file: "config.json", .. } => {
            Some("`burnformer pretrain`, `finetune`, `train-seq2seq` and `average` make model folders")
        }
        ModelError::HeadSize { .. } => {
            Some("correct `id2label`, or train another classifier with `burnformer finetune`")
        }
        ModelError::WeightNames { .. } => Some(
            "set `architectures` in `config.json` to the class of these weights; `burnformer finetune` and `embed` need the encoder only",
        ),
        _ => None,
    }
}

fn hint_on_task(error: &TaskError) -> Option<&str> {
    match error {
        TaskError::VocabularyMismatch { .. } => {
            Some("raise `model.vocab_size`, or use the tokenizer that the model was trained with")
        }
        TaskError::OtherTask { found: Head::SequenceClassification, .. } => {
            Some("classify texts with it by `burnformer predict`")
        }
        TaskError::OtherTask { found: Head::Seq2Seq, .. } => Some("translate with it by `burnformer translate`"),
        TaskError::OtherTask { .. } => {
            Some("train a classifier from it with `burnformer finetune`, or compute embeddings with `burnformer embed`")
        }
        _ => None,
    }
}

fn hint_on_training(error: &TrainError) -> Option<&str> {
    match error {
        TrainError::NotARun { .. } => {
            Some("start a run with `burnformer pretrain`, `finetune` or `train-seq2seq`, without `--resume`")
        }
        TrainError::OtherRun { .. } => Some("restore what has changed, or start a new run in another folder"),
        _ => None,
    }
}

/// What `cause` is about, if all it does is to pass on an error of another crate: that has its place in the chain.
fn passed_on<'a>(cause: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(TrainError::Task(inner)), _) => passed_on(inner.as_ref()),
        (Some(TrainError::Data(inner)), _) | (_, Some(TaskError::Data(inner))) => inner,
        (_, Some(TaskError::Model(inner))) => inner,
        _ => cause,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::anyhow;
    use burnformer::core::{Interrupted, is_interrupted};

    use super::*;

    #[test]
    fn every_cause_is_said_once() {
        let error = anyhow!(io::Error::other("disk full")).context("cannot write `a`: disk full").context("stopped");
        assert_eq!(causes(error.as_ref()), ["stopped", "cannot write `a`: disk full"]);
        let error = anyhow!(io::Error::other("disk full")).context("cannot write `a`");
        assert_eq!(causes(error.as_ref()), ["cannot write `a`", "disk full"]);
    }

    #[test]
    fn advice_is_found_below_any_context() {
        let error = Error::from(Advised::new("no label", "give it one")).context("cannot split");
        assert_eq!(causes(error.as_ref()), ["cannot split", "no label"]);
        assert_eq!(hint(&error).as_deref(), Some("give it one"));
        assert_eq!(hint(&anyhow!("no label")), None);
        let error = anyhow!("no label").context(Advised::new("cannot split", "give it one")).context("stopped");
        assert_eq!(hint(&error).as_deref(), Some("give it one"));
    }

    #[test]
    fn advice_is_found_in_errors_that_are_passed_on() {
        let error = || ModelError::NotAModelFolder { folder: "a".into(), file: "config.json" };
        let expected = Some("`burnformer pretrain`, `finetune`, `train-seq2seq` and `average` make model folders");
        assert_eq!(hint(&error().into()).as_deref(), expected);
        assert_eq!(hint(&TaskError::Model(error()).into()).as_deref(), expected);
        assert_eq!(hint(&TrainError::task(TaskError::Model(error())).into()).as_deref(), expected);
    }

    #[test]
    fn an_interruption_is_seen_below_any_context_and_said_once() {
        let model = ModelError::from(Interrupted);
        let error = Error::from(TrainError::task(TaskError::Model(model))).context("cannot train");
        assert!(is_interrupted(error.as_ref()));
        assert_eq!(causes(error.as_ref()), ["cannot train", "interrupted"]);
        assert!(!is_interrupted(anyhow!("interrupted").as_ref()));
    }
}
