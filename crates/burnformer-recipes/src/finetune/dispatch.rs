//! From the name of a task, or a model folder, to the task: the only place that lists all supervised tasks.

use std::path::Path;

use burnformer_data::readers::Input;
use burnformer_models::{BertForSequenceClassification, Head, ModelClass, OutputActivation, Outputs};

use super::{
    Finetune, FinetuneSettings, FinetuneTask, MultiLabelClassification, QuestionAnswering, Regression,
    SentenceEmbedding, Supervised, TextClassification, TextRanking, TokenClassification,
};
use burnformer_tasks::makes_embeddings;

use crate::{AnyRecipe, Context, Overrides, RecipeError, reload};

/// Work on a task whose type is chosen when the program runs.
pub(crate) trait Visitor {
    /// Result of the work.
    type Output;

    /// Does the work for the task `S`.
    fn visit<S: Supervised>(self) -> Self::Output;
}

/// Does the work of `visitor` for `task`.
pub(crate) fn visit<V: Visitor>(task: FinetuneTask, visitor: V) -> V::Output {
    match task {
        FinetuneTask::TextClassification => visitor.visit::<TextClassification>(),
        FinetuneTask::MultiLabelClassification => visitor.visit::<MultiLabelClassification>(),
        FinetuneTask::Regression => visitor.visit::<Regression>(),
        FinetuneTask::TextRanking => visitor.visit::<TextRanking>(),
        FinetuneTask::SentenceEmbedding => visitor.visit::<SentenceEmbedding>(),
        FinetuneTask::TokenClassification => visitor.visit::<TokenClassification>(),
        FinetuneTask::QuestionAnswering => visitor.visit::<QuestionAnswering>(),
    }
}

impl FinetuneTask {
    /// The task that the model in `folder` was trained for. A model that is no classifier is taken for one of texts, which
    /// loading it refuses.
    ///
    /// # Errors
    /// If the folder holds no model.
    pub fn of_model(folder: &Path) -> Result<Self, RecipeError> {
        if makes_embeddings(folder)? {
            return Ok(Self::SentenceEmbedding);
        }
        Ok(match ModelClass::of(folder)?.head() {
            Head::TokenClassification => Self::TokenClassification,
            Head::SequenceClassification => match BertForSequenceClassification::outputs_of(folder)? {
                Outputs::Classes => Self::TextClassification,
                Outputs::Labels => Self::MultiLabelClassification,
                Outputs::Score(OutputActivation::Sigmoid) => Self::TextRanking,
                Outputs::Score(_) => Self::Regression,
            },
            Head::QuestionAnswering => Self::QuestionAnswering,
            _ => Self::TextClassification,
        })
    }

    /// Validation metric that selects the best model, as in `metrics.jsonl`.
    #[must_use]
    pub fn quality(self) -> &'static str {
        struct Quality;
        impl Visitor for Quality {
            type Output = &'static str;
            fn visit<S: Supervised>(self) -> &'static str {
                S::QUALITY
            }
        }
        visit(self, Quality)
    }
}

/// What a new fine-tuning run is made of, beside its settings.
#[derive(Clone, Copy, Debug)]
pub struct FinetuneStart<'a> {
    /// Number of passes over the training rows, from which the number of steps follows unless the overrides say it.
    pub epochs: f64,
    /// Rows to measure the best model on.
    pub test: Option<&'a Input>,
    /// `true` evaluates simple baselines on the test rows too.
    pub baselines: bool,
}

/// A new fine-tuning run of the task that `settings` name.
///
/// # Errors
/// As [`Finetune::begin`].
pub fn begin_finetune(
    settings: FinetuneSettings,
    start: FinetuneStart<'_>,
    overrides: &Overrides<'_>,
    context: &Context<'_>,
) -> Result<Box<dyn AnyRecipe>, RecipeError> {
    struct Begin<'a>(FinetuneSettings, FinetuneStart<'a>, &'a Overrides<'a>, &'a Context<'a>);
    impl Visitor for Begin<'_> {
        type Output = Result<Box<dyn AnyRecipe>, RecipeError>;
        fn visit<S: Supervised>(self) -> Self::Output {
            let Self(settings, FinetuneStart { epochs, test, baselines }, overrides, context) = self;
            let recipe = Finetune::<S>::begin(settings, epochs, test, overrides, context)?;
            Ok(Box::new(recipe.with_baselines(baselines)?))
        }
    }
    visit(settings.task(), Begin(settings, start, overrides, context))
}

/// The fine-tuning run in `folder`, to be resumed with its settings, changed by `sets`. `test` are paths of rows to measure the
/// best model on, in the format of the others.
///
/// # Errors
/// As [`Finetune::reload`].
pub fn reload_finetune(
    folder: &Path,
    sets: &[String],
    test: &[String],
    baselines: bool,
    context: &Context<'_>,
) -> Result<Box<dyn AnyRecipe>, RecipeError> {
    struct Reload<'a>(&'a Path, &'a [String], &'a [String], bool, &'a Context<'a>);
    impl Visitor for Reload<'_> {
        type Output = Result<Box<dyn AnyRecipe>, RecipeError>;
        fn visit<S: Supervised>(self) -> Self::Output {
            let Self(folder, sets, test, baselines, context) = self;
            let recipe = Finetune::<S>::reload(folder, sets, test, context)?;
            Ok(Box::new(recipe.with_baselines(baselines)?))
        }
    }
    let task = reload::<FinetuneSettings>(folder, sets)?.task();
    visit(task, Reload(folder, sets, test, baselines, context))
}
