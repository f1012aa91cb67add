//! The parameters of a model that this process holds, where several processes share one model.
//!
//! As precision and activation checkpointing, it is a choice of the thread: what initialises and loads models follows it.

use burn::module::Param;
use burn::tensor::Tensor;
use std::cell::RefCell;
use std::sync::Arc;

/// What this process holds of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The whole parameter.
    All,
    /// Nothing: a tensor without elements stands in for it, which is not trained.
    None,
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
