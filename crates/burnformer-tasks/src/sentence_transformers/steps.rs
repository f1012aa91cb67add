//! What follows the pooling: dense layers and normalisation.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use burnformer_models::weights::WeightType;
use burnformer_models::{OutputActivation, Projection, normalize};
use burnformer_nn::LinearConfig;
use serde::Deserialize;
use serde_json::json;

use super::file::{read_if_there, read_json, unsupported, write_json};
use crate::TaskError;

/// Settings of a module.
pub(super) const CONFIG: &str = "config.json";

/// Keys of all steps.
pub(super) const KEYS: [&str; 7] = [
    "activation_function",
    "bias",
    "in_features",
    "module_input_name",
    "module_output_name",
    "out_features",
    "use_residual",
];

/// The vectors that the modules behind the pooling work on, as their files call them.
const EMBEDDING: &str = "sentence_embedding";

/// Settings of a step.
#[derive(Clone)]
pub(crate) enum StepSettings {
    Dense { config: LinearConfig, activation: OutputActivation, folder: PathBuf },
    Normalize,
}

/// A step behind the pooling.
#[derive(Debug)]
pub(crate) enum Step {
    Dense { config: LinearConfig, activation: OutputActivation, layer: Box<Projection> },
    Normalize,
}

#[derive(Deserialize)]
struct DenseFile {
    in_features: usize,
    out_features: usize,
    bias: Option<bool>,
    activation_function: Option<OutputActivation>,
    use_residual: Option<bool>,
    #[serde(flatten)]
    names: Names,
}

/// The names of what a module works on.
#[derive(Deserialize)]
struct Names {
    module_input_name: Option<String>,
    module_output_name: Option<String>,
}

impl Names {
    fn check(&self, path: &Path) -> Result<(), TaskError> {
        let names = [&self.module_input_name, &self.module_output_name];
        match names.into_iter().flatten().find(|name| *name != EMBEDDING) {
            Some(name) => Err(unsupported(path, format!("a module for `{name}`"), format!("one for `{EMBEDDING}`"))),
            None => Ok(()),
        }
    }
}

impl StepSettings {
    pub(super) fn dense(folder: &Path) -> Result<Self, TaskError> {
        let path = folder.join(CONFIG);
        let file: DenseFile = read_json(&path)?;
        file.names.check(&path)?;
        if file.use_residual == Some(true) {
            return Err(unsupported(&path, "a residual connection (`use_residual`)", "a Dense without it"));
        }
        if file.out_features == 0 {
            return Err(unsupported(&path, "a Dense that makes `0` numbers", "at least one in `out_features`"));
        }
        let config = LinearConfig::new(file.in_features, file.out_features).with_bias(file.bias.unwrap_or(true));
        let activation = file.activation_function.unwrap_or(OutputActivation::Tanh);
        Ok(Self::Dense { config, activation, folder: folder.to_owned() })
    }

    pub(super) fn normalize(folder: &Path) -> Result<Self, TaskError> {
        let path = folder.join(CONFIG);
        if let Some(names) = read_if_there::<Names>(&path)? {
            names.check(&path)?;
        }
        Ok(Self::Normalize)
    }

    /// Loads the weights of a step for vectors of `width` numbers.
    fn load(self, width: usize, device: &Device) -> Result<Step, TaskError> {
        match self {
            Self::Dense { config, folder, .. } if config.d_in != width => {
                let found = format!("a Dense for vectors of {} numbers", config.d_in);
                Err(unsupported(&folder.join(CONFIG), found, format!("{width}, as the modules in front of it make")))
            }
            Self::Dense { config, activation, folder } => {
                let layer = Box::new(Projection::load(&config, activation, &folder, device)?);
                Ok(Step::Dense { config, activation, layer })
            }
            Self::Normalize => Ok(Step::Normalize),
        }
    }
}

impl Step {
    /// Number of elements of a vector behind this step.
    pub(crate) fn width(&self, in_front: usize) -> usize {
        match self {
            Self::Dense { config, .. } => config.d_out,
            Self::Normalize => in_front,
        }
    }

    /// Number of elements of a vector in front of this step, where it may not be another.
    pub(crate) fn width_in_front(&self) -> Option<usize> {
        match self {
            Self::Dense { config, .. } => Some(config.d_in),
            Self::Normalize => None,
        }
    }

    /// # Shapes
    /// - x: `[n, d_in]`
    /// - returns: `[n, d_out]`
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Dense { layer, .. } => layer.forward(x),
            Self::Normalize => normalize(x),
        }
    }

    pub(super) fn class(&self) -> &'static str {
        match self {
            Self::Dense { .. } => "Dense",
            Self::Normalize => "Normalize",
        }
    }

    /// Writes what belongs to the step into its own folder.
    pub(super) fn write(&self, folder: &Path, weight_type: WeightType) -> Result<(), TaskError> {
        let Self::Dense { config, activation, layer } = self else { return Ok(()) };
        let json = json!({
            "in_features": config.d_in,
            "out_features": config.d_out,
            "bias": config.bias,
            "activation_function": activation,
        });
        write_json(&folder.join(CONFIG), &json)?;
        Ok(layer.save(folder, weight_type)?)
    }
}

/// The steps for vectors of `width` numbers.
pub(crate) fn load_steps(steps: Vec<StepSettings>, mut width: usize, device: &Device) -> Result<Vec<Step>, TaskError> {
    let load = |settings: StepSettings| {
        let step = settings.load(width, device)?;
        width = step.width(width);
        Ok(step)
    };
    steps.into_iter().map(load).collect()
}

/// `steps` with normalisation at their end, or without any normalisation.
pub(crate) fn with_normalization(mut steps: Vec<Step>, normalized: bool) -> Vec<Step> {
    if !normalized {
        steps.retain(|step| !matches!(step, Step::Normalize));
    } else if !matches!(steps.last(), Some(Step::Normalize)) {
        steps.push(Step::Normalize);
    }
    steps
}
