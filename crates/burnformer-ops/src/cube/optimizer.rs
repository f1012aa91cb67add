//! One update of one parameter: Adam, AdamW, LAMB.

use super::{argument, grid, is_maybe_usable, is_usable, maybe_argument, ordered, owned, sum_of_squares};
use crate::{AdamOptions, AdamVariant, MaybeTensor, reference};
use burn::backend::TensorMetadata;
use burn_wgpu::{CubeTensor, Wgpu};
use cubecl::prelude::*;

/// [`reference::adam`] in one launch, LAMB in four to six. Parameter and moments are overwritten, and LAMB's gradient; those
/// that others hold are copied first.
pub(crate) fn adam(
    param: CubeTensor,
    grad: CubeTensor,
    first: CubeTensor,
    second: CubeTensor,
    scale: MaybeTensor<Wgpu>,
    options: AdamOptions,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    if !are_usable([&param, &grad, &first, &second], &scale) {
        return reference::adam::<Wgpu>(param, grad, first, second, scale, options);
    }
    match options.variant {
        AdamVariant::Adam => update(param, grad, first, second, scale, settings(&options, options.weight_decay, 1.0)),
        // Without the trust ratio LAMB is AdamW, whose decay joins the same direction.
        AdamVariant::AdamW | AdamVariant::Lamb { trust_ratio: false } => {
            let shrinkage = 1.0 - options.learning_rate * options.weight_decay;
            update(param, grad, first, second, scale, settings(&options, 0.0, shrinkage))
        }
        AdamVariant::Lamb { trust_ratio: true } => lamb(param, grad, first, second, scale, &options),
    }
}

fn lamb(
    param: CubeTensor,
    grad: CubeTensor,
    first: CubeTensor,
    second: CubeTensor,
    scale: MaybeTensor<Wgpu>,
    options: &AdamOptions,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [param, direction, first, second] = [param, grad, first, second].map(owned);
    let n = param.shape().num_elements();
    let (cube_count, cube_dim) = grid(&param, n);
    direction_kernel::launch(
        &param.client,
        cube_count.clone(),
        cube_dim,
        argument(&param),
        argument(&direction),
        argument(&first),
        argument(&second),
        maybe_argument(scale).into(),
        n,
        settings(options, options.weight_decay, 1.0),
    );
    let param_squares = sum_of_squares(param.clone());
    let direction_squares = sum_of_squares(direction.clone());
    trust_kernel::launch(
        &param.client,
        cube_count,
        cube_dim,
        argument(&param),
        argument(&direction),
        argument(&param_squares),
        argument(&direction_squares),
        n,
        options.learning_rate as f32,
    );
    (param, first, second)
}

fn are_usable(tensors: [&CubeTensor; 4], scale: &MaybeTensor<Wgpu>) -> bool {
    tensors.into_iter().all(is_usable) && is_maybe_usable(scale)
}

fn update(
    param: CubeTensor,
    grad: CubeTensor,
    first: CubeTensor,
    second: CubeTensor,
    scale: MaybeTensor<Wgpu>,
    adam: AdamLaunch,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let grad = ordered(grad);
    let [param, first, second] = [param, first, second].map(owned);
    let n = param.shape().num_elements();
    let (cube_count, cube_dim) = grid(&param, n);
    adam_kernel::launch(
        &param.client,
        cube_count,
        cube_dim,
        argument(&param),
        argument(&grad),
        argument(&first),
        argument(&second),
        maybe_argument(scale).into(),
        n,
        adam,
    );
    (param, first, second)
}

/// [`AdamOptions`] as the kernels use them. What is close to 1 is subtracted from it in double precision, on the host.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Adam {
    learning_rate: f32,
    beta_1: f32,
    beta_2: f32,
    one_minus_beta_1: f32,
    one_minus_beta_2: f32,
    correction_1: f32,
    correction_2: f32,
    eps: f32,
    /// The multiple of the parameter that Adam adds to the gradient and LAMB to the direction.
    decay: f32,
    /// What AdamW multiplies the parameter by.
    shrinkage: f32,
}

fn settings(options: &AdamOptions, decay: f64, shrinkage: f64) -> AdamLaunch {
    let [correction_1, correction_2] = options.bias_corrections();
    AdamLaunch::new(
        options.learning_rate as f32,
        options.beta_1 as f32,
        options.beta_2 as f32,
        (1.0 - options.beta_1) as f32,
        (1.0 - options.beta_2) as f32,
        correction_1 as f32,
        correction_2 as f32,
        options.eps as f32,
        decay as f32,
        shrinkage as f32,
    )
}

#[cube(launch)]
fn adam_kernel(
    param: &mut [f32],
    grad: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    scale: ComptimeOption<&[f32]>,
    n: usize,
    adam: Adam,
) {
    let at = ABSOLUTE_POS;
    if at < n {
        let value = param[at];
        let gradient = scaled(grad[at], scale) + adam.decay * value;
        let direction = direction(gradient, at, first, second, &adam);
        param[at] = adam.shrinkage * value - adam.learning_rate * direction;
    }
}

/// Leaves LAMB's direction where the gradient was.
#[cube(launch)]
fn direction_kernel(
    param: &[f32],
    grad: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    scale: ComptimeOption<&[f32]>,
    n: usize,
    adam: Adam,
) {
    let at = ABSOLUTE_POS;
    if at < n {
        let gradient = scaled(grad[at], scale);
        grad[at] = direction(gradient, at, first, second, &adam) + adam.decay * param[at];
    }
}

/// A step along LAMB's direction, as long as the parameter.
#[cube(launch)]
fn trust_kernel(
    param: &mut [f32],
    direction: &[f32],
    param_squares: &[f32],
    direction_squares: &[f32],
    n: usize,
    learning_rate: f32,
) {
    let at = ABSOLUTE_POS;
    if at < n {
        let param_norm = param_squares[0].sqrt();
        let direction_norm = direction_squares[0].sqrt();
        let is_unusable = param_norm == 0.0 || direction_norm == 0.0;
        let ratio = select(is_unusable, 1.0, param_norm / direction_norm);
        param[at] -= learning_rate * ratio * direction[at];
    }
}

#[cube]
fn scaled(gradient: f32, scale: ComptimeOption<&[f32]>) -> f32 {
    #[comptime]
    match scale {
        ComptimeOption::Some(scale) => gradient * scale[0],
        ComptimeOption::None => gradient,
    }
}

/// Updates the moments of element `at` and returns Adam's direction.
#[cube]
fn direction(gradient: f32, at: usize, first: &mut [f32], second: &mut [f32], adam: &Adam) -> f32 {
    let mean = adam.beta_1 * first[at] + adam.one_minus_beta_1 * gradient;
    let square = adam.beta_2 * second[at] + adam.one_minus_beta_2 * (gradient * gradient);
    first[at] = mean;
    second[at] = square;
    mean / adam.correction_1 / ((square / adam.correction_2).sqrt() + adam.eps)
}
