//! What can go wrong in a recipe.

use std::error::Error;
use std::path::PathBuf;

use burnformer_core::CollectiveError;
use burnformer_core::config::ConfigError;
use burnformer_core::files::FileError;
use burnformer_core::progress::Interrupted;
use burnformer_core::settings::SettingsError;
use burnformer_data::DataError;
use burnformer_data::corpus::CorpusError;
use burnformer_data::split::Subset;
use burnformer_data::tokenizer::TokenizerError;
use burnformer_models::{BertConfig, CutError, GptConfig, ModelError};
use burnformer_ops::DeviceError;
use burnformer_reports::first_of;
use burnformer_tasks::metrics::MetricError;
use burnformer_tasks::{TaskError, TranslationTokenizers};
use burnformer_train::{PictureError, RunFolder, TrainError};

use crate::advice::FEW_DOCUMENTS;
use crate::ranks::OtherSettings;
use crate::text::MOST_NAMED;
use crate::{Change, Objective, TooLittleMemory};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Texts, corpora or samples cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model folder cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Text and model do not go together.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Training fails.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Another process has failed, or cannot be reached.
    #[error("the processes cannot work together any more")]
    Collective(#[from] CollectiveError),
    /// Processes with different settings.
    #[error("rank {} has `{} = {}`, rank 0 has `{}`", .0.rank, .0.key, .0.found, .0.expected)]
    OtherSettings(Box<OtherSettings>),
    /// A process does not see the folder that the first one has made.
    #[error("`{}` is not the run folder that rank 0 has made", folder.display())]
    NotShared {
        /// Where the process looks.
        folder: PathBuf,
    },
    /// The processes cannot share the matrices of the model.
    #[error(transparent)]
    Cut(CutError),
    /// An adapter of a model that is cut into parts.
    #[error("adapters cannot be trained on models that are cut into parts, train the whole model instead")]
    AdapterInParts,
    /// An optimiser that looks at whole parameters, of which a process has parts.
    #[error("`lamb` compares whole parameters, of which a process has parts, choose the optimizer `adamw`")]
    LambInParts,
    /// A tokenizer cannot be loaded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// There are no such settings, or they cannot work.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A setting cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run takes more memory than there is.
    #[error(transparent)]
    Memory(#[from] TooLittleMemory),
    /// The system has no thread to give.
    #[error("cannot start a thread: allow more processes (`ulimit -u`)")]
    Thread(#[source] std::io::Error),
    /// The work was asked to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// Translations cannot be scored.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A report has what JSON cannot represent.
    #[error("cannot write a report as JSON")]
    Json(#[from] serde_json::Error),
    /// An adapter is to be trained on another one.
    #[error(
        "`{}` holds an adapter, expected a whole model to train another one on: export it first, which makes the adapter a part \
         of its base model",
        folder.display()
    )]
    AdapterOfAdapter {
        /// The folder.
        folder: PathBuf,
    },
    /// The device does not exist.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The simple methods cannot be trained.
    #[cfg(feature = "baseline")]
    #[error(transparent)]
    Baseline(#[from] crate::BaselineError),
    /// An unknown preset.
    #[error("there is no preset `{name}`")]
    NoPreset {
        /// The name.
        name: String,
        /// Known presets.
        known: &'static [&'static str],
    },
    /// Settings that a resumed run cannot change.
    #[error("cannot resume the run in `{}` with other settings: {}", folder.display(), listed(changes))]
    FixedSettings {
        /// Folder of the run.
        folder: PathBuf,
        /// The settings.
        changes: Vec<Change>,
    },
    /// Settings of steps, for a run that has done all of them.
    #[error(
        "the run in `{}` has done {step} steps, which leaves none for other settings: {}", folder.display(), listed(changes)
    )]
    NoStepLeft {
        /// Folder of the run.
        folder: PathBuf,
        /// Steps done.
        step: u64,
        /// The settings.
        changes: Vec<Change>,
    },
    /// A run of another recipe.
    #[error("`{}` holds a run of `{recipe}`, not of `{asked}`", folder.display())]
    OtherRecipe {
        /// Folder of the run.
        folder: PathBuf,
        /// Name of its recipe.
        recipe: &'static str,
        /// Name of the recipe that was asked for.
        asked: &'static str,
    },
    /// Folders without any run.
    #[error("found no run folder in `{}`", folders.join("`, `"))]
    NoRuns {
        /// The folders.
        folders: Vec<String>,
    },
    /// A classifier of another task.
    #[error("`{}` gives each text {found}, expected a classifier that gives it {expected}", folder.display())]
    NotClasses {
        /// Folder of the model.
        folder: PathBuf,
        /// What it gives a text.
        found: &'static str,
        /// What it should give a text.
        expected: &'static str,
    },
    /// Settings of a run that do not say how long it is.
    #[error("`{}` has no `train.steps`, so it is not of a run", file.display())]
    NoSteps {
        /// The file.
        file: PathBuf,
    },
    /// A metric that no run has.
    #[error("no run has a metric `{name}`")]
    NoMetric {
        /// Its name.
        name: String,
        /// The metrics there are.
        known: Vec<String>,
    },
    /// Data of a resumed run that are not where they were.
    #[error("found nothing at `{place}`, the `{key}` of the run")]
    DataGone {
        /// Dotted key of the setting.
        key: &'static str,
        /// Its value.
        place: String,
    },
    /// Sentences with tags are expected, and the files have neither CoNLL columns nor a column of labels in JSON or Parquet.
    #[error(
        "token classification needs words with tags in CoNLL columns or in lists of JSON or Parquet, or spans of texts in JSON or \
         Parquet, found none of them in `{paths}`"
    )]
    NoTagColumns {
        /// The files.
        paths: String,
    },
    /// Files without questions and answers.
    #[error(
        "question answering needs the JSON of SQuAD, or columns of contexts, questions and answers, found neither in `{paths}`"
    )]
    NoQuestions {
        /// The files.
        paths: String,
    },
    /// Questions that share an identifier, where their answers are to be written by it.
    #[error("several questions have the identifier `{id}`, so their answers cannot be written by it")]
    RepeatedId {
        /// The identifier.
        id: String,
    },
    /// A setting names a class that no text has.
    #[error("`{key}` names the class `{name}`, which no text has: the classes are {}", first_of(known, MOST_NAMED))]
    NoSuchClass {
        /// The setting.
        key: &'static str,
        /// The name.
        name: String,
        /// The classes of the data.
        known: Vec<String>,
    },
    /// Pairs of texts are needed, and every text is alone.
    #[error("text ranking needs pairs of texts, found no second text")]
    NoSecondText,
    /// Labels are needed, and no column of them is named.
    #[error("no column of labels is named for `{paths}`, found the columns `{}`", columns.join("`, `"))]
    NoLabelColumn {
        /// The files.
        paths: String,
        /// The columns of the first one.
        columns: Vec<String>,
    },
    /// Second texts are needed, and no column of them is named.
    #[error("no column of second texts is named for `{paths}`, found the columns `{}`", columns.join("`, `"))]
    NoPairColumn {
        /// The files.
        paths: String,
        /// The columns of the first one.
        columns: Vec<String>,
    },
    /// Pairs of texts that the loss of sentence embeddings cannot use.
    #[error("the loss `{loss}` needs {needs}, found {found}")]
    EmbeddingData {
        /// Name of the loss.
        loss: &'static str,
        /// What it needs.
        needs: &'static str,
        /// What there is.
        found: String,
    },
    /// A task without baselines.
    #[error("there are no baselines for {task}")]
    NoBaselines {
        /// Name of the task.
        task: &'static str,
    },
    /// Labelled texts are expected, and the files are CoNLL columns.
    #[error("text classification needs labelled texts, found CoNLL columns in `{paths}`")]
    TagColumns {
        /// The files.
        paths: String,
    },
    /// No labelled text to choose the best model by.
    #[error("nothing is left for validation, because {reason}")]
    NoValidationTexts {
        /// Why.
        reason: &'static str,
    },
    /// A cell without content, where it may be that of a text without labels.
    #[error(transparent)]
    BlankCell(DataError),
    /// No pair of texts to choose the best model by.
    #[error("`choose_by = \"bleu\"` and `train.patience` need validation pairs, found none")]
    NoValidationPairs,
    /// A corpus that cannot be split.
    #[error("cannot split the corpus `{corpus}`")]
    Split {
        /// Folder of the corpus.
        corpus: Box<str>,
        /// Why.
        source: DataError,
    },
    /// A part of a corpus without samples.
    #[error("the {part} part of the corpus `{corpus}` gives no samples")]
    NoSamples {
        /// The part.
        part: Subset,
        /// Folder of the corpus.
        corpus: Box<str>,
        /// Why.
        source: DataError,
    },
    /// Settings of another model than the one that training begins with.
    #[error("the settings below `model` are not those of the model in `{}`", init.display())]
    OtherModel {
        /// Folder of the model.
        init: PathBuf,
    },
    /// A model that another objective pretrains.
    #[error("`{}` holds a model of type `{model_type}`, which is not pretrained with the objective `{}`", init.display(), asked.name())]
    OtherObjective {
        /// Folder of the model.
        init: PathBuf,
        /// `model_type` of the model.
        model_type: &'static str,
        /// The objective that was asked for.
        asked: Objective,
    },
    /// A corpus with other tokens than the model that training begins with.
    #[error("the corpus does not fit the model")]
    OtherTokens {
        /// Folder of the model.
        init: PathBuf,
        /// How they differ.
        source: CorpusError,
    },
    /// A corpus whose second texts have other tokens than the targets of the model that training begins with.
    #[error("the second texts of the corpus do not fit the model")]
    OtherPairTokens {
        /// Folder of the model.
        init: PathBuf,
        /// How they differ.
        source: CorpusError,
    },
    /// A validation corpus with other tokens than the training corpus.
    #[error("the validation corpus was built with other tokenizers than the training corpus")]
    OtherValidationTokens,
    /// A model whose loss on the texts that it is evaluated on is NaN or infinite.
    #[error(
        "the loss of the model in `{}` is not finite: its weights are too large, so they are damaged or their training \
         diverged",
        folder.display()
    )]
    NotFiniteLoss {
        /// Folder of the model.
        folder: PathBuf,
    },
    /// A text without the translation that it is measured by.
    #[error("a translation model is evaluated on texts with references, found no references")]
    NoReferences,
    /// No pair of texts at all.
    #[error("the input has no pairs")]
    NoPairs,
    /// Files that are read line by line together, and have different numbers of them.
    #[error("`{}` has {lines} lines and `{}` {expected}", path.display(), other.display())]
    LineCounts {
        /// One file.
        path: PathBuf,
        /// Its number of lines.
        lines: usize,
        /// The other file.
        other: PathBuf,
        /// Its number of lines.
        expected: usize,
    },
    /// Attention over a text alone, of a model that attends from another text.
    #[error("`--text` shows the attention of encoders only, and this is a translation model")]
    AttentionOfTranslator {
        /// Folder of the model.
        folder: PathBuf,
    },
    /// A head that the model does not have.
    #[error("`{}` has no head {head}", folder.display())]
    NoHead {
        /// Folder of the model.
        folder: PathBuf,
        /// Number of the head, counted from 1.
        head: usize,
        /// How many heads there are.
        n_heads: usize,
    },
}

impl RecipeError {
    /// What the user can do about the error itself, beyond what it says; [`hint`](crate::hint()) asks its causes too.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoPreset { name, known } => {
                let of = |presets: &[&str], objective| presets.contains(&name.as_str()).then_some(objective);
                let objective = of(&GptConfig::PRESETS, "causal-lm").or(of(&BertConfig::PRESETS, "masked-lm"));
                let other = objective.map(|it| format!("; `{name}` is one for `--objective {it}`"));
                return Some(known.join(", ") + &other.unwrap_or_default());
            }
            Self::OtherObjective { asked, .. } => match asked {
                Objective::MaskedLm => "set `--objective causal-lm`",
                Objective::CausalLm => "set `--objective masked-lm`",
            },
            Self::OtherTokens { init, .. } => {
                return Some(format!("build the corpus with `--tokenizer {}`", init.display()));
            }
            Self::OtherPairTokens { init, .. } => {
                let target = TranslationTokenizers::target_path(init);
                let pair = target.map_or_else(String::new, |path| format!(" --pair-tokenizer {}", path.display()));
                return Some(format!("build the corpus with `--tokenizer {}{pair}`", init.display()));
            }
            Self::AttentionOfTranslator { folder } => {
                return Some(format!("draw it with `burnformer translate {} --attention DIR`", folder.display()));
            }
            Self::NoHead { n_heads, .. } => {
                return Some(format!("set `--head` to 1 to {n_heads}, or omit it for the mean over all heads"));
            }
            Self::NotClasses { folder, .. } => {
                return Some(format!("print what it says of texts with `burnformer predict {}`", folder.display()));
            }
            Self::NoReferences => "name the references with `--pair-input` (line-aligned files) or `--pair-column`",
            Self::NoPairs => "name files that are not empty",
            Self::LineCounts { .. } => "the files are line-aligned: line N of each belongs to the same text",
            Self::FixedSettings { folder, .. } => {
                let file = RunFolder::settings_file(folder);
                return Some(format!(
                    "restore these settings in `{}` and leave out `--set` of them, or start a new run in another folder",
                    file.display()
                ));
            }
            Self::OtherRecipe { folder, recipe, .. } => {
                return Some(format!("resume it with `burnformer {recipe} --out {} --resume`", folder.display()));
            }
            Self::NoMetric { known, .. } => return Some(known.join(", ")),
            Self::NoRuns { .. } => "a run folder has a `run.toml`; name such folders, or folders that hold them",
            Self::DataGone { key, .. } => {
                let new = if key.ends_with("paths") { "[\"NEW\"]" } else { "NEW" };
                return Some(format!(
                    "if it was moved, name its new place with `--set '{key}={new}'`; the content must be the same"
                ));
            }
            Self::NoTagColumns { .. } => {
                "set `--input-format conll` if the file has CoNLL columns, or name the columns of JSON with \
                 `--text-column tokens --label-column ner_tags`, or `--label-column entities` for spans of texts"
            }
            Self::NoQuestions { .. } => {
                "set `--input-format squad` if the file has the form of SQuAD, or name the columns with `--text-column context \
                 --pair-column question --label-column answers`"
            }
            Self::RepeatedId { .. } => "give each question an identifier of its own, or leave out `--predictions`",
            Self::NoLabelColumn { columns, .. } if is_squad(columns) => SQUAD,
            Self::NoLabelColumn { .. } => "name the column of the label with `--label-column`",
            Self::NoPairColumn { .. } | Self::NoSecondText => "name the column of the second text with `--pair-column`",
            Self::EmbeddingData { .. } => {
                "choose another `--loss`: `cosent`, `cosine` and `contrastive` learn from scores (`--label-column`), which \
                 `--highest-score` scales for `cosine`; `multiple-negatives` and `triplet` learn from pairs without scores, and \
                 from negatives (`--negative-column`)"
            }
            Self::NoBaselines { .. } => "leave out `--baseline`",
            Self::TagColumns { .. } => "set `--task token-classification` to train on tags of words",
            Self::NoValidationTexts { .. } => "name validation data with `--validation`, or add rows to `--train`",
            Self::BlankCell(_) => {
                "set `--label-separator`, with which an empty cell of labels says that the text has none, or skip and count such \
                 rows by `--on-bad-row skip`"
            }
            Self::NoStepLeft { step, .. } => {
                return Some(format!(
                    "set `--steps` above {step} to train on with them, or restore these settings and leave out `--set` of them"
                ));
            }
            Self::NoValidationPairs => "name validation pairs with `--validation`, or raise `data.split.validation`",
            Self::Split { source: DataError::EmptyPart { found: ..=FEW_DOCUMENTS, .. }, .. } => {
                "set the shares `data.split.validation` and `data.split.test`, 0 means no such part; or add documents: a text \
                 file is one, unless blank lines separate documents and `data build --layout blank-lines` says so"
            }
            Self::Split { .. } => "set the shares `data.split.validation` and `data.split.test`; 0 means no such part",
            Self::OtherModel { .. } => "remove these settings, or remove `--init` to train from fresh weights",
            Self::OtherSettings(_) => {
                "start all processes with the same command line; a file named by `--config` must be the same on every host"
            }
            Self::NotShared { .. } => {
                "start all processes in the same folder, with the same `--out`, on a file system that all hosts share"
            }
            Self::Cut(_) => "choose another `--tensor-parallel`, or start the program without it",
            Self::AdapterInParts => "leave out `--tensor-parallel`",
            Self::LambInParts => "set `train.optimizer.kind=adamw`, or leave out `--tensor-parallel`",
            Self::OtherValidationTokens => "build it with the same `--tokenizer` and `--pair-tokenizer`",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The error of another crate, if all this one does is to pass it on.
    pub(crate) fn passed_on(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Data(error) => Some(error),
            Self::Model(error) => Some(error),
            Self::Task(error) => Some(error),
            Self::Train(error) => Some(error),
            Self::Tokenizer(error) => Some(error),
            Self::Settings(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::Device(error) => Some(error),
            _ => None,
        }
    }
}

/// What to do with a file of SQuAD.
pub(crate) const SQUAD: &str = "this is the JSON of SQuAD: fine-tune on it with `--task question-answering`";

/// `true` for the keys of an object in the JSON of SQuAD.
pub(crate) fn is_squad(keys: &[String]) -> bool {
    keys.iter().any(|key| key == "paragraphs" || key == "qas")
}

/// The changes in one line.
fn listed(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
