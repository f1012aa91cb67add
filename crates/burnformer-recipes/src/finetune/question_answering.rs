//! Fine-tuning for extractive question answering.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::config::{ConfigError, Validate};
use burnformer_core::progress::{Interrupt, Progress};
use burnformer_core::settings;
use burnformer_data::DataError;
use burnformer_data::batches::{Dealt, Padding, QuestionAnsweringBatch, QuestionAnsweringCollator};
use burnformer_data::conflicts::Conflicts;
use burnformer_data::datasets::{ContextWindows, Dataset, QuestionAnsweringDataset};
use burnformer_data::questions::QuestionTexts;
use burnformer_data::readers::{Format, Input};
use burnformer_data::source::{OnBadRow, Skipped, Source};
use burnformer_models::{BertConfig, BertForQuestionAnswering, Loaded, ModelError, StepFloats};
use burnformer_reports::{AnsweredQuestion, QuestionAnsweringScores, ScoresByKind};
use burnformer_tasks::{AnswerSearch, BestAnswer, QuestionAnsweringMetricState, QuestionAnsweringTask};
use burnformer_train::RunFolder;
use serde::{Deserialize, Serialize};

use super::head::with_logits;
use super::{Base, Examples, FinetuneSettings, FinetuneTask, Supervised};
use crate::{Context, RecipeError};

/// Settings of question answering.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuestionAnsweringSettings {
    /// Number of tokens of a context that consecutive windows over it share; absent for 128, or half of `max_seq_length` if that is
    /// less.
    pub stride: Option<usize>,
    /// Most tokens of an answer.
    pub max_answer_length: usize,
    /// Number of best first and last tokens that are combined in each window.
    pub n_best: usize,
    /// `true` if questions may have no answer, as in SQuAD 2.0; absent for whether there are such questions in the training data.
    pub no_answers: Option<bool>,
    /// Difference between the scores of "no answer" and of the best answer above which no answer is given.
    pub threshold: f64,
}

impl Default for QuestionAnsweringSettings {
    fn default() -> Self {
        let AnswerSearch { n_best, max_answer_length } = AnswerSearch::default();
        Self { stride: None, max_answer_length, n_best, no_answers: None, threshold: 0.0 }
    }
}

impl QuestionAnsweringSettings {
    /// The settings of the run in `folder`; the defaults if it is that of no such run.
    ///
    /// # Errors
    /// If its settings cannot be read.
    pub fn of_run(folder: &Path) -> Result<Self, RecipeError> {
        let file = RunFolder::settings_file(folder);
        if !file.is_file() {
            return Ok(Self::default());
        }
        let settings: FinetuneSettings = settings::reload(&file, &[])?;
        Ok(settings.question_answering.unwrap_or_default())
    }

    /// How answers are searched for.
    #[must_use]
    pub fn search(&self) -> AnswerSearch {
        AnswerSearch { n_best: self.n_best, max_answer_length: self.max_answer_length }
    }

    /// The threshold, where questions may have no answer; `by_default` is whether they may if the settings do not say it.
    #[must_use]
    pub fn threshold(&self, by_default: bool) -> Option<f64> {
        self.no_answers.unwrap_or(by_default).then_some(self.threshold)
    }
}

impl Validate for QuestionAnsweringSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_positive("max_answer_length", self.max_answer_length)?;
        ConfigError::check_positive("n_best", self.n_best)?;
        let is_number = self.threshold.is_finite();
        ConfigError::check("threshold", &self.threshold, is_number, "a finite number")
    }
}

/// Answers to questions, as parts of the contexts that they are about.
pub struct QuestionAnswering {
    task: QuestionAnsweringTask,
    settings: QuestionAnsweringSettings,
}

impl QuestionAnswering {
    fn of(base: &Base, settings: &FinetuneSettings) -> Result<Self, RecipeError> {
        let settings = settings.question_answering.unwrap_or_default();
        let task = task(base.config.clone(), base, &settings, false)?;
        Ok(Self { task, settings })
    }
}

fn task(
    config: BertConfig,
    base: &Base,
    settings: &QuestionAnsweringSettings,
    by_default: bool,
) -> Result<QuestionAnsweringTask, RecipeError> {
    let threshold = settings.threshold(by_default);
    Ok(QuestionAnsweringTask::new(config, base.tokenizer.clone(), settings.search(), threshold)?)
}

impl Supervised for QuestionAnswering {
    const TASK: FinetuneTask = FinetuneTask::QuestionAnswering;
    const QUALITY: &'static str = "f1";
    const PIPELINE_TAG: &'static str = "question-answering";
    const ROWS: &'static str = "questions";

    type Texts = QuestionTexts;
    type Task = QuestionAnsweringTask;
    type Model = BertForQuestionAnswering;
    type Samples = QuestionAnsweringDataset;
    type Collator = QuestionAnsweringCollator;
    type Scores = QuestionAnsweringScores;

    /// Questions are read from SQuAD's JSON, or from columns.
    fn check_input(input: &Input) -> Result<(), RecipeError> {
        match &input.format {
            Format::Squad => Ok(()),
            Format::Jsonl { columns } | Format::Parquet { columns, .. }
                if columns.label.is_some() && columns.pair.is_some() =>
            {
                Ok(())
            }
            _ => Err(RecipeError::NoQuestions { paths: input.paths.join(", ") }),
        }
    }

    fn with_defaults(settings: FinetuneSettings) -> FinetuneSettings {
        FinetuneSettings { question_answering: Some(settings.question_answering.unwrap_or_default()), ..settings }
    }

    fn settle(settings: FinetuneSettings, train: &QuestionTexts) -> FinetuneSettings {
        let mut own = settings.question_answering.unwrap_or_default();
        own.no_answers = own.no_answers.or(Some(train.n_unanswerable() > 0));
        FinetuneSettings { question_answering: Some(own), ..settings }
    }

    fn new(base: &Base, settings: &FinetuneSettings, _train: &QuestionTexts) -> Result<Self, RecipeError> {
        Self::of(base, settings)
    }

    fn of_model(
        _model: &BertForQuestionAnswering,
        base: &Base,
        settings: &FinetuneSettings,
        _folder: &Path,
    ) -> Result<Self, RecipeError> {
        Self::of(base, settings)
    }

    fn labels(&self) -> &[String] {
        &[]
    }

    fn task(&self) -> &QuestionAnsweringTask {
        &self.task
    }

    fn samples(&self, texts: &QuestionTexts, base: &Base, seed: u64) -> Result<QuestionAnsweringDataset, DataError> {
        let stride = self.settings.stride.unwrap_or_else(|| ContextWindows::usual_stride(base.max_seq_length));
        let windows = ContextWindows::new(base.tokenizer.clone(), base.max_seq_length, stride)?;
        QuestionAnsweringDataset::new(texts, windows, seed)
    }

    fn collator(&self, padding: Padding) -> QuestionAnsweringCollator {
        QuestionAnsweringCollator { padding }
    }

    fn allocate(&self, config: &BertConfig, device: &Device) -> BertForQuestionAnswering {
        BertForQuestionAnswering::new(config, device)
    }

    fn init(&self, config: &BertConfig, seed: u64, device: &Device) -> BertForQuestionAnswering {
        BertForQuestionAnswering::init(config, seed, device)
    }

    fn pretrained(
        &self,
        folder: &Path,
        seed: u64,
        device: &Device,
    ) -> Result<Loaded<BertForQuestionAnswering>, ModelError> {
        BertForQuestionAnswering::from_pretrained(folder, seed, device)
    }

    fn step_floats(&self, step: StepFloats, _n_rows: usize, n_tokens: usize, d_model: usize) -> StepFloats {
        with_logits(step, n_tokens, 2, d_model)
    }

    fn counts(&self, texts: &QuestionTexts, samples: &QuestionAnsweringDataset) -> Vec<(&'static str, u64)> {
        vec![
            ("contexts", samples.n_contexts() as u64),
            ("without an answer", texts.n_unanswerable() as u64),
            ("answers in no window", samples.n_lost_answers()),
        ]
    }

    /// Whether questions may have no answer is decided by `texts` where the settings do not say it, as for models of others.
    fn measure(
        &self,
        model: &BertForQuestionAnswering,
        (texts, samples): (&QuestionTexts, &Arc<QuestionAnsweringDataset>),
        batches: impl Iterator<Item = Result<Dealt<QuestionAnsweringBatch>, DataError>>,
        seed: u64,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<QuestionAnsweringScores, RecipeError> {
        let threshold = self.settings.threshold(texts.n_unanswerable() > 0);
        let task = self.task.with_threshold(threshold);
        let state = context.evaluation(device).run(&task, model, batches, samples.per_epoch())?;
        Ok(self.scores(&state, texts, samples, seed))
    }

    fn scores(
        &self,
        state: &QuestionAnsweringMetricState,
        texts: &QuestionTexts,
        samples: &QuestionAnsweringDataset,
        _seed: u64,
    ) -> QuestionAnsweringScores {
        let (exact_match, f1) = state.means(|_| true);
        let (questions, unanswerable) = (texts.questions.len() as u64, texts.n_unanswerable() as u64);
        let by_kind = (unanswerable > 0 && unanswerable < questions).then(|| {
            let (answerable_exact_match, answerable_f1) = state.means(|it| it.is_answerable);
            let (best_threshold, best_f1) = state.best_threshold();
            ScoresByKind {
                answerable_exact_match,
                answerable_f1,
                unanswerable_accuracy: state.means(|it| !it.is_answerable).0,
                threshold: state.threshold,
                best_threshold,
                best_f1,
            }
        });
        let answered = |(number, answer): (&u32, &BestAnswer)| AnsweredQuestion {
            id: texts.questions[*number as usize].id.clone(),
            answer: if answer.is_given(state.threshold) { answer.text.clone() } else { String::new() },
            no_answer_difference: answer.difference(),
        };
        QuestionAnsweringScores {
            questions,
            unanswerable,
            windows: state.windows,
            lost_answers: samples.n_lost_answers(),
            loss: state.loss(),
            exact_match,
            f1,
            chinese_f1: state.chinese_f1(),
            by_kind,
            answers: state.answers.iter().map(answered).collect(),
        }
    }

    fn quality(scores: &QuestionAnsweringScores) -> f64 {
        scores.f1
    }

    fn loss(scores: &QuestionAnsweringScores) -> Option<f64> {
        Some(scores.loss)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let max_answer_length = self.settings.max_answer_length;
        let threshold = match self.settings.threshold(false) {
            Some(threshold) => format!("threshold {threshold} of \"no answer\""),
            None => "every question has an answer".to_owned(),
        };
        vec![("answers", format!("at most {max_answer_length} tokens, {threshold}"))]
    }

    fn usage(folder: &str) -> String {
        format!("burnformer predict {folder} --context 'A text.' 'A question?'")
    }
}

impl Examples for QuestionTexts {
    const TARGETS: &'static str = "answers";

    fn check_labels(
        &self,
        _source: &dyn Source,
        _policy: OnBadRow,
        _progress: &dyn Progress,
        _interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        Ok(self.check_answers()?)
    }

    fn read(
        source: &dyn Source,
        _known: Option<Vec<String>>,
        settings: &FinetuneSettings,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        Self::read(source, settings.on_bad_row, progress, interrupt)
    }

    fn split(self, share: f64, seed: u64) -> (Self, Self) {
        self.split(share, seed)
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
        let kept = self.questions.into_iter().zip(is_kept).filter(|(_, is_kept)| **is_kept);
        Self { questions: kept.map(|(question, _)| question).collect() }
    }

    fn n_texts(&self) -> usize {
        self.questions.len()
    }
}
