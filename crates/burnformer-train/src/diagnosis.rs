//! Where the numbers of a step stopped being finite.

use std::collections::BTreeSet;
use std::fmt;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{ExecutionError, Tensor};

/// The first place in a step whose numbers are not finite. Parameters are in the order of the model's parts, which is about
/// that of its forward pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Diagnosis {
    /// A weight.
    Weight {
        /// Path of the first such parameter.
        path: String,
    },
    /// A gradient, while all weights are finite.
    Gradient {
        /// Path of the first such parameter.
        path: String,
        /// Number of parameters with such a gradient.
        n: usize,
        /// Number of parameters with a gradient.
        of: usize,
    },
    /// The norm of the gradient, while the gradient of each parameter is finite.
    Norm,
    /// The loss alone.
    Loss,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight { path } => write!(f, "the first weight that is not finite is in `{path}`"),
            Self::Gradient { path, n, of } => {
                write!(
                    f,
                    "the weights are finite, but not the gradients of {n} of {of} parameters, the first is `{path}`"
                )
            }
            Self::Norm => f.write_str("weights and gradients are finite, but not the norm of the gradient"),
            Self::Loss => f.write_str("weights and gradients are finite, but not the loss"),
        }
    }
}

impl Diagnosis {
    /// The diagnosis of a step of `model` with gradients of `n_gradients` parameters, of which those at the paths `bad` are not
    /// finite, and the norm `gradient_norm`.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn of<M: Module>(
        model: &M,
        bad: &BTreeSet<String>,
        n_gradients: usize,
        gradient_norm: f64,
    ) -> Result<Self, ExecutionError> {
        if let Some(path) = first_weight(model)? {
            return Ok(Self::Weight { path });
        }
        let first = Parameters::of(model).paths.into_iter().find(|path| bad.contains(path));
        Ok(match first {
            Some(path) => Self::Gradient { path, n: bad.len(), of: n_gradients },
            None if gradient_norm.is_finite() => Self::Loss,
            None => Self::Norm,
        })
    }
}

/// Path of the first parameter of `model` with a weight that is not finite, in the order of its parts.
///
/// # Errors
/// If the device fails.
pub(crate) fn first_weight<M: Module>(model: &M) -> Result<Option<String>, ExecutionError> {
    let Parameters { paths, zeros, .. } = Parameters::of(model);
    if zeros.is_empty() {
        return Ok(None);
    }
    // One transfer for all.
    let zeros = Tensor::cat(zeros, 0).try_into_data()?;
    let is_bad = zeros.iter::<f32>().position(|zero| !zero.is_finite());
    Ok(is_bad.map(|index| paths[index].clone()))
}

/// The parameters of a model, in the order of its parts.
#[derive(Default)]
struct Parameters {
    paths: Vec<String>,
    /// For each a zero, `[1]`, or NaN if a weight is not finite.
    zeros: Vec<Tensor<1>>,
    path: Vec<String>,
}

impl Parameters {
    fn of<M: Module>(model: &M) -> Self {
        let mut parameters = Self::default();
        model.visit(&mut parameters);
        parameters
    }
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.paths.push(self.path.join("."));
        // Zero times what is not finite is NaN, whereas a square can overflow.
        self.zeros.push((param.val().inner() * 0.0).sum());
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use burnformer_nn::{Linear, LinearConfig};
    use burnformer_ops::DeviceChoice;

    use super::*;
    use crate::GradientSums;

    /// Two layers of a model, whose names are not in the order of the alphabet.
    #[derive(Module, Debug)]
    struct Model {
        second: Linear,
        first: Linear,
    }

    fn device() -> Device {
        DeviceChoice::Auto.open().unwrap().autodiff()
    }

    /// The diagnosis of a step of a model whose layer `first` has this value among its weights, and gets this input.
    fn diagnose(weight: f32, input: f32, gradient_norm: f64) -> Diagnosis {
        let device = device();
        let layer = || LinearConfig::new(3, 5).init(&device);
        let mut model = Model { second: layer(), first: layer() };
        model.first.weight =
            model.first.weight.map(|weights| Tensor::from_inner(weights.inner() * 0.0 + weight).require_grad());
        let rows = |value: f32| Tensor::<2>::from_data(TensorData::new(vec![value; 6], [2, 3]), &device);
        let loss = model.second.forward(rows(1.0)).sum() + model.first.forward(rows(input)).sum();
        let mut gradients = GradientSums::new();
        gradients.add(&model, loss.backward());
        let bad = gradients.not_finite().unwrap();
        Diagnosis::of(&model, &bad, gradients.paths().count(), gradient_norm).unwrap()
    }

    #[test]
    fn the_first_place_is_named() {
        for weight in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(diagnose(weight, 1.0, 1.0), Diagnosis::Weight { path: "first.weight".to_owned() });
        }
        let found = diagnose(1.0, f32::NAN, f64::NAN);
        assert_eq!(found, Diagnosis::Gradient { path: "first.weight".to_owned(), n: 1, of: 4 });
        assert_eq!(diagnose(1.0, 1.0, f64::INFINITY), Diagnosis::Norm);
        assert_eq!(diagnose(1.0, 1.0, 3.0), Diagnosis::Loss);
        // Finite, though its square is not.
        assert_eq!(diagnose(1e30, 1.0, 3.0), Diagnosis::Loss);
    }

    #[test]
    fn a_diagnosis_says_where_to_look() {
        let path = "bert.encoder.layers.3.norm_ff.weight".to_owned();
        let expected = "the weights are finite, but not the gradients of 7 of 39 parameters, the first is \
                        `bert.encoder.layers.3.norm_ff.weight`";
        assert_eq!(Diagnosis::Gradient { path, n: 7, of: 39 }.to_string(), expected);
    }
}
