//! Initial weights, each parameter from the numbers of its own name.

use crate::parts::{self, Part};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use burnformer_core::random::{Key, Purpose, Stream};
use rayon::prelude::*;

/// Initial value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Unchanged: loaded, or constant from the module's construction.
    Keep,
    /// One value everywhere.
    Constant(f64),
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Normal around zero.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Normal around zero, drawn again beyond two standard deviations.
    TruncatedNormal {
        /// Standard deviation before truncation (the truncated one's is 0.88 times as large).
        std: f64,
    },
}

/// Initialises every float parameter of `module` by `rule`, which depends on its path (`layers.0.norm_ff.weight`) and shape.
///
/// Element `i` of a parameter is a function of the seed, the path and `i`: the same on every device, and unchanged when
/// other parameters are added or removed. A parameter with [`Init::Keep`] keeps its value. What this process does not
/// [hold](crate::parts) is left out.
///
/// ```
/// use burnformer_nn::{LinearConfig, init};
/// use burnformer_ops::DeviceChoice;
///
/// let device = DeviceChoice::Auto.open()?;
/// let linear = init::by_name(LinearConfig::new(3, 5).init(&device), 42, init::truncated_normal(0.02));
/// # Ok::<(), burnformer_ops::DeviceError>(())
/// ```
pub fn by_name<M: Module>(module: M, seed: u64, rule: impl Fn(&str, &[usize]) -> Init) -> M {
    by_key(module, seed, str::to_owned, rule)
}

/// [`by_name`], with the numbers of each parameter drawn by `key` of its path instead of the path itself.
///
/// A parameter whose path has changed keeps its initial values if `key` gives the path that it had before.
pub fn by_key<M: Module>(
    module: M,
    seed: u64,
    key: impl Fn(&str) -> String,
    rule: impl Fn(&str, &[usize]) -> Init,
) -> M {
    module.map(&mut ByKey { seed, key, rule, path: Vec::new() })
}

/// Matrices uniform in `±sqrt(6 / (d_in + d_out))`, biases zero, norm weights one.
///
/// Source: Glorot and Bengio 2010, equation 16; as in tensor2tensor and The Annotated Transformer.
#[must_use]
pub fn xavier_uniform(path: &str, shape: &[usize]) -> Init {
    let fans: usize = shape.iter().sum();
    by_role(path, shape, Init::Uniform { bound: (6.0 / fans as f64).sqrt() })
}

/// Matrices normal with standard deviation `std`, biases zero, norm weights one.
pub fn normal(std: f64) -> impl Fn(&str, &[usize]) -> Init {
    move |path, shape| by_role(path, shape, Init::Normal { std })
}

/// Matrices normal with standard deviation `std` and cut at two of them, biases zero, norm weights one: BERT with 0.02.
///
/// Source: Devlin et al. 2019 (their code, `truncated_normal_initializer`).
pub fn truncated_normal(std: f64) -> impl Fn(&str, &[usize]) -> Init {
    move |path, shape| by_role(path, shape, Init::TruncatedNormal { std })
}

/// A matrix starts as `matrix`, a vector named `weight` (of a norm) as ones, any other vector (a bias) as zeros.
fn by_role(path: &str, shape: &[usize], matrix: Init) -> Init {
    match (shape.len(), path.rsplit('.').next()) {
        (1, Some("weight")) => Init::Constant(1.0),
        (1, _) => Init::Constant(0.0),
        _ => matrix,
    }
}

struct ByKey<K, R> {
    seed: u64,
    key: K,
    rule: R,
    path: Vec<String>,
}

impl<K: Fn(&str) -> String, R: Fn(&str, &[usize]) -> Init> ModuleMapper for ByKey<K, R> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let part = parts::part_of(&path);
        if parts::is_left_out(&param) || part == Part::None {
            return parts::left_out(param);
        }
        let shape = param.lazy_shape();
        let key = Key::new(self.seed, Purpose::Weights, &(self.key)(&path));
        let draw = |element: u64, init: Init| {
            let mut stream = Stream::new(key, element);
            match init {
                Init::Keep | Init::Constant(_) => unreachable!("drawn elements only"),
                Init::Uniform { bound } => bound * (2.0 * stream.uniform() - 1.0),
                Init::Normal { std } => std * stream.normal(),
                Init::TruncatedNormal { std } => std * stream.truncated_normal(-2.0, 2.0),
            }
        };
        let n_elements = shape.num_elements();
        let values: Vec<f32> = match (self.rule)(&path, &shape) {
            Init::Keep => return param,
            Init::Constant(value) => vec![value as f32; n_elements],
            init => (0..n_elements as u64).into_par_iter().map(|element| draw(element, init) as f32).collect(),
        };
        let id = param.id;
        let tensor = Tensor::from_data(part.of(TensorData::new(values, shape)), &param.lazy_device());
        param.transform_for_load(tensor, id)
    }
}
