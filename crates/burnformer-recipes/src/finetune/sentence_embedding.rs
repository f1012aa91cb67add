//! Fine-tuning for sentence embeddings.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Progress};
use burnformer_data::DataError;
use burnformer_data::batches::{Dealt, Padding, PairedBatch, PairedCollator};
use burnformer_data::conflicts::Conflicts;
use burnformer_data::datasets::{PairedConfig, PairedDataset};
use burnformer_data::paired::PairedTexts;
use burnformer_data::readers::{Format, Input};
use burnformer_data::source::{OnBadRow, Skipped, Source};
use burnformer_data::tokenizer::Tokenizer;
use burnformer_models::{BertConfig, Loaded, ModelError, StepFloats};
use burnformer_reports::{RetrievalScores, SentenceEmbeddingScores};
use burnformer_tasks::metrics::{RankingMeans, bootstrap_interval};
use burnformer_tasks::{
    EmbeddingEvaluation, EmbeddingMetricState, EmbeddingModel, EmbeddingModules, EmbeddingQuality, EmbeddingTask,
    RETRIEVED, RetrievalQuality, TaskError, TextEmbedding,
};

use super::head::check_has_no_tags;
use super::{Base, EmbeddingLossKind, Examples, FinetuneSettings, FinetuneTask, Supervised};
use crate::text::TaskScores;
use crate::{Context, Note, RecipeError};

/// Number of first documents that most scores look at.
const FIRST: usize = 10;

/// Embeddings of texts, trained on pairs: a folder of sentence-transformers.
pub struct SentenceEmbedding {
    task: EmbeddingTask,
    /// The tokenizer, as the model's files want it.
    tokenizer: Tokenizer,
    modules: EmbeddingModules,
    settings: super::SentenceEmbeddingSettings,
    max_seq_length: usize,
    /// The prompts of first texts, and of second texts and negatives.
    prompts: [String; 2],
    /// Number of texts of a training sample.
    n_texts: usize,
}

/// The modules of the model in `folder`, as `settings` change them.
fn modules_of(
    folder: &Path,
    settings: &super::SentenceEmbeddingSettings,
    config: &BertConfig,
    max_seq_length: usize,
) -> Result<EmbeddingModules, TaskError> {
    let mut modules = EmbeddingModules::of(folder)?;
    if let Some(pooling) = settings.pooling {
        modules = modules.with_pooling(pooling, config.d_model)?;
    }
    if let Some(normalize) = settings.normalize {
        modules = modules.with_normalization(normalize);
    }
    modules.check(config.d_model)?;
    let max_length = modules.max_length().map_or(max_seq_length, |length| length.min(max_seq_length));
    Ok(modules.with_max_length(max_length))
}

/// The prompts of first texts and of others: those of queries and documents, or the default one of pairs with scores, which are
/// alike.
fn prompts_of(modules: &EmbeddingModules, have_scores: bool) -> [String; 2] {
    let prompts = modules.prompts();
    match have_scores {
        true => [prompts.default_prompt(), prompts.default_prompt()],
        false => [prompts.query(), prompts.document()],
    }
    .map(str::to_owned)
}

impl SentenceEmbedding {
    fn of(
        base: &Base,
        settings: &super::SentenceEmbeddingSettings,
        have_scores: bool,
        n_texts: usize,
    ) -> Result<Self, RecipeError> {
        let config = base.config.clone();
        let modules = modules_of(&base.folder, settings, &config, base.max_seq_length)?;
        let tokenizer = modules.tokenizer(base.tokenizer.clone())?;
        let max_seq_length = modules.max_length().unwrap_or(base.max_seq_length);
        let prompts = prompts_of(&modules, have_scores);
        let loss = settings.loss(have_scores).map_err(|error| error.within("sentence_embedding"))?;
        let task = EmbeddingTask::new(config, base.tokenizer.clone().with_max_length(max_seq_length), loss)?
            .with_highest_score(settings.highest_score.unwrap_or(1.0))
            .behind_prompts(&prompts, &modules)?;
        Ok(Self { task, tokenizer, modules, settings: settings.clone(), max_seq_length, prompts, n_texts })
    }

    /// The embedding by `model` of texts behind a prompt.
    fn pipeline(&self, model: &EmbeddingModel, prompt: &str, device: &Device) -> Result<TextEmbedding, TaskError> {
        Ok(TextEmbedding::new(model.clone(), self.tokenizer.clone(), device)?.with_prompt(prompt))
    }
}

impl Supervised for SentenceEmbedding {
    const TASK: FinetuneTask = FinetuneTask::SentenceEmbedding;
    /// Of losses on scores: the others have `mrr` and `accuracy`.
    const QUALITY: &'static str = "spearman";
    const PIPELINE_TAG: &'static str = "sentence-similarity";
    const ROWS: &'static str = "pairs";

    type Texts = PairedTexts;
    type Task = EmbeddingTask;
    type Model = EmbeddingModel;
    type Samples = PairedDataset;
    type Collator = PairedCollator;
    type Scores = SentenceEmbeddingScores;

    fn check_input(input: &Input) -> Result<(), RecipeError> {
        check_has_no_tags(input)
    }

    /// The loss is that for pairs with scores or without, as the columns are.
    fn with_defaults(mut settings: FinetuneSettings) -> FinetuneSettings {
        let have_scores = match &settings.data.format {
            Format::Jsonl { columns }
            | Format::Csv { columns, .. }
            | Format::Tsv { columns, .. }
            | Format::Parquet { columns, .. } => columns.label.is_some(),
            _ => false,
        };
        settings.sentence_embedding.loss.get_or_insert(EmbeddingLossKind::default_for(have_scores));
        settings
    }

    fn new(base: &Base, settings: &FinetuneSettings, train: &PairedTexts) -> Result<Self, RecipeError> {
        settings.sentence_embedding.check(train)?;
        let negatives = train.examples.iter().map(|example| example.negatives.len()).max().unwrap_or(0);
        Self::of(base, &settings.sentence_embedding, train.have_scores(), 2 + negatives)
    }

    /// Pooling and the like are in the files of the model, and how texts are compared follows from them.
    fn of_model(
        _model: &EmbeddingModel,
        base: &Base,
        _settings: &FinetuneSettings,
        _folder: &Path,
    ) -> Result<Self, RecipeError> {
        Self::of(base, &super::SentenceEmbeddingSettings::default(), false, 2)
    }

    fn labels(&self) -> &[String] {
        &[]
    }

    fn task(&self) -> &EmbeddingTask {
        &self.task
    }

    fn samples(&self, texts: &PairedTexts, _base: &Base, seed: u64) -> Result<PairedDataset, DataError> {
        let config = PairedConfig {
            max_seq_length: self.max_seq_length,
            distinct_in_batch: self.task.loss().compares_whole_batch(),
            prompts: self.prompts.clone(),
        };
        PairedDataset::new(texts, &self.tokenizer, &config, seed)
    }

    fn n_passes(&self) -> usize {
        self.n_texts
    }

    fn collator(&self, padding: Padding) -> PairedCollator {
        PairedCollator { padding }
    }

    fn allocate(&self, config: &BertConfig, device: &Device) -> EmbeddingModel {
        EmbeddingModel::new(config, &self.modules, device)
    }

    fn init(&self, config: &BertConfig, seed: u64, device: &Device) -> EmbeddingModel {
        EmbeddingModel::init(config, &self.modules, seed, device)
    }

    fn pretrained(&self, folder: &Path, _seed: u64, device: &Device) -> Result<Loaded<EmbeddingModel>, ModelError> {
        let config = BertConfig::load(&EmbeddingModules::transformer_in(folder)?)?;
        let modules = modules_of(folder, &self.settings, &config, self.max_seq_length)?;
        Ok(EmbeddingModel::from_pretrained(modules, device)?)
    }

    fn step_floats(&self, step: StepFloats, _n_rows: usize, _n_tokens: usize, _d_model: usize) -> StepFloats {
        step
    }

    fn announce(
        &self,
        _texts: &PairedTexts,
        samples: &PairedDataset,
        part: &'static str,
        _base: &Base,
        context: &Context<'_>,
    ) {
        let (cut, texts, max_length) = (samples.n_cut(), samples.n_texts(), self.max_seq_length);
        context.observer.note(&Note::TextsCut { cut, texts, max_length, part });
    }

    fn n_cut(&self, samples: &PairedDataset) -> Option<u64> {
        Some(samples.n_rows_cut())
    }

    fn measure(
        &self,
        model: &EmbeddingModel,
        (texts, _samples): (&PairedTexts, &Arc<PairedDataset>),
        _batches: impl Iterator<Item = Result<Dealt<PairedBatch>, DataError>>,
        seed: u64,
        device: &Device,
        context: &Context<'_>,
    ) -> Result<SentenceEmbeddingScores, RecipeError> {
        let [of_texts, of_others] = prompts_of(&self.modules, texts.have_scores());
        let evaluation = EmbeddingEvaluation {
            of_texts: &self.pipeline(model, &of_texts, device)?,
            of_others: &self.pipeline(model, &of_others, device)?,
            progress: context.observer,
            interrupt: &context.interrupt(),
            collective: context.collective,
            seed,
        };
        let none = SentenceEmbeddingScores { pairs: texts.examples.len() as u64, ..SentenceEmbeddingScores::default() };
        Ok(match evaluation.measure(texts)? {
            EmbeddingQuality::Similarity(found) => {
                let spearman_interval = found.spearman_interval.map(|it| (it.low, it.high));
                SentenceEmbeddingScores { pearson: found.pearson, spearman: found.spearman, spearman_interval, ..none }
            }
            EmbeddingQuality::Retrieval(found) => {
                let triplet_accuracy = found.triplet_accuracy;
                SentenceEmbeddingScores { retrieval: Some(retrieval(&found, seed)), triplet_accuracy, ..none }
            }
        })
    }

    /// What the batches alone tell.
    fn scores(
        &self,
        state: &EmbeddingMetricState,
        _texts: &PairedTexts,
        _samples: &PairedDataset,
        _seed: u64,
    ) -> SentenceEmbeddingScores {
        SentenceEmbeddingScores { pairs: state.pairs, ..SentenceEmbeddingScores::default() }
    }

    fn quality_name(scores: &SentenceEmbeddingScores) -> &'static str {
        if scores.retrieval.is_some() { "mrr_at_10" } else { Self::QUALITY }
    }

    fn quality(scores: &SentenceEmbeddingScores) -> f64 {
        scores.retrieval.map_or(scores.spearman, |it| Some(it.mrr_at_10)).unwrap_or(0.0)
    }

    fn loss(_scores: &SentenceEmbeddingScores) -> Option<f64> {
        None
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let width = self.modules.width(self.task.config().d_model);
        vec![("dimensions", width.to_string()), ("loss", self.task.loss().name().to_owned())]
    }

    fn usage(folder: &str) -> String {
        format!("burnformer similarity {folder} 'A text.' 'Another text.'")
    }
}

fn retrieval(found: &RetrievalQuality, seed: u64) -> RetrievalScores {
    let gains: Vec<f64> = found.queries.iter().map(|query| query.ndcg(FIRST)).collect();
    let interval = bootstrap_interval(gains.len(), seed, |rows| {
        Some(rows.iter().map(|&row| gains[row]).sum::<f64>() / rows.len().max(1) as f64)
    });
    let (first, ten, all) = (
        RankingMeans::at(&found.queries, 1),
        RankingMeans::at(&found.queries, FIRST),
        RankingMeans::at(&found.queries, RETRIEVED),
    );
    RetrievalScores {
        queries: found.queries.len() as u64,
        documents: found.documents as u64,
        accuracy_at_1: first.mrr,
        mrr_at_10: ten.mrr,
        ndcg_at_10: ten.ndcg,
        ndcg_at_10_interval: interval.map(|it| (it.low, it.high)),
        map_at_100: all.map,
        recall_at_10: ten.recall,
        recall_at_100: all.recall,
    }
}

impl TaskScores for SentenceEmbeddingScores {
    fn lines(&self) -> Vec<(String, String)> {
        self.lines()
    }
}

impl Examples for PairedTexts {
    const TARGETS: &'static str = "scores";

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

    fn check_labels(
        &self,
        _source: &dyn Source,
        _policy: OnBadRow,
        _progress: &dyn Progress,
        _interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        Ok(self.check_scores()?)
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

    fn n_texts(&self) -> usize {
        self.examples.len()
    }
}
