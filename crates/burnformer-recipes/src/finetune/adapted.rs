//! A supervised task whose model is trained as a whole or by an adapter.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use burn::tensor::Device;
use burnformer_core::progress::Interrupt;
use burnformer_core::random::DropoutRng;
use burnformer_models::{AdapterConfig, BertConfig, Loaded, ModelError, Pretrained, Staged, stats, with_adapter};
use burnformer_tasks::{Forward, ScoreValues, Task, TaskError};
use burnformer_train::ParameterRule;

use super::{FinetuneSettings, LoraSettings, Supervised};

/// The task `S`. With an adapter, checkpoints hold the adapter alone, and a model is the base model with it.
pub struct Adapted<S> {
    supervised: S,
    lora: Option<Lora>,
}

/// What is trained in place of a whole model.
struct Lora {
    settings: LoraSettings,
    /// Folder of the base model.
    base: PathBuf,
    seed: u64,
    /// Once a model has the adapter.
    attached: OnceLock<Attached>,
}

/// The adapter of a model.
struct Attached {
    config: AdapterConfig,
    /// Paths of the parameters that are trained.
    trained: BTreeSet<String>,
}

impl Attached {
    fn of<M: Pretrained>(config: AdapterConfig, model: &M) -> Self {
        Self { trained: config.trained(model), config }
    }
}

impl<S: Supervised> Adapted<S> {
    pub(super) fn new(supervised: S, settings: &FinetuneSettings) -> Self {
        let lora = settings.lora.clone().map(|lora| Lora {
            settings: lora,
            base: PathBuf::from(&settings.model),
            seed: settings.seed,
            attached: OnceLock::new(),
        });
        Self { supervised, lora }
    }

    /// The pretrained model in `folder` before its first step, with a new head where it has none for this task, and with a new
    /// adapter.
    ///
    /// # Errors
    /// As [`Supervised::pretrained`], or if the adapter does not fit the model.
    pub(super) fn begin(&self, folder: &Path, seed: u64, device: &Device) -> Result<Loaded<S::Model>, ModelError> {
        let loaded = self.supervised.pretrained(folder, seed, device)?;
        let Some(lora) = &self.lora else { return Ok(loaded) };
        let config = lora.settings.adapter(
            &lora.base.display().to_string(),
            loaded.model.config(),
            S::Model::HEAD,
            &loaded.fresh,
        );
        let model = config.attach(loaded.model, seed)?;
        lora.attached.get_or_init(|| Attached::of(config, &model));
        Ok(Loaded { model, ..loaded })
    }

    /// Number of weights of `model`, which has no adapter yet, with its adapter, and of those that are trained if not all are.
    pub(super) fn n_weights(&self, model: &S::Model) -> (u64, Option<u64>) {
        let n_weights = stats::n_parameters(model) as u64;
        // What cannot be attached is an error when it is.
        let of_adapter = self.lora.as_ref().and_then(|lora| lora.settings.n_weights(model).ok());
        of_adapter.map_or((n_weights, None), |(trained, added)| (n_weights + added, Some(trained)))
    }

    /// `true` if an adapter is trained.
    pub(crate) fn has_adapter(&self) -> bool {
        self.lora.is_some()
    }

    /// Floats that the adapter keeps of each token for the backward pass.
    pub(super) fn floats_per_token(&self, config: &BertConfig) -> u64 {
        self.lora.as_ref().map_or(0, |lora| lora.settings.floats_per_token(config))
    }
}

/// Without an adapter all parameters are trained.
impl<S: Supervised> ParameterRule for &Adapted<S> {
    fn is_trained(&self, path: &str, _step: u64) -> bool {
        let attached = self.lora.as_ref().and_then(|lora| lora.attached.get());
        attached.is_none_or(|attached| attached.trained.contains(path))
    }

    fn learning_rate_factor(&self, _path: &str) -> f64 {
        1.0
    }
}

impl<S> Deref for Adapted<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.supervised
    }
}

impl<S: Supervised> Task for Adapted<S> {
    type Model = S::Model;
    type Batch = <S::Task as Task>::Batch;
    type Counts = <S::Task as Task>::Counts;
    type MetricState = <S::Task as Task>::MetricState;
    type Error = TaskError;

    fn counts(&self, batch: &Self::Batch) -> Self::Counts {
        self.supervised.task().counts(batch)
    }

    fn forward(
        &self,
        model: &S::Model,
        batch: &Self::Batch,
        totals: &Self::Counts,
        rng: DropoutRng,
        device: &Device,
    ) -> Forward {
        self.supervised.task().forward(model, batch, totals, rng, device)
    }

    /// An adapter and its base are not cut.
    fn staged(&self) -> Option<Arc<dyn Staged>> {
        if self.lora.is_some() { None } else { self.supervised.task().staged() }
    }

    fn body(&self, model: &S::Model, batch: &Self::Batch, rng: DropoutRng, device: &Device) {
        self.supervised.task().body(model, batch, rng, device);
    }

    fn metric_state(&self) -> Self::MetricState {
        self.supervised.task().metric_state()
    }

    fn detailed_metric_state(&self) -> Self::MetricState {
        self.supervised.task().detailed_metric_state()
    }

    fn add_scores(
        &self,
        metric_state: &mut Self::MetricState,
        batch: &Self::Batch,
        scores: &ScoreValues,
    ) -> Result<(), TaskError> {
        self.supervised.task().add_scores(metric_state, batch, scores)
    }

    fn add_answers(
        &self,
        metric_state: &mut Self::MetricState,
        model: &S::Model,
        batch: &Self::Batch,
        interrupt: &Interrupt,
    ) -> Result<(), TaskError> {
        self.supervised.task().add_answers(metric_state, model, batch, interrupt)
    }

    fn save(&self, model: &S::Model, folder: &Path) -> Result<(), TaskError> {
        let save = || self.supervised.task().save(model, folder);
        match self.lora.as_ref().and_then(|lora| lora.attached.get()) {
            Some(attached) => with_adapter(&attached.config, save),
            None => save(),
        }
    }

    fn load(&self, folder: &Path, device: &Device) -> Result<S::Model, TaskError> {
        let Some(lora) = &self.lora else { return self.supervised.task().load(folder, device) };
        // The base may have moved.
        let config = AdapterConfig { base: lora.base.display().to_string(), ..AdapterConfig::read(folder)? };
        // What the base lacks, and is initialised here, is in the folder.
        let base = self.supervised.pretrained(&lora.base, lora.seed, device)?.model;
        let model = config.attach_from(base, folder)?;
        lora.attached.get_or_init(|| Attached::of(config, &model));
        Ok(model)
    }
}
