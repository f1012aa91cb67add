//! Causes of errors of any crate, and hints for users on them.

use std::error::Error;

use burnformer_core::adapter::AdapterError;
use burnformer_data::DataError;
use burnformer_data::corpus::CorpusError;
use burnformer_data::datasets::SamplesError;
use burnformer_data::labelled::LabelError;
use burnformer_data::paired::PairError;
use burnformer_data::readers::{Likely, ReadError};
use burnformer_data::tag_scheme::{TagBreakKind, TagScheme};
use burnformer_data::tagged::TagError;
use burnformer_data::tokenizer::TokenizerError;
use burnformer_models::weights::is_adapter;
use burnformer_models::{Head, ModelError};
use burnformer_tasks::TaskError;
use burnformer_train::{RunFolder, TrainError};

use crate::error::{SQUAD, is_squad};
use crate::{RecipeError, SearchRunError};

/// What `error` says, then what each cause says that does not repeat the one before.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
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

/// The hint for `error`, or for the first of its causes that has one.
#[must_use]
pub fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error).find_map(|cause| {
        if let Some(hint) = cause.downcast_ref().and_then(RecipeError::hint) {
            return Some(hint);
        }
        if let Some(hint) = cause.downcast_ref().and_then(SearchRunError::hint) {
            return Some(hint);
        }
        let data = cause.downcast_ref().and_then(hint_on_data);
        let model = cause.downcast_ref().and_then(hint_on_model);
        let run = || cause.downcast_ref().and_then(hint_on_unpublished_run);
        let file = match cause.downcast_ref() {
            Some(DataError::Read(error)) => Some(error),
            _ => cause.downcast_ref(),
        };
        if let Some(hint) = file.and_then(hint_on_file) {
            return Some(hint);
        }
        let task = cause.downcast_ref().and_then(hint_on_task);
        let training = || cause.downcast_ref().and_then(hint_on_training);
        run().or_else(|| data.or(model).or(task).or_else(training).map(str::to_owned))
    })
}

/// `error` and what caused it; in the place of one that only passes on another, that other.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(passed_on(error)), |&error| error.source().map(passed_on))
}

fn passed_on<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    if let Some(inner) = error.downcast_ref().and_then(RecipeError::passed_on) {
        return passed_on(inner);
    }
    if let Some(inner) = error.downcast_ref().and_then(SearchRunError::passed_on) {
        return passed_on(inner);
    }
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(TrainError::Task(inner)), _) => passed_on(inner.as_ref()),
        (Some(TrainError::Data(inner)), _) | (_, Some(TaskError::Data(inner))) => inner,
        (_, Some(TaskError::Model(ModelError::Foreign(inner)))) => passed_on(inner.as_ref()),
        (_, Some(TaskError::Model(inner))) => inner,
        _ => error,
    }
}

/// Most documents of an input that was perhaps not meant to have so few.
pub(crate) const FEW_DOCUMENTS: usize = 9;

/// What to do about a file, which depends on what is in it.
fn hint_on_file(error: &ReadError) -> Option<String> {
    match error {
        ReadError::NotUtf8 { likely: Some(Likely { encoding, .. }), .. }
        | ReadError::OtherEncoding { likely: encoding, .. } => Some(format!(
            "`--encoding {encoding}` reads it as that; files of different encodings must be converted to one"
        )),
        ReadError::MissingColumn { delimiter: Some(delimiter), .. } => {
            let shown = if *delimiter == '\t' { "\\t".to_owned() } else { delimiter.to_string() };
            Some(format!("`--input-format csv --delimiter '{shown}'` reads it as that"))
        }
        _ => None,
    }
}

fn hint_on_data(error: &DataError) -> Option<&str> {
    match error {
        DataError::RustDocs(error) => error.hint(),
        DataError::Corpus(CorpusError::NotACorpus { .. }) => Some("build a corpus with `burnformer data build`"),
        DataError::Read(ReadError::MissingColumn { .. }) => {
            Some("name the columns with `--text-column`, `--pair-column`, `--label-column` and `--group-column`")
        }
        DataError::Read(ReadError::MissingKey { keys, .. }) if is_squad(keys) => Some(SQUAD),
        DataError::Read(ReadError::MissingField { .. } | ReadError::MissingKey { .. }) => Some(
            "name the columns with `--text-column`, `--pair-column`, `--label-column` and `--group-column`, or skip and count \
             rows without a value by `--on-bad-row skip`",
        ),
        DataError::Label(LabelError::NoLabel { .. }) => Some("name the column of the label with `--label-column`"),
        DataError::Tag(TagError::NoTags { .. }) => Some("set `--input-format conll` if the files are CoNLL columns"),
        DataError::Tag(TagError::UnknownTag { .. }) => Some(
            "correct the tag, train on sentences with this tag too, or skip and count such sentences by `--on-bad-row skip`",
        ),
        DataError::Tag(TagError::BrokenScheme { problem, .. }) => Some(match problem.kind {
            TagBreakKind::Foreign => {
                "name the column of the tags with `--label-column`, set `--scheme`, or skip and count such sentences by \
                 `--on-bad-row skip`"
            }
            _ if problem.scheme == TagScheme::Bio => {
                "correct the tag, read the tags by `--scheme iob1`, in which `I-` may begin an entity, or skip and count such \
                 sentences by `--on-bad-row skip`"
            }
            _ => "correct the tag, or skip and count such sentences by `--on-bad-row skip`",
        }),
        DataError::Pair(PairError::NoPair { .. }) => Some("name the column of the second text with `--pair-column`"),
        DataError::Label(LabelError::Missing { .. }) => Some(
            "remove the rows with this class, or write their class; one of this name needs another, such as `other`",
        ),
        DataError::Label(LabelError::Scores { .. }) => Some(
            "set `--task regression` for scores; for classes write a few names in their place, such as `low` and `high`",
        ),
        DataError::Label(LabelError::Several { .. }) => Some("set `--task multi-label-classification`"),
        DataError::Label(LabelError::OneEach) => Some(
            "set `--label-separator` for several labels in a cell, or `--label-columns` for a column of 0 and 1 for each \
             label; for one class per text leave out `--task`",
        ),
        DataError::Label(LabelError::NoneAnswered { .. }) => {
            Some("name the column of the answers with `--label-column`, or add questions that have answers")
        }
        DataError::Label(LabelError::NoColumn { .. }) => Some("name the columns of all labels with `--label-columns`"),
        DataError::Label(LabelError::OutsideUnit { .. }) => {
            Some("scale the scores to 0 to 1, or set `--task regression`, which takes any number")
        }
        DataError::Label(LabelError::Alike { .. }) => {
            Some("write the class as the known one, or skip and count such rows by `--on-bad-row skip`")
        }
        DataError::Label(LabelError::Unknown { .. }) => Some(
            "remove these texts, train on texts of this class too, or skip and count such rows by `--on-bad-row skip`",
        ),
        DataError::Samples(SamplesError::OneDocument { .. }) => Some(
            "set `--set data.samples.next_sentence=false`, raise the shares below `data.split`, or add documents: a text \
             file is one, unless blank lines separate documents and `data build --layout blank-lines` says so",
        ),
        DataError::EmptyPart { found: ..=FEW_DOCUMENTS, .. } => Some(
            "set the shares to 0, or add documents: a text file is one, unless blank lines separate documents and \
             `--layout blank-lines` says so",
        ),
        DataError::Samples(SamplesError::NoPairs) => {
            Some("build a corpus of pairs: `burnformer data build` with `--pair-input` or `--pair-column`")
        }
        DataError::Tokenizer(TokenizerError::TooShort { .. }) => Some("raise `--max-seq-length`"),
        error if error.is_bad_row() => Some("`--on-bad-row skip` skips such rows and counts all that are lost"),
        _ => None,
    }
}

/// What to do about a run folder that is used as a model before it is one.
fn hint_on_unpublished_run(error: &ModelError) -> Option<String> {
    let ModelError::NotAModelFolder { folder, .. } = error else { return None };
    if !RunFolder::settings_file(folder).is_file() {
        return None;
    }
    let publish = "this run has not published a model yet: it does so when it ends or is interrupted; continue it with \
                   `--resume`";
    Some(match RunFolder::latest_checkpoint(folder) {
        Some(checkpoint) => format!("{publish}, or use its latest checkpoint, `{}`", checkpoint.display()),
        None => publish.to_owned(),
    })
}

fn hint_on_model(error: &ModelError) -> Option<&str> {
    match error {
        ModelError::NotAModelFolder { file: "config.json", .. } => {
            Some("`burnformer pretrain`, `finetune`, `train-seq2seq` and `average` make model folders")
        }
        ModelError::HeadSize { .. } => {
            Some("correct `id2label`, or train another classifier with `burnformer finetune`")
        }
        ModelError::WeightNames { left_over, .. } if left_over.iter().any(|name| is_adapter(name)) => {
            Some("merge the adapter into the weights (`merge_and_unload` of peft), and save the model again")
        }
        ModelError::WeightNames { missing, .. } if missing.is_empty() => Some(
            "these weights are of another head, or of a model that is not supported: set `architectures` in `config.json` \
             to its class, or remove them from the file to go without them",
        ),
        ModelError::Adapter(AdapterError::BaseIsAdapter { .. }) => {
            Some("merge it with `burnformer export`, or name another base model with `--base`")
        }
        ModelError::Adapter(_) => {
            Some("name the folder of the base model with `--base`; `burnformer fetch` downloads models")
        }
        ModelError::NoTarget { .. } => Some("name modules with `--lora-targets`, or `--lora-targets all-linear`"),
        ModelError::Pytorch { .. } => Some(
            "download the file again, or save the weights alone with PyTorch: `torch.save(model.state_dict(), PATH)`",
        ),
        ModelError::NotFiniteWeight { .. } => {
            Some("download the file again, or use an earlier checkpoint of its run, which has no such values")
        }
        ModelError::GenerationKey { .. } | ModelError::RuleToken { .. } => {
            Some("`--ignore-generation-config` generates without the settings of the model folder")
        }
        ModelError::PromptFillsLength { .. } => Some("set `--max-length`, or `--max-new-tokens` of `generate`"),
        ModelError::WeightNames { .. } => Some(
            "set `architectures` in `config.json` to the class of these weights; of a BERT `burnformer finetune` and `embed` need the encoder only",
        ),
        _ => None,
    }
}

fn hint_on_task(error: &TaskError) -> Option<&str> {
    match error {
        TaskError::VocabularyMismatch { .. } => {
            Some("raise `model.vocab_size`, or use the tokenizer that the model was trained with")
        }
        TaskError::NoPrompt { .. } => {
            Some("choose another name with `--prompt-name`, or write the prompt itself in `--prompt`")
        }
        TaskError::Dimensions { .. } => Some("lower `--dimensions`"),
        TaskError::PoolingWidth { .. } => Some("leave out `--pooling`"),
        TaskError::CrossEncoder { .. } => Some("rank texts with it by `burnformer rank`"),
        TaskError::NoScore { .. } => Some("classify pairs of texts with it by `burnformer predict --pair-column`"),
        TaskError::OtherTask { found: Head::SequenceClassification, .. } => {
            Some("classify texts with it by `burnformer predict`")
        }
        TaskError::OtherTask { found: Head::Seq2Seq, .. } => Some("translate with it by `burnformer translate`"),
        TaskError::OtherTask { found: Head::CausalLm, .. } => Some("continue prompts with it by `burnformer generate`"),
        TaskError::OtherTask { .. } => {
            Some("train a classifier from it with `burnformer finetune`, or compute embeddings with `burnformer embed`")
        }
        _ => None,
    }
}

fn hint_on_training(error: &TrainError) -> Option<&str> {
    match error {
        TrainError::Diverged { .. } => Some(
            "continue from the last checkpoint, or from the first step if there is none, with \
             `--resume --set train.optimizer.learning_rate=RATE`",
        ),
        TrainError::TensorRanks { .. } => {
            Some("start the program as `mpirun -n N`, N a multiple of `--tensor-parallel`")
        }
        TrainError::Ranks { .. } => Some("start the program as `mpirun -n N`, N a multiple of `--pipeline-stages`"),
        TrainError::Stages { .. } => Some("choose fewer `--pipeline-stages`"),
        TrainError::NotStaged => Some("leave out `--pipeline-stages`"),
        TrainError::RunExists { .. } => Some("continue the run with `--resume`"),
        TrainError::NotARun { .. } => {
            Some("start a run with `burnformer pretrain`, `finetune` or `train-seq2seq`, without `--resume`")
        }
        TrainError::OtherRun { .. } => Some("restore what has changed, or start a new run in another folder"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use burnformer_data::split::Subset;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Said {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    /// An error for each text, caused by that of the next.
    fn chain_of(texts: &[&'static str]) -> Option<Box<Said>> {
        texts.split_first().map(|(&text, rest)| Box::new(Said { text, source: chain_of(rest) }))
    }

    #[test]
    fn every_cause_is_said_once() {
        let said = |texts: &[&'static str]| causes(chain_of(texts).unwrap().as_ref());
        let repeated = said(&["stopped", "cannot write `a`: disk full", "disk full"]);
        assert_eq!(repeated, ["stopped", "cannot write `a`: disk full"]);
        assert_eq!(said(&["cannot write `a`", "disk full"]), ["cannot write `a`", "disk full"]);
    }

    #[test]
    fn advice_is_found_in_errors_that_are_passed_on() {
        let error = || ModelError::NotAModelFolder { folder: "a".into(), file: "config.json" };
        let expected = Some("`burnformer pretrain`, `finetune`, `train-seq2seq` and `average` make model folders");
        assert_eq!(hint(&error()).as_deref(), expected);
        assert_eq!(hint(&TaskError::Model(error())).as_deref(), expected);
        assert_eq!(hint(&TrainError::task(TaskError::Model(error()))).as_deref(), expected);
        assert_eq!(hint(&RecipeError::Train(TrainError::task(TaskError::Model(error())))).as_deref(), expected);
    }

    #[test]
    fn advice_on_weights_is_about_those_that_do_not_fit() {
        let of = |missing: &[&str], left_over: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let (missing, left_over) = (names(missing), names(left_over));
            hint(&ModelError::WeightNames { path: "a".into(), missing, left_over }).unwrap()
        };
        let adapter = of(&["bert.pooler.dense.weight"], &["bert.encoder.layer.0.query.lora_A.default.weight"]);
        assert!(adapter.starts_with("merge the adapter into the weights"), "{adapter}");
        assert!(of(&[], &["second.weight"]).starts_with("these weights are of another head"));
        assert!(of(&["classifier.weight"], &["cls.predictions.bias"]).starts_with("set `architectures`"));
    }

    #[test]
    fn a_run_without_a_model_is_said_to_be_one() {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        let _folder = RunFolder::create(&run, "").unwrap();
        let error = ModelError::NotAModelFolder { folder: run, file: "config.json" };
        let publish = "this run has not published a model yet: it does so when it ends or is interrupted; continue it \
                       with `--resume`";
        assert_eq!(hint(&error).as_deref(), Some(publish));
    }

    #[test]
    fn advice_is_found_in_the_error_and_in_its_causes() {
        let source = || DataError::Corpus(CorpusError::NotACorpus { folder: "a".into() });
        let split = RecipeError::Split { corpus: "a".into(), source: source() };
        assert!(hint(&split).unwrap().starts_with("set the shares `data.split.validation`"));
        let part = RecipeError::NoSamples { part: Subset::Train, corpus: "a".into(), source: source() };
        assert_eq!(hint(&part).as_deref(), Some("build a corpus with `burnformer data build`"));
    }
}
