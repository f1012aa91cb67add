//! Activations of outputs, by the names of PyTorch's classes.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu, relu, sigmoid, silu};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Function of the outputs of a model. In settings it has the name of PyTorch's class, such as
/// `torch.nn.modules.activation.Tanh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputActivation {
    /// The outputs as they are.
    Identity,
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Rectified linear unit.
    Relu,
    /// Gaussian error linear unit, by the error function.
    Gelu,
    /// Sigmoid linear unit.
    Silu,
}

/// All activations, with the names of their classes.
const NAMES: [(OutputActivation, &str); 6] = [
    (OutputActivation::Identity, "torch.nn.modules.linear.Identity"),
    (OutputActivation::Sigmoid, "torch.nn.modules.activation.Sigmoid"),
    (OutputActivation::Tanh, "torch.nn.modules.activation.Tanh"),
    (OutputActivation::Relu, "torch.nn.modules.activation.ReLU"),
    (OutputActivation::Gelu, "torch.nn.modules.activation.GELU"),
    (OutputActivation::Silu, "torch.nn.modules.activation.SiLU"),
];

impl OutputActivation {
    /// The activation of PyTorch with this name; `None` for any other, such as one of a model's own code.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let class = name.strip_prefix("torch.nn.")?.rsplit('.').next();
        NAMES.into_iter().find(|(_, known)| known.rsplit('.').next() == class).map(|(activation, _)| activation)
    }

    /// Name of PyTorch's class.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(activation, _)| *activation == self).map(|(_, name)| name).expect("each has a name")
    }

    /// The function of every element.
    ///
    /// # Shapes
    /// - x, returns: `[n, d]`
    #[must_use]
    pub fn apply(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Identity => x,
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Relu => relu(x),
            Self::Gelu => gelu(x),
            Self::Silu => silu(x),
        }
    }
}

impl Serialize for OutputActivation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for OutputActivation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            let known = NAMES.map(|(_, name)| format!("`{name}`")).join(", ");
            de::Error::custom(format_args!("the activation `{name}` is not known, expected one of {known}"))
        })
    }
}
