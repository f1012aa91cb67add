//! An update writes into the memory of parameter and moments; nothing is copied.
#![allow(deprecated)] // burn deprecates `NdArray` in the last release that has it.
#![cfg(any(feature = "ndarray", feature = "flex"))]

use burn::backend::Shape;
use burn::backend::tensor::FloatTensor;
use burnformer_ops::{AdamOptions, AdamVariant, Host, MaybeTensor, TransformerOps};

const OPTIONS: AdamOptions = AdamOptions {
    variant: AdamVariant::AdamW,
    learning_rate: 0.1,
    beta_1: 0.9,
    beta_2: 0.99,
    eps: 1e-6,
    weight_decay: 0.1,
    step: 1,
};

fn check<B: Host>(update: impl Fn([FloatTensor<B>; 4]) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>)) {
    let filled = |x| B::give(vec![x; 600 * 70], Shape::new([600, 70]));
    let tensors = [1.0_f32, 0.5, 0.0, 0.0].map(filled);
    let place = |tensor: &FloatTensor<B>| B::read(tensor).as_ptr();
    let before = [0, 2, 3].map(|i| place(&tensors[i]));
    let (param, first, second) = update(tensors);
    assert_eq!([&param, &first, &second].map(place), before);
    assert!(B::read(&param).iter().all(|&x| x < 1.0) && B::read(&second).iter().all(|&x| x > 0.0));
}

fn all<B: Host>() {
    for variant in [AdamVariant::Adam, AdamVariant::AdamW, AdamVariant::Lamb { trust_ratio: true }] {
        let options = AdamOptions { variant, ..OPTIONS };
        check::<B>(|[p, g, m, v]| B::adam(p, g, m, v, MaybeTensor::None, options));
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_updates_in_place() {
    all::<burn::backend::NdArray>();
}

#[cfg(feature = "flex")]
#[test]
fn flex_updates_in_place() {
    all::<burn::backend::Flex>();
}

/// What somebody else holds stays as it is.
#[cfg(feature = "ndarray")]
#[test]
fn a_shared_parameter_is_copied() {
    type B = burn::backend::NdArray;
    let tensor = |x: f32| B::give(vec![x; 3], Shape::new([3]));
    let param = tensor(1.0);
    let held = param.clone();
    let (updated, ..) = B::adam(param, tensor(1.0), tensor(0.0), tensor(0.0), MaybeTensor::None, OPTIONS);
    assert_eq!(*B::read(&held), [1.0; 3]);
    assert!(B::read(&updated).iter().all(|&x| x < 1.0));
}
