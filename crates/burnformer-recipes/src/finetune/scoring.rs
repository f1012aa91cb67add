//! Fine-tuning for regression and for ranking: a score for each text, or pair of texts.

use std::path::Path;

use burn::tensor::Device;
use burnformer_core::progress::{Interrupt, Progress};
use burnformer_data::DataError;
use burnformer_data::batches::{Padding, ScoreCollator};
use burnformer_data::conflicts::Conflicts;
use burnformer_data::datasets::ScoreDataset;
use burnformer_data::readers::Input;
use burnformer_data::scored::{ScoreRange, ScoredTexts};
use burnformer_data::source::{OnBadRow, Skipped, Source};
use burnformer_models::{BertConfig, BertForSequenceClassification, Loaded, ModelError, Outputs, StepFloats};
use burnformer_reports::{RankingScores, RegressionScores};
use burnformer_tasks::metrics::{RankingMeans, auroc, bootstrap_interval, kendall_tau_b, pearson, spearman};
use burnformer_tasks::{ScoreLoss, ScoreMetricState, ScoreTask};

use super::head::{check_has_no_tags, with_logits};
use super::{Base, Examples, FinetuneSettings, FinetuneTask, Supervised};
use crate::RecipeError;
use crate::text::TaskScores;

/// Number of first texts of a ranking that count.
const FIRST: usize = 10;

/// A score for each text, or pair of texts: any number by squared error; if `RANKS`, one in `[0, 1]` by binary cross-entropy.
pub struct Scoring<const RANKS: bool> {
    task: ScoreTask,
    /// The single label, as model files name it.
    label: [String; 1],
}

/// Regression: any number for each text, or pair of texts.
pub type Regression = Scoring<false>;

/// Ranking: a score in `[0, 1]` for each pair of texts, as a cross-encoder of sentence-transformers.
pub type TextRanking = Scoring<true>;

impl<const RANKS: bool> Scoring<RANKS> {
    const LOSS: ScoreLoss = if RANKS { ScoreLoss::BinaryCrossEntropy } else { ScoreLoss::SquaredError };

    fn of(base: &Base, outputs: Outputs) -> Result<Self, RecipeError> {
        let (config, tokenizer) = (base.config.clone(), base.tokenizer.clone());
        let task = ScoreTask::new(config, tokenizer, Self::LOSS)?.with_outputs(outputs);
        Ok(Self { task, label: [Outputs::SCORE_LABEL.to_owned()] })
    }
}

impl<const RANKS: bool> Supervised for Scoring<RANKS> {
    const TASK: FinetuneTask = if RANKS { FinetuneTask::TextRanking } else { FinetuneTask::Regression };
    const QUALITY: &'static str = "spearman";
    const PIPELINE_TAG: &'static str = if RANKS { "text-ranking" } else { "text-classification" };
    const ROWS: &'static str = "texts";

    type Texts = ScoredTexts;
    type Task = ScoreTask;
    type Model = BertForSequenceClassification;
    type Samples = ScoreDataset;
    type Collator = ScoreCollator;
    type Scores = RegressionScores;

    fn check_input(input: &Input) -> Result<(), RecipeError> {
        check_has_no_tags(input)
    }

    /// Texts are ranked for another text.
    fn check_texts(parts: &[&ScoredTexts], _new_run: Option<&FinetuneSettings>) -> Result<(), RecipeError> {
        let is_alone = |texts: &&ScoredTexts| texts.examples.iter().all(|example| example.pair.is_none());
        if RANKS && parts.iter().filter(|texts| !texts.examples.is_empty()).any(is_alone) {
            Err(RecipeError::NoSecondText)
        } else {
            Ok(())
        }
    }

    fn new(base: &Base, _settings: &FinetuneSettings, _train: &ScoredTexts) -> Result<Self, RecipeError> {
        Self::of(base, Self::LOSS.outputs())
    }

    fn of_model(
        model: &BertForSequenceClassification,
        base: &Base,
        _settings: &FinetuneSettings,
        folder: &Path,
    ) -> Result<Self, RecipeError> {
        match model.outputs() {
            outputs @ Outputs::Score(_) => Self::of(base, outputs),
            outputs => {
                let (found, expected) = (outputs.noun(), Self::LOSS.outputs().noun());
                Err(RecipeError::NotClasses { folder: folder.to_owned(), found, expected })
            }
        }
    }

    /// None: scores have no names.
    fn labels(&self) -> &[String] {
        &[]
    }

    fn task(&self) -> &ScoreTask {
        &self.task
    }

    fn samples(&self, texts: &ScoredTexts, base: &Base, seed: u64) -> Result<ScoreDataset, DataError> {
        ScoreDataset::of(&texts.examples, &base.tokenizer, base.max_seq_length, seed)
    }

    fn collator(&self, padding: Padding) -> ScoreCollator {
        ScoreCollator { padding }
    }

    fn allocate(&self, config: &BertConfig, device: &Device) -> BertForSequenceClassification {
        BertForSequenceClassification::new(config, &self.label, device)
    }

    fn init(&self, config: &BertConfig, seed: u64, device: &Device) -> BertForSequenceClassification {
        BertForSequenceClassification::init(config, &self.label, seed, device).with_outputs(Self::LOSS.outputs())
    }

    fn pretrained(
        &self,
        folder: &Path,
        seed: u64,
        device: &Device,
    ) -> Result<Loaded<BertForSequenceClassification>, ModelError> {
        let outputs = Self::LOSS.outputs();
        BertForSequenceClassification::from_pretrained_with_outputs(folder, &self.label, outputs, seed, device)
    }

    fn step_floats(&self, step: StepFloats, n_rows: usize, _n_tokens: usize, d_model: usize) -> StepFloats {
        with_logits(step, n_rows, 1, d_model)
    }

    fn n_cut(&self, samples: &ScoreDataset) -> Option<u64> {
        Some(samples.n_cut())
    }

    fn scores(
        &self,
        state: &ScoreMetricState,
        _texts: &ScoredTexts,
        _samples: &ScoreDataset,
        seed: u64,
    ) -> RegressionScores {
        let (truths, answers) = state.columns();
        let n = truths.len().max(1) as f64;
        let is_binary = truths.iter().all(|truth| [0.0, 1.0].contains(truth));
        let is_positive: Vec<bool> = truths.iter().map(|&truth| truth == 1.0).collect();
        let interval = |correlation: fn(&[f64], &[f64]) -> Option<f64>| {
            let of = |rows: &[usize], values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<_>>();
            let score = |rows: &[usize]| correlation(&of(rows, &truths), &of(rows, &answers));
            bootstrap_interval(truths.len(), seed, score).map(|it| (it.low, it.high))
        };
        let rankings = if RANKS { state.rankings() } else { Vec::new() };
        let (first, all) = (RankingMeans::at(&rankings, FIRST), RankingMeans::at(&rankings, usize::MAX));
        let ranking = (!rankings.is_empty()).then_some(RankingScores {
            queries: rankings.len() as u64,
            mrr_at_10: first.mrr,
            ndcg_at_10: first.ndcg,
            map: all.map,
            recall_at_10: first.recall,
        });
        RegressionScores {
            texts: truths.len() as u64,
            loss: state.loss(),
            mean_absolute_error: truths.iter().zip(&answers).map(|(truth, answer)| (truth - answer).abs()).sum::<f64>()
                / n,
            pearson: pearson(&truths, &answers),
            spearman: spearman(&truths, &answers),
            kendall: kendall_tau_b(&truths, &answers),
            pearson_interval: interval(pearson),
            spearman_interval: interval(spearman),
            auroc: if is_binary { auroc(&is_positive, &answers) } else { None },
            ranking,
        }
    }

    /// 0 where the correlation is not defined.
    fn quality(scores: &RegressionScores) -> f64 {
        scores.spearman.unwrap_or(0.0)
    }

    fn loss(scores: &RegressionScores) -> Option<f64> {
        Some(scores.loss)
    }

    fn usage(folder: &str) -> String {
        match RANKS {
            true => format!("burnformer rank {folder} 'A query.' 'A text.' 'Another text.'"),
            false => format!("burnformer predict {folder} 'A text.'"),
        }
    }
}

impl TaskScores for RegressionScores {
    fn lines(&self) -> Vec<(String, String)> {
        self.lines()
    }
}

impl Examples for ScoredTexts {
    const TARGETS: &'static str = "scores";

    fn read(
        source: &dyn Source,
        _known: Option<Vec<String>>,
        settings: &FinetuneSettings,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(Self, Skipped), DataError> {
        let range = match settings.task() {
            FinetuneTask::TextRanking => ScoreRange::Unit,
            _ => ScoreRange::Any,
        };
        Self::read(source, range, settings.on_bad_row, progress, interrupt)
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

    fn scores(&self) -> Vec<f64> {
        self.examples.iter().map(|example| example.label.value).collect()
    }

    fn n_repeated(&self) -> usize {
        self.n_repeated()
    }

    fn n_shared(&self, others: &Self) -> usize {
        self.n_shared(others)
    }

    fn retain(mut self, is_kept: &[bool]) -> Self {
        let mut is_kept = is_kept.iter();
        self.examples.retain(|_| is_kept.next() == Some(&true));
        self
    }

    fn n_texts(&self) -> usize {
        self.examples.len()
    }
}
