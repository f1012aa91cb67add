//! Weights of any module.

use crate::support::{device, devices, norm, values};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use burnformer_models::weights::{self, Part, Place, Weights};
use burnformer_models::{ModelError, stats};
use burnformer_nn::{DropoutRng, FeedForwardConfig, Linear, LinearConfig, init};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::Path;

fn linear(seed: u64) -> Linear {
    init::by_name(LinearConfig::new(3, 5).init(&device()), seed, init::normal(1.0))
}

/// A file with `weight` of this type, 1.5, 2.5, … and a bias of zeros.
fn write(path: &Path, dtype: Dtype, number: impl Fn(f32) -> Vec<u8>) {
    let bytes: Vec<u8> = (1..=15).flat_map(|i| number(i as f32 + 0.5)).collect();
    let weight = TensorView::new(dtype, vec![5, 3], &bytes).unwrap();
    let bias = TensorView::new(Dtype::F32, vec![5], &[0; 20]).unwrap();
    safetensors::serialize_to_file([("weight", weight), ("bias", bias)], None, path).unwrap();
}

#[test]
fn half_precision_becomes_single() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half.safetensors");
    let check = || {
        for device in devices() {
            let linear = weights::load(LinearConfig::new(3, 5).init(&device), str::to_owned, |_| false, &path).unwrap();
            let expected: Vec<f64> = (1..=15).map(|i| f64::from(i) + 0.5).collect();
            assert_eq!(values(linear.weight.val()), expected);
        }
    };
    write(&path, Dtype::F32, |x| x.to_le_bytes().to_vec());
    check();
    write(&path, Dtype::F16, |x| f16::from_f32(x).to_le_bytes().to_vec());
    check();
    write(&path, Dtype::BF16, |x| bf16::from_f32(x).to_le_bytes().to_vec());
    check();
}

#[test]
fn any_module_is_read_as_it_was_written_on_any_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let rename = |path: &str| format!("model.{path}");
    for device in devices() {
        let module = init::by_name(FeedForwardConfig::new(3, 5).init(&device.clone().autodiff()), 1, init::normal(1.0));
        weights::save(&module, rename, Vec::new(), &path).unwrap();
        for other in devices() {
            let again = weights::load(FeedForwardConfig::new(3, 5).init(&other), rename, |_| false, &path).unwrap();
            let x = Tensor::<3>::ones([1, 2, 3], &other);
            let expected = Tensor::<3>::ones([1, 2, 3], &device.clone().autodiff());
            let difference = norm(
                values(again.forward(x, DropoutRng::off()))
                    .iter()
                    .zip(values(module.forward(expected, DropoutRng::off())))
                    .map(|(x, y)| x - y),
            );
            assert!(difference < 1e-5, "{difference:e}");
        }
    }
}

#[test]
fn a_loaded_parameter_trains_on_an_autodiff_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    weights::save(&linear(1), str::to_owned, Vec::new(), &path).unwrap();
    for device in devices() {
        let device = device.autodiff();
        let linear = weights::load(LinearConfig::new(3, 5).init(&device), str::to_owned, |_| false, &path).unwrap();
        let grads = linear.forward(Tensor::<2>::ones([2, 3], &device)).sum().backward();
        assert_eq!(values(linear.weight.val().grad(&grads).unwrap()), [2.0; 15]);
    }
}

#[test]
fn extra_tensors_lie_behind_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let extra = vec![
        ("moment".to_owned(), TensorData::from([0.5_f64, 1.5])),
        ("step".to_owned(), TensorData::from([i32::MIN, i32::MAX])),
    ];
    weights::save(&linear(1), str::to_owned, extra, &path).unwrap();
    let mut file = Weights::open(&path).unwrap();
    assert_eq!(file.names(), ["weight", "bias", "moment", "step"]);
    assert_eq!(file.read("moment").unwrap(), TensorData::from([0.5_f32, 1.5]));
    let bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let step = tensors.tensor("step").unwrap();
    let expected: Vec<u8> = [i64::from(i32::MIN), i64::from(i32::MAX)].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!((step.dtype(), step.data()), (Dtype::I64, expected.as_slice()));

    let again = weights::load(linear(2), str::to_owned, |name| ["moment", "step"].contains(&name), &path).unwrap();
    assert_eq!(values(again.weight.val()), values(linear(1).weight.val()));
    let error = weights::load(linear(2), str::to_owned, |name| name == "step", &path).unwrap_err();
    assert!(matches!(error, ModelError::WeightNames { left_over, .. } if left_over == ["moment"]));
}

#[test]
#[should_panic(expected = "weights: two tensors are named `x`")]
fn two_parameters_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _ = weights::save(&linear(1), |_| "x".to_owned(), Vec::new(), &folder.path().join("weights.safetensors"));
}

/// What `Conv1D` of GPT-2 has for queries, keys and values: one matrix `[d_in, 3 * d_out]`, one bias.
#[test]
fn parameters_share_a_transposed_weight() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let linears = |seed: u64| -> Vec<Linear> {
        let linear = |part: u64| init::by_name(LinearConfig::new(3, 2).init(&device()), seed + part, init::normal(1.0));
        (0..3).map(linear).collect()
    };
    let place = |path: &str| {
        let (index, name) = path.split_once('.').unwrap();
        Place { name: name.to_owned(), part: Some(Part { index: index.parse().unwrap(), of: 3 }), transposed: true }
    };
    let written = linears(1);
    weights::save(&written, place, Vec::new(), &path).unwrap();
    let mut file = Weights::open(&path).unwrap();
    assert_eq!(file.names(), ["weight", "bias"]);
    assert_eq!((file.shape("weight").unwrap(), file.shape("bias").unwrap()), ([3, 6].as_slice(), [6].as_slice()));
    let rows: Vec<Vec<f64>> = written.iter().map(|linear| values(linear.weight.val())).collect();
    let stored: Vec<f64> = file.read("weight").unwrap().iter::<f64>().collect();
    for (index, found) in stored.into_iter().enumerate() {
        let (row, column) = (index / 6, index % 6);
        assert_eq!(found, rows[column / 2][column % 2 * 3 + row], "{row}, {column}");
    }
    let again = weights::load(linears(7), place, |_| false, &path).unwrap();
    for (found, expected) in again.iter().zip(&written) {
        assert_eq!(values(found.weight.val()), values(expected.weight.val()));
        assert_eq!(values(found.bias.as_ref().unwrap().val()), values(expected.bias.as_ref().unwrap().val()));
    }
    let few = weights::load(linears(7), |path| Place { part: None, ..place(path) }, |_| false, &path).unwrap_err();
    assert!(matches!(few, ModelError::WrongShape { found, expected, .. } if found == [3, 6] && expected == [3, 2]));
    let name = |path: &str| Place { name: format!("{}.other", place(path).name), ..place(path) };
    let missing = weights::load(linears(7), name, |_| true, &path).unwrap_err();
    assert!(matches!(missing, ModelError::WeightNames { missing, .. } if missing == ["weight.other", "bias.other"]));
}

#[test]
#[should_panic(expected = "weights: `weight` lacks a part")]
fn a_weight_without_all_its_parts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |path: &str| Place { part: Some(Part { index: 0, of: 2 }), ..Place::from(path.to_owned()) };
    let _ = weights::save(&linear(1), place, Vec::new(), &folder.path().join("weights.safetensors"));
}

/// NaN and both infinities, in any type, also where a weight is part of another: an error names the weight and its file.
#[test]
fn a_weight_that_is_not_finite_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let load = |path: &Path| weights::load(linear(2), str::to_owned, |_| false, path);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let with_bad = |x: f32| if x == 4.5 || x == 15.5 { bad } else { x };
        write(&path, Dtype::F32, |x| with_bad(x).to_le_bytes().to_vec());
        let error = load(&path).unwrap_err();
        let file = path.display();
        let expected = format!(
            "weight `weight` in `{file}` has 2 of 15 values that are NaN or infinite: the file is \
                                damaged, or its training diverged"
        );
        assert_eq!(error.to_string(), expected);
        write(&path, Dtype::F16, |x| f16::from_f32(with_bad(x)).to_le_bytes().to_vec());
        assert!(matches!(load(&path), Err(ModelError::NotFiniteWeight { found: 2, of: 15, .. })));
        write(&path, Dtype::BF16, |x| bf16::from_f32(with_bad(x)).to_le_bytes().to_vec());
        assert!(matches!(load(&path), Err(ModelError::NotFiniteWeight { found: 2, of: 15, .. })));
        // As they are, for those who look at them.
        let found = Weights::open(&path).unwrap().read("weight").unwrap();
        assert_eq!(found.iter::<f32>().filter(|x| !x.is_finite()).count(), 2);
        let mean = folder.path().join("mean.safetensors");
        let error = weights::write_mean(&mut [Weights::open(&path).unwrap()], &mean).unwrap_err();
        assert!(matches!(error, ModelError::NotFiniteWeight { .. }), "{error}");
        assert!(!mean.exists());
    }
}

#[test]
fn a_file_that_cannot_be_written_or_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/weights.safetensors");
    let error = weights::save(&linear(1), str::to_owned, Vec::new(), &path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write `{}`", path.display()));
    let error = Weights::open(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read `{}`", path.display()));
}

#[test]
fn parameters_are_listed_in_the_order_of_their_fields() {
    let module = FeedForwardConfig::new(3, 5).init(&device());
    let expected = [
        ("linear_in.weight", vec![5, 3]),
        ("linear_in.bias", vec![5]),
        ("linear_out.weight", vec![3, 5]),
        ("linear_out.bias", vec![3]),
    ];
    assert_eq!(stats::parameters(&module), expected.map(|(path, shape)| (path.to_owned(), shape)));
    assert_eq!(stats::n_parameters(&module), module.num_params());
}
