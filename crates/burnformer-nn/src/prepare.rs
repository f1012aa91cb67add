//! Modules for inference alone, whose weights are laid out once for all products.

use burn::module::{Module, ModuleVisitor, Param, Reparameterization, Reparameterizer};
use burn::tensor::Tensor;
use burnformer_ops::{PrepareError, Prepared, WeightFormat, is_on_host};
use std::collections::BTreeMap;

/// The last name in the path of a prepared weight.
const NAME: &str = "prepared";

/// Lays out the weights of a module for the products of this processor, once: those of every [`Linear`](crate::Linear) map, and
/// the [tables](crate::Embedding) at whose paths `is_output` is `true`, which give logits. Outputs are those of the module before
/// but for rounding. With [`WeightFormat::Int8`], maps outside of layers stay `f32`: those of heads are cheap, and what they round
/// is not averaged by layers behind them.
///
/// The module is for inference from then on: prepared maps give up the weights they were made of, and what would save or train
/// them panics. Tables keep theirs for looking up. Weights with an [adapter](crate::Lora) stay as they are, and so do all
/// of a module on a GPU, whose products lay out [`WeightFormat::F32`] themselves.
///
/// # Errors
/// If the processor or the device has no products of this type.
pub fn prepare<M: Module>(
    module: M,
    format: WeightFormat,
    is_output: impl Fn(&str) -> bool,
) -> Result<M, PrepareError> {
    let mut found = Found { format, is_output, path: Vec::new(), weights: BTreeMap::new() };
    module.visit(&mut found);
    let mut result = Ok(());
    let module = module.apply_reparameterization(Attach { format, weights: found.weights, result: &mut result });
    result.map(|()| module)
}

/// `true` if some weights of the module are [prepared](prepare), so that it can be neither saved nor trained.
pub fn is_prepared<M: Module>(module: &M) -> bool {
    struct Seen(bool);
    impl ModuleVisitor for Seen {
        fn enter_module(&mut self, name: &str, container_type: &str) {
            self.0 |= is_marker(name, container_type);
        }
    }
    let mut seen = Seen(false);
    module.visit(&mut seen);
    seen.0
}

/// The prepared form of a parameter, if it has one.
pub(crate) fn prepared(param: &Param<Tensor<2>>) -> Option<&Prepared> {
    param.reparameterization::<Layout>().map(|layout| &layout.weight)
}

fn is_marker(name: &str, container_type: &str) -> bool {
    name == NAME && container_type == "Reparameterization"
}

/// A prepared weight, attached to the parameter that it was made of.
#[derive(Module, Debug)]
struct Layout {
    #[module(skip)]
    weight: Prepared,
}

impl Reparameterization for Layout {
    const NAME: &'static str = NAME;

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base
    }
}

/// What becomes of the parameter of a prepared weight.
#[derive(Clone, Copy)]
enum Fate {
    /// A table is for looking up too.
    Stays,
    GivenUp,
}

/// Finds the weights that are multiplied, by path.
struct Found<F> {
    format: WeightFormat,
    is_output: F,
    /// Names, and the types of modules that have them.
    path: Vec<(String, String)>,
    weights: BTreeMap<String, (Fate, WeightFormat)>,
}

impl<F> Found<F> {
    fn joined(&self) -> String {
        self.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }
}

impl<F: Fn(&str) -> bool> ModuleVisitor for Found<F> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == "Reparameterization" {
            // An adapter, or prepared before.
            self.weights.remove(&self.joined());
        }
        self.path.push((name.to_owned(), container_type.to_owned()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        let path = self.joined();
        let is_in_layer = self.path.iter().any(|(_, container)| container == "Struct:Layer");
        let of_head = if self.format == WeightFormat::Int8 { WeightFormat::F32 } else { self.format };
        let fate = match self.path.last().map(|(_, container)| container.as_str()) {
            Some("Struct:Linear") if D == 2 => (Fate::GivenUp, if is_in_layer { self.format } else { of_head }),
            Some("Struct:Embedding") if D == 2 && (self.is_output)(&path) => (Fate::Stays, self.format),
            _ => return,
        };
        self.weights.insert(path, fate);
    }
}

struct Attach<'a> {
    /// What was asked for; [`Self::weights`] have that of each.
    format: WeightFormat,
    weights: BTreeMap<String, (Fate, WeightFormat)>,
    result: &'a mut Result<(), PrepareError>,
}

impl Reparameterizer for Attach<'_> {
    type Reparam = Layout;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Layout>) {
        let Some(&(fate, format)) = self.weights.get(path).filter(|_| self.result.is_ok()) else {
            return (param, None);
        };
        let (shape, device) = (param.lazy_shape(), param.lazy_device());
        let [d_out, d_in] = shape.as_slice()[..] else { return (param, None) };
        let is_elsewhere = !is_on_host(&device);
        if is_elsewhere && self.format != WeightFormat::F32 {
            *self.result = Err(PrepareError::Device(self.format));
        }
        if is_elsewhere || shape.num_elements() == 0 {
            return (param, None);
        }
        let (param, weight) = match fate {
            Fate::Stays => {
                let weight = param.val();
                (param, weight)
            }
            Fate::GivenUp => {
                let (id, weight, _) = param.consume();
                let message = format!("`{path}` was given up when the model was prepared for inference");
                let none = Param::uninitialized(id, move |_, _| panic!("{message}"), device, false, shape);
                (none, weight)
            }
        };
        match Prepared::new(weight.inner().reshape([d_out, d_in]), format) {
            Ok(weight) => (param, Some(Layout { weight })),
            Err(error) => {
                *self.result = Err(error);
                (param, None)
            }
        }
    }
}
