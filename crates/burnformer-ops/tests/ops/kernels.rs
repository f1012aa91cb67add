//! The GPU's own kernels against the definitions, in the cases that are particular to kernels: sizes beside and beyond
//! one launch's units, elements out of order in memory, and whose memory is overwritten.

use crate::support::{assert_close, normal};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{FloatDType, TensorData, TensorMetadata, Wgpu, read_sync};
use burnformer_core::random::DropoutRng;
use burnformer_ops::{AdamOptions, AdamVariant, Dropout, MaybeTensor, TransformerOps, reference};

type Float = FloatTensor<Wgpu>;

fn from_values(values: Vec<f32>, shape: &[usize]) -> Float {
    Wgpu::float_from_data(TensorData::new(values, shape), &Device::<Wgpu>::default())
}

fn float(name: &str, shape: &[usize]) -> Float {
    from_values(normal(name, shape.iter().product()).into_iter().map(|x| x as f32).collect(), shape)
}

/// A tensor of `shape` whose last two axes lie in memory in the other order.
fn swapped(name: &str, shape: &[usize]) -> Float {
    let mut stored = shape.to_vec();
    let rank = shape.len();
    stored.swap(rank - 2, rank - 1);
    let x = Wgpu::float_swap_dims(float(name, &stored), rank - 2, rank - 1);
    assert!(!x.is_contiguous());
    x
}

fn values(x: Float) -> Vec<f64> {
    read_sync(Wgpu::float_into_data(x)).expect("the tensor can be read").iter::<f64>().collect()
}

fn dropout(samples: &[u64]) -> Dropout {
    Dropout::new(0.4, DropoutRng::training(3, samples)).unwrap()
}

#[test]
fn dropout_draws_the_hosts_numbers_for_every_shape() {
    let samples = [5, 1 << 40, u64::MAX];
    for shape in [&[3, 1][..], &[3, 8], &[3, 5, 6], &[3, 2, 4, 9], &[3, 2, 3, 4, 8], &[3, 70, 130], &[3, 2, 90, 64]] {
        let options = dropout(&samples);
        let (rows, planes) = match shape {
            [_, _] => (1, 1),
            [_, planes @ .., rows, _] => (*rows, planes.iter().product()),
            _ => unreachable!("every shape has two axes"),
        };
        let expected = options.draw.multipliers([3, planes, rows, shape[shape.len() - 1]], 0.4);
        let ones = from_values(vec![1.0; expected.len()], shape);
        let found = values(Wgpu::dropout(ones, MaybeTensor::None, options));
        assert_eq!(found, expected.into_iter().map(f64::from).collect::<Vec<_>>(), "{shape:?}");
    }
}

#[test]
fn dropout_takes_elements_out_of_order() {
    for shape in [&[2, 6, 7][..], &[2, 3, 5, 8]] {
        for (x, residual) in [(swapped("x", shape), float("r", shape)), (float("x", shape), swapped("r", shape))] {
            let residual = MaybeTensor::Some(residual);
            let expected = reference::dropout::<Wgpu>(x.clone(), residual.clone(), dropout(&[1, 2]));
            let found = Wgpu::dropout(x, residual, dropout(&[1, 2]));
            assert_close(&format!("{shape:?}"), &values(found), &values(expected), 1e-6);
        }
    }
}

#[test]
fn kernels_leave_other_types_to_the_definitions() {
    let half = |name| Wgpu::float_cast(float(name, &[2, 6, 8]), FloatDType::F16);
    let expected = reference::dropout::<Wgpu>(half("x"), MaybeTensor::Some(half("r")), dropout(&[1, 2]));
    let found = Wgpu::dropout(half("x"), MaybeTensor::Some(half("r")), dropout(&[1, 2]));
    assert_eq!(found.dtype(), expected.dtype());
    assert_eq!(values(found), values(expected));
}

#[test]
fn sums_of_squares_are_right_and_repeat_bit_by_bit_at_every_size() {
    // One launch up to 4096 elements, two beyond; from 2^20 on a unit adds more than 16.
    for n in [1, 255, 257, 4096, 4097, 70_000, 1_100_003] {
        let x = float("x", &[n]);
        let [first, second] = [0, 1].map(|_| values(Wgpu::sum_of_squares(x.clone())));
        assert_eq!(first, second);
        let expected: f64 = values(x).into_iter().map(|x| x * x).sum();
        assert_close(&format!("{n} elements"), &first, &[expected], 1e-6 * expected);
    }
    let x = swapped("x", &[90, 70]);
    let expected: f64 = values(x.clone()).into_iter().map(|x| x * x).sum();
    assert_close("swapped", &values(Wgpu::sum_of_squares(x)), &[expected], 1e-6 * expected);
}

const ADAM: AdamOptions = AdamOptions {
    variant: AdamVariant::Adam,
    learning_rate: 0.05,
    beta_1: 0.9,
    beta_2: 0.98,
    eps: 1e-6,
    weight_decay: 0.1,
    step: 3,
};

#[derive(Clone)]
struct Arguments {
    param: Float,
    grad: Float,
    first: Float,
    second: Float,
    scale: MaybeTensor<Wgpu>,
}

impl Arguments {
    /// Arguments of an update in the middle of training; `of` makes a tensor from a name and a shape.
    fn new(shape: &[usize], of: fn(&str, &[usize]) -> Float, scale: MaybeTensor<Wgpu>) -> Self {
        let root = of("root", shape);
        let second = Wgpu::float_mul(root.clone(), root);
        Self { param: of("param", shape), grad: of("grad", shape), first: of("first", shape), second, scale }
    }
}

const VARIANTS: [AdamVariant; 4] = [
    AdamVariant::Adam,
    AdamVariant::AdamW,
    AdamVariant::Lamb { trust_ratio: true },
    AdamVariant::Lamb { trust_ratio: false },
];

/// The kernel's update: parameter, first and second moment.
fn update(arguments: Arguments, variant: AdamVariant) -> (Float, Float, Float) {
    let Arguments { param, grad, first, second, scale } = arguments;
    Wgpu::adam(param, grad, first, second, scale, AdamOptions { variant, ..ADAM })
}

fn check_update(arguments: &Arguments, what: &str) {
    for variant in VARIANTS {
        let (name, options) = (format!("{variant:?}"), AdamOptions { variant, ..ADAM });
        let (param, first, second) = update(arguments.clone(), variant);
        let expected = {
            let Arguments { param, grad, first, second, scale } = arguments.clone();
            reference::adam::<Wgpu>(param, grad, first, second, scale, options)
        };
        for (output, found, expected) in
            [("param", param, expected.0), ("first", first, expected.1), ("second", second, expected.2)]
        {
            assert_eq!(found.shape(), expected.shape());
            assert_close(&format!("{name}, {what}: {output}"), &values(found), &values(expected), 1e-5);
        }
    }
}

#[test]
fn updates_equal_their_definitions_at_every_size_and_order() {
    for shape in [&[1][..], &[7], &[3, 5], &[2, 3, 4], &[210, 70]] {
        for scale in [MaybeTensor::None, MaybeTensor::Some(from_values(vec![0.3], &[1]))] {
            check_update(&Arguments::new(shape, float, scale), &format!("{shape:?}"));
        }
    }
    let in_order = Arguments::new(&[90, 70], float, MaybeTensor::None);
    check_update(&Arguments { grad: swapped("grad", &[90, 70]), ..in_order }, "swapped gradient");
    check_update(&Arguments::new(&[90, 70], swapped, MaybeTensor::None), "all swapped");
}

#[test]
fn updates_overwrite_only_what_nobody_else_holds() {
    for variant in VARIANTS {
        let arguments = Arguments::new(&[3, 5], float, MaybeTensor::None);
        let held = |arguments: &Arguments| {
            let Arguments { param, grad, first, second, .. } = arguments.clone();
            [param, grad, first, second].map(values)
        };
        let before = held(&arguments);
        let _ = values(update(arguments.clone(), variant).0);
        assert_eq!(held(&arguments), before, "{variant:?}");

        let memory = |x: &Float| x.handle.memory.clone().binding().id();
        let before = [&arguments.param, &arguments.first, &arguments.second].map(memory);
        let (param, first, second) = update(arguments, variant);
        assert_eq!([&param, &first, &second].map(memory), before, "{variant:?}");
    }
}

/// Clipping makes the factor NaN where the norm is not finite, so that training which has diverged shows.
#[test]
fn a_factor_that_is_not_a_number_reaches_every_parameter() {
    for variant in VARIANTS {
        let scale = MaybeTensor::Some(from_values(vec![f32::NAN], &[1]));
        let (param, ..) = update(Arguments::new(&[3, 5], float, scale), variant);
        assert!(values(param).into_iter().all(f64::is_nan), "{variant:?}");
    }
}
