//! Kernels for the GPU in CubeCL, which compiles them for the device when they first run.
//!
//! They take single precision, in which weights are trained; other types run the definitions. None uses subgroups,
//! which software renderers lack, or atomic sums, whose order differs from run to run.

mod dropout;
mod optimizer;
mod random;
mod sum;

pub(crate) use dropout::dropout;
pub(crate) use optimizer::adam;
pub(crate) use sum::sum_of_squares;

use crate::MaybeTensor;
use burn::backend::{DType, Shape, TensorMetadata};
use burn_wgpu::{CubeTensor, Wgpu};
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::{BufferArg, CubeCount, CubeDim, Scalar};

/// Whether kernels can take `x`.
fn is_usable(x: &CubeTensor) -> bool {
    x.dtype == DType::F32 && x.shape().num_elements() > 0
}

/// [`is_usable`] where there is a tensor; `true` where there is none.
fn is_maybe_usable(x: &MaybeTensor<Wgpu>) -> bool {
    match x {
        MaybeTensor::None => true,
        MaybeTensor::Some(x) => is_usable(x),
    }
}

/// `x` with its elements in order.
fn ordered(x: CubeTensor) -> CubeTensor {
    if x.is_contiguous() { x } else { copy(x) }
}

/// `x` with its elements in order and in memory that may be overwritten: its own, or a copy where others hold it too.
fn owned(x: CubeTensor) -> CubeTensor {
    if x.can_mut() { ordered(x) } else { copy(x) }
}

fn copy(x: CubeTensor) -> CubeTensor {
    let (client, device, dtype) = (x.client.clone(), x.device.clone(), x.dtype);
    let copy = cubecl::std::tensor::into_contiguous(&client, x.binding(), f32::elem_type_native());
    CubeTensor::new(client, copy.handle, *copy.metadata, device, dtype)
}

/// A tensor of `shape` with its elements in order, which are yet to be written, beside `x`.
fn empty(x: &CubeTensor, shape: Shape) -> CubeTensor {
    let handle = x.client.empty(shape.num_elements() * size_of::<f32>());
    CubeTensor::new_contiguous(x.client.clone(), x.device.clone(), shape, handle, x.dtype)
}

fn argument(x: &CubeTensor) -> BufferArg {
    x.clone().into_buffer_arg()
}

fn maybe_argument(x: MaybeTensor<Wgpu>) -> Option<BufferArg> {
    match x {
        MaybeTensor::None => None,
        MaybeTensor::Some(x) => Some(ordered(x).into_buffer_arg()),
    }
}

/// The launch of at least `n_units` units on the device of `x`.
fn grid(x: &CubeTensor, n_units: usize) -> (CubeCount, CubeDim) {
    let cube_dim = CubeDim::new(&x.client, n_units);
    (calculate_cube_count_elemwise(&x.client, n_units, cube_dim), cube_dim)
}
