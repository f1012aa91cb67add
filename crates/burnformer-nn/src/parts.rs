//! The parameters of a model that this process holds, where several processes share one model.
//!
//! As precision and activation checkpointing, it is a choice of the thread: what initialises and loads models follows it.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use burnformer_core::collective::share_of;
use std::cell::RefCell;
use std::sync::Arc;

/// What this process holds of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The whole parameter.
    All,
    /// The [share](burnformer_core::collective::share_of) that the rank `rank` of `size` has in the rows of an axis.
    Share {
        /// The axis.
        axis: usize,
        /// The number of the rank.
        rank: usize,
        /// The number of ranks.
        size: usize,
    },
    /// Nothing: a tensor without elements stands in for it, which is not trained.
    None,
}

impl Part {
    /// The shape of this part of a parameter of the shape `whole`.
    ///
    /// # Panics
    /// If the parameter lacks the axis.
    #[must_use]
    pub fn shape(&self, whole: &[usize]) -> Vec<usize> {
        match *self {
            Self::All => whole.to_vec(),
            Self::None => vec![0; whole.len()],
            Self::Share { axis, rank, size } => {
                let mut shape = whole.to_vec();
                shape[axis] = share_of(rank, size, whole[axis]).len();
                shape
            }
        }
    }

    /// This part of the values of a parameter, of type f32; copied, so that the rest can be given back.
    ///
    /// # Panics
    /// If the parameter lacks the axis, or has another type.
    #[must_use]
    pub fn of(&self, whole: TensorData) -> TensorData {
        let Self::Share { axis, rank, size } = *self else {
            return if *self == Self::All {
                whole
            } else {
                TensorData::new(Vec::<f32>::new(), self.shape(whole.shape()))
            };
        };
        let n_rows = whole.shape()[axis];
        let n_inner: usize = whole.shape()[axis + 1..].iter().product();
        let rows = share_of(rank, size, n_rows);
        let values = whole.as_slice::<f32>().expect("parameters are of type f32");
        let blocks = values.chunks_exact((n_rows * n_inner).max(1));
        let part: Vec<f32> =
            blocks.flat_map(|block| &block[rows.start * n_inner..rows.end * n_inner]).copied().collect();
        TensorData::new(part, self.shape(whole.shape()))
    }
}

/// What a process holds of the parameter at each path (`bert.encoder.layers.0.norm_ff.weight`).
#[derive(Clone)]
pub struct Parts(Arc<dyn Fn(&str) -> Part + Send + Sync>);

thread_local! {
    static CURRENT: RefCell<Option<Parts>> = const { RefCell::new(None) };
}

impl Parts {
    /// The parts that `part_of` gives a path.
    pub fn new(part_of: impl Fn(&str) -> Part + Send + Sync + 'static) -> Self {
        Self(Arc::new(part_of))
    }

    /// The part of the parameter at `path`.
    #[must_use]
    pub fn part_of(&self, path: &str) -> Part {
        (self.0)(path)
    }

    /// The parts of `other` that are not left out here.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(move |path| if self.part_of(path) == Part::None { Part::None } else { other.part_of(path) })
    }

    /// Calls `body`, in which models that are initialised or loaded on this thread have these parts alone; the memory of the
    /// rest is never taken.
    pub fn within<R>(&self, body: impl FnOnce() -> R) -> R {
        /// Restores the former parts when dropped, also during a panic.
        struct Restore(Option<Parts>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _before = Restore(CURRENT.replace(Some(self.clone())));
        body()
    }
}

/// What models on this thread get of the parameter at `path`.
#[must_use]
pub fn part_of(path: &str) -> Part {
    CURRENT.with_borrow(|parts| parts.as_ref().map_or(Part::All, |parts| parts.part_of(path)))
}

/// `param` without elements, which is not trained.
#[must_use]
pub fn left_out<const D: usize>(param: Param<Tensor<D>>) -> Param<Tensor<D>> {
    let (id, device) = (param.id, param.lazy_device());
    let param = param.transform_for_load(Tensor::zeros([0; D], &device), id);
    param.set_require_grad(false)
}

/// `true` if this process holds nothing of `param`.
#[must_use]
pub fn is_left_out<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    param.lazy_shape().num_elements() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayerConfig, StackConfig, init};
    use burn::module::{Module, ModuleVisitor};
    use burnformer_ops::DeviceChoice;

    #[test]
    fn shares_follow_one_another() {
        let whole = TensorData::new((0..15_u8).map(f32::from).collect::<Vec<_>>(), [3, 5]);
        let share = |axis, rank| Part::Share { axis, rank, size: 2 }.of(whole.clone());
        assert_eq!(share(0, 0), TensorData::new((0..5_u8).map(f32::from).collect::<Vec<_>>(), [1, 5]));
        assert_eq!(share(1, 0), TensorData::new(vec![0.0_f32, 1.0, 5.0, 6.0, 10.0, 11.0], [3, 2]));
        assert_eq!(share(1, 1).shape().as_slice(), [3, 3]);
        assert_eq!(Part::All.of(whole.clone()), whole);
        assert_eq!(Part::None.of(whole).shape().as_slice(), [0, 0]);
    }

    #[derive(Default)]
    struct Seen(Vec<(String, usize, bool)>, Vec<String>);

    impl ModuleVisitor for Seen {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.1.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.1.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            assert!(param.is_initialized(), "{}", self.1.join("."));
            self.0.push((self.1.join("."), param.shape().num_elements(), param.is_require_grad()));
        }
    }

    #[test]
    fn what_is_left_out_has_no_elements_and_is_not_trained() {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let stack =
            || init::by_name(StackConfig::new(2, LayerConfig::new(12, 3, 20)).init(&device), 7, init::xavier_uniform);
        let seen = |stack: &crate::Stack| {
            let mut seen = Seen::default();
            stack.visit(&mut seen);
            seen.0
        };
        let parts = Parts::new(|path| if path.starts_with("layers.1.") { Part::All } else { Part::None });
        let (whole, part) = (stack(), parts.within(stack));
        assert_eq!(part_of("layers.0.norm_ff.weight"), Part::All, "behind the scope");
        for ((path, whole, _), (_, part, is_trained)) in seen(&whole).into_iter().zip(seen(&part)) {
            let is_held = path.starts_with("layers.1.");
            assert_eq!((part, is_trained), (if is_held { whole } else { 0 }, is_held), "{path}");
        }
        // Copies without tracking, and with it again, hold no more.
        let n_elements = |stack| seen(stack).iter().map(|it| it.1).sum::<usize>();
        assert_eq!(n_elements(&part.clone().valid()), n_elements(&part));
    }
}
