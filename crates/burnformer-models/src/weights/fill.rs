//! Parameters of a module from a file of weights.

use super::{Place, Weights};
use crate::ModelError;
use burn::module::{ModuleMapper, Param};
use burn::tensor::Tensor;
use burnformer_nn::parts::{self, Part};

/// Sets the parameters of a module for whose path `place_of` returns a place, up to the first error.
pub(super) struct FillParameters<'a, F> {
    file: &'a mut Weights,
    place_of: F,
    path: Vec<String>,
    result: Result<(), ModelError>,
}

impl<'a, F> FillParameters<'a, F> {
    pub(super) fn new(file: &'a mut Weights, place_of: F) -> Self {
        Self { file, place_of, path: Vec::new(), result: Ok(()) }
    }

    pub(super) fn end(self) -> Result<(), ModelError> {
        self.result
    }
}

impl<F: Fn(&str) -> Option<Place>> ModuleMapper for FillParameters<'_, F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let part = parts::part_of(&path);
        if part == Part::None {
            return parts::left_out(param);
        }
        let Some(place) = (self.place_of)(&path) else { return param };
        if self.result.is_err() {
            return param;
        }
        let device = param.lazy_device();
        let file = &mut *self.file;
        let shared = file.shared_base(&place.name);
        let source = file.path.clone();
        let mut read = || Ok(Tensor::from_data(part.of(place.parameter(file.read_finite(&place.name)?)), &device));
        let tensor = match shared {
            Some(shared) => shared.weight(&source, &place, format!("{device:?}"), read),
            None => read(),
        };
        match tensor {
            Ok(tensor) => {
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.result = Err(error);
                param
            }
        }
    }
}
