//! What follows the pooling: dense layers and normalisation.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use burnformer_models::weights::WeightType;
use burnformer_models::{OutputActivation, Projection, normalize};
use burnformer_nn::LinearConfig;
use serde::Deserialize;
use serde_json::json;

use super::file::{create_folder, read_if_there, read_json, unsupported, write_json};
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
#[derive(Clone, Debug)]
pub(crate) enum StepSettings {
    Dense { config: LinearConfig, activation: OutputActivation, folder: PathBuf },
    Normalize,
}

/// The steps behind the pooling, in order. The weights of those that have some are kept elsewhere, in the same order.
#[derive(Clone, Debug)]
pub(crate) struct Steps(pub(super) Vec<StepSettings>);

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

    /// Number of elements of a vector behind this step.
    fn width(&self, in_front: usize) -> usize {
        match self {
            Self::Dense { config, .. } => config.d_out,
            Self::Normalize => in_front,
        }
    }

    fn class(&self) -> &'static str {
        match self {
            Self::Dense { .. } => "Dense",
            Self::Normalize => "Normalize",
        }
    }
}

impl Steps {
    /// Normalisation alone.
    pub(super) fn normalization() -> Self {
        Self(vec![StepSettings::Normalize])
    }

    /// Refuses steps that do not fit together, for vectors of `width` numbers.
    pub(super) fn check(&self, mut width: usize) -> Result<(), TaskError> {
        for step in &self.0 {
            if let StepSettings::Dense { config, folder, .. } = step
                && config.d_in != width
            {
                let found = format!("a Dense for vectors of {} numbers", config.d_in);
                let expected = format!("{width}, as the modules in front of it make");
                return Err(unsupported(&folder.join(CONFIG), found, expected));
            }
            width = step.width(width);
        }
        Ok(())
    }

    fn dense(&self) -> impl Iterator<Item = (&LinearConfig, OutputActivation, &Path)> {
        self.0.iter().filter_map(|step| match step {
            StepSettings::Dense { config, activation, folder } => Some((config, *activation, folder.as_path())),
            StepSettings::Normalize => None,
        })
    }

    /// Loads the weights.
    pub(crate) fn load(&self, device: &Device) -> Result<Vec<Projection>, TaskError> {
        let load = |(config, activation, folder)| Ok(Projection::load(config, activation, folder, device)?);
        self.dense().map(load).collect()
    }

    /// Layers that are zero until they are initialised.
    pub(super) fn allocate(&self, device: &Device) -> Vec<Projection> {
        self.dense().map(|(config, activation, _)| Projection::new(config, activation, device)).collect()
    }

    /// Puts normalisation at the end, or removes it everywhere.
    pub(super) fn set_normalization(&mut self, normalized: bool) {
        if !normalized {
            self.0.retain(|step| !matches!(step, StepSettings::Normalize));
        } else if !matches!(self.0.last(), Some(StepSettings::Normalize)) {
            self.0.push(StepSettings::Normalize);
        }
    }

    /// Number of elements of a vector behind the steps.
    pub(super) fn width(&self, in_front: usize) -> usize {
        self.0.iter().fold(in_front, |width, step| step.width(width))
    }

    /// Number of elements of a vector in front of the steps, where it may not be another.
    pub(super) fn width_in_front(&self) -> Option<usize> {
        self.dense().next().map(|(config, ..)| config.d_in)
    }

    /// # Shapes
    /// - x: `[n, d_in]`
    /// - returns: `[n, d_out]`
    pub(super) fn forward(&self, dense: &[Projection], x: Tensor<2>) -> Tensor<2> {
        let mut dense = dense.iter();
        self.0.iter().fold(x, |x, step| match step {
            StepSettings::Dense { .. } => dense.next().expect("weights of every step").forward(x),
            StepSettings::Normalize => normalize(x),
        })
    }

    /// Writes each step into a folder of its own within `folder`, where `in_front` modules come before. Returns the names of
    /// their folders and classes.
    pub(super) fn write(
        &self,
        dense: &[Projection],
        folder: &Path,
        in_front: usize,
        weight_type: WeightType,
    ) -> Result<Vec<(String, &'static str)>, TaskError> {
        let mut dense = dense.iter();
        let write = |(number, step): (usize, &StepSettings)| {
            let name = format!("{number}_{}", step.class());
            let path = folder.join(&name);
            create_folder(&path)?;
            if let StepSettings::Dense { config, activation, .. } = step {
                let json = json!({
                    "in_features": config.d_in,
                    "out_features": config.d_out,
                    "bias": config.bias,
                    "activation_function": activation,
                });
                write_json(&path.join(CONFIG), &json)?;
                dense.next().expect("weights of every step").save(&path, weight_type)?;
            }
            Ok((name, step.class()))
        };
        (in_front..).zip(&self.0).map(write).collect()
    }
}
