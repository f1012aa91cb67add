//! Adapters on a model in memory.

use super::{AdapterConfig, ENDS, MATRICES, Modules, PREFIX, Targets, is_repeated, open_weights};
use crate::weights::{Part, Place};
use crate::{Head, ModelConfig, ModelError, Pretrained, stats};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burnformer_core::{ConfigError, Validate};
use burnformer_nn::{Lora, LoraConfig, LoraKind, init};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Most modules that a message names.
const SHOWN: usize = 8;

/// Prefixes of the names of a body's weights in a model with a head.
const BODIES: [&str; 3] = ["bert.", "roberta.", "distilbert."];

/// Paths of output layers, which have no adapters.
const OUTPUTS: [&str; 4] = ["mlm.decoder.weight", "output.weight", "classifier.weight", "token_classifier.weight"];

/// An adapter of a model, in a folder.
#[derive(Clone, Debug)]
pub struct Adapter {
    folder: PathBuf,
    config: AdapterConfig,
}

impl Adapter {
    /// Reads the settings of the adapter in `folder`.
    ///
    /// # Errors
    /// As [`AdapterConfig::read`].
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        Ok(Self { folder: folder.to_owned(), config: AdapterConfig::read(folder)? })
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// `model`, the base model of the adapter, with the adapter. The weights of the base are shared with all clones of `model`,
    /// so that several adapters of one base take little more memory than one. Only the weights of the adapter are trained.
    ///
    /// # Errors
    /// If the adapter does not belong to such a model, or its weights cannot be read.
    pub fn attach<M: Pretrained>(&self, model: M) -> Result<M, ModelError> {
        let plan = Plan::new(&model, &self.config)?;
        let mut file = open_weights(&self.folder)?;
        file.fill(plan.attach(model), |path| plan.place(path), is_repeated)
    }
}

impl AdapterConfig {
    /// `model` with a new adapter, whose first matrices are drawn from `seed` and whose second ones are zero. Only the
    /// adapter and what else the settings say is trained: nothing else has gradients.
    ///
    /// The first matrix is uniform in `±1 / sqrt(d_in)`, and of a table the second one normal, as in peft.
    ///
    /// # Errors
    /// If the settings cannot work, or name no module of the model.
    pub fn attach<M: Pretrained>(&self, model: M, seed: u64) -> Result<M, ModelError> {
        self.validate()?;
        let plan = Plan::new(&model, self)?;
        plan.check_shared()?;
        plan.check_names(self)?;
        let rule = |path: &str, shape: &[usize]| match plan.matrix(path) {
            None => init::Init::Keep,
            Some((_, LoraKind::Linear, 0)) => init::Init::Uniform { bound: 1.0 / (shape[1] as f64).sqrt() },
            Some((_, LoraKind::Embedding, 1)) => init::Init::Normal { std: 1.0 },
            Some(_) => init::Init::Constant(0.0),
        };
        Ok(init::by_name(plan.attach(model), seed, rule))
    }

    /// The paths of the parameters that are trained in `model`, which has the adapter.
    #[must_use]
    pub fn trained<M: Pretrained>(&self, model: &M) -> BTreeSet<String> {
        let paths = stats::parameters(model).into_iter().map(|(path, _)| path);
        match Plan::new(model, self) {
            Ok(plan) => paths.filter(|path| plan.place(path).is_some()).collect(),
            Err(_) => BTreeSet::new(),
        }
    }

    /// The number of weights that are trained in `model`, which has no adapter, and the number of those that the adapter adds.
    ///
    /// # Errors
    /// If the settings cannot work, or name no module of the model.
    pub fn n_weights<M: Pretrained>(&self, model: &M) -> Result<(u64, u64), ModelError> {
        let plan = Plan::new(model, self)?;
        let (mut trained, mut added) = (0, 0);
        for (path, shape) in stats::parameters(model) {
            if let Some((lora, _)) = plan.adapters.get(&path) {
                added += (lora.rank * shape.iter().sum::<usize>()) as u64;
            }
            if plan.trained.contains_key(&path) {
                trained += shape.iter().product::<usize>() as u64;
            }
        }
        Ok((trained + added, added))
    }

    /// `model` with the adapter of a checkpoint of the same settings in `folder`, as [`Self::attach`] and training made it.
    ///
    /// # Errors
    /// As [`Self::attach`], or if the weights cannot be read.
    pub fn attach_from<M: Pretrained>(&self, model: M, folder: &Path) -> Result<M, ModelError> {
        Adapter { folder: folder.to_owned(), config: self.clone() }.attach(model)
    }
}

/// The parameters of a model that an adapter has, by path.
pub(super) struct Plan {
    /// Adapters by the path of their weight, and the names of their modules.
    adapters: BTreeMap<String, (LoraConfig, Place)>,
    /// Places of other parameters that are trained.
    trained: BTreeMap<String, Place>,
    /// Ends of the names of modules that may have adapters.
    known: Vec<String>,
}

impl Plan {
    pub(super) fn new<M: Pretrained>(model: &M, config: &AdapterConfig) -> Result<Self, ModelError> {
        let place = |path: &str| model.config().place(path);
        Self::of(model, place, config)
    }

    pub(super) fn of<M: Module>(
        model: &M,
        place: impl Fn(&str) -> Place,
        config: &AdapterConfig,
    ) -> Result<Self, ModelError> {
        // A body alone has no name among its weights.
        let is_body = config.head() == Some(Head::Body);
        let place = |path: &str| {
            let place = place(path);
            let name = BODIES.iter().filter(|_| is_body).find_map(|body| place.name.strip_prefix(body));
            Place { name: name.unwrap_or(&place.name).to_owned(), ..place }
        };
        let modules = Modules::new(config)?;
        let kinds = Lora::weights(model);
        let mut adapters = BTreeMap::new();
        for (path, kind) in &kinds {
            let place = place(path);
            let Some(module) = place.name.strip_suffix(".weight") else { continue };
            let is_output = OUTPUTS.contains(&path.as_str());
            if !modules.is_target(module, *kind == LoraKind::Linear && !is_output) {
                continue;
            }
            let expected = "no output layer: it is trained as a whole if `modules_to_save` names it";
            ConfigError::check("target_modules", &module, !is_output, expected)?;
            let dropout = if *kind == LoraKind::Linear { config.dropout } else { 0.0 };
            let lora = LoraConfig { kind: *kind, rank: modules.rank(module), scale: modules.scale(module), dropout };
            adapters.insert(path.clone(), (lora, Place { name: module.to_owned(), ..place }));
        }
        let others = kinds.keys().filter(|path| !OUTPUTS.contains(&path.as_str())).map(|path| place(path).name);
        let known = ends(others.filter(|name| !modules.is_saved(name)));
        if adapters.is_empty() {
            return Err(no_target(&config.targets, known));
        }
        let trained = stats::parameters(model).into_iter().filter_map(|(path, _)| {
            let place = place(&path);
            let weight = path.strip_suffix(".bias").map(|module| format!("{module}.weight"));
            let has_adapter = weight.is_some_and(|weight| adapters.contains_key(&weight));
            let is_bias = path.ends_with(".bias");
            let name = if modules.is_saved(&place.name) {
                format!("{PREFIX}{}", place.name)
            } else if is_bias && has_adapter && modules.trains_bias(true) {
                format!("{PREFIX}{}.base_layer.bias", place.name.strip_suffix(".bias").unwrap_or(&place.name))
            } else if is_bias && modules.trains_bias(false) {
                format!("{PREFIX}{}", place.name)
            } else {
                return None;
            };
            Some((path, Place { name, ..place }))
        });
        let trained = trained.collect();
        Ok(Self { adapters, trained, known })
    }

    /// Refuses names in `target_modules` by which no module gets an adapter.
    fn check_names(&self, config: &AdapterConfig) -> Result<(), ModelError> {
        let Targets::Names(names) = &config.targets else { return Ok(()) };
        for name in names {
            let target = Targets::Names(vec![name.clone()]);
            let is_target = target.matcher("target_modules")?;
            if !self.adapters.values().any(|(_, place)| is_target(&place.name)) {
                return Err(no_target(&target, self.known.clone()));
            }
        }
        Ok(())
    }

    /// Refuses to train adapters of maps that are one in transformers: there they share their first matrix.
    fn check_shared(&self) -> Result<(), ConfigError> {
        let shared = self.adapters.values().find(|(_, place)| place.part.is_some());
        let module = shared.map_or("", |(_, place)| place.name.as_str());
        let expected = "modules other than one for queries, keys and values together: name the output of attention and the \
                        feed-forward layers, such as `c_proj` and `c_fc`";
        ConfigError::check("target_modules", &module, shared.is_none(), expected)
    }

    /// The adapter of the matrix at `path`, with its number.
    fn matrix(&self, path: &str) -> Option<(&Place, LoraKind, usize)> {
        let (number, weight) =
            MATRICES.iter().enumerate().find_map(|(number, end)| Some((number, path.strip_suffix(end)?)))?;
        let (lora, place) = self.adapters.get(weight)?;
        Some((place, lora.kind, number))
    }

    /// The place of the parameter at `path` in the weights of the adapter, if it has it.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        let Some((place, kind, number)) = self.matrix(path) else { return self.trained.get(path).cloned() };
        let ends = ENDS[usize::from(kind == LoraKind::Embedding)];
        // What several maps share is the first matrix; each has its part of the second one.
        let part: Option<Part> = place.part.filter(|_| number == 1);
        Some(Place { name: format!("{PREFIX}{}{}", place.name, ends[number]), part, transposed: false })
    }

    /// The paths of weights with adapters, and the names of their modules.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.adapters.iter().map(|(path, (_, place))| (path.as_str(), place.name.as_str()))
    }

    /// `true` if a matrix is stored for several parameters.
    pub(super) fn is_shared(&self) -> bool {
        self.check_shared().is_err()
    }

    /// `model` with adapters of zero, and no other parameter trained than those of this plan.
    fn attach<M: Module>(&self, model: M) -> M {
        let model = Lora::attach(model, |path| self.adapters.get(path).map(|(lora, _)| *lora));
        model.map(&mut Train { plan: self, path: Vec::new() })
    }
}

/// The last parts of the names of modules with these weights, as many as a message shows.
fn ends(weights: impl Iterator<Item = String>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for weight in weights {
        let end = weight.trim_end_matches(".weight").rsplit('.').next().unwrap_or_default().to_owned();
        if !known.contains(&end) && known.len() < SHOWN {
            known.push(end);
        }
    }
    known
}

/// The error of targets that no module of the model is.
fn no_target(targets: &Targets, known: Vec<String>) -> ModelError {
    let found = match targets {
        Targets::Pattern(pattern) => format!("`{pattern}`"),
        Targets::Names(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    };
    ModelError::NoTarget { found, known }
}

/// Sets which parameters are trained.
struct Train<'a> {
    plan: &'a Plan,
    path: Vec<String>,
}

impl ModuleMapper for Train<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_trained = self.plan.place(&self.path.join(".")).is_some();
        param.set_require_grad(is_trained)
    }
}
