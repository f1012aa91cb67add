//! Devices, fixtures, comparisons, and gradients by name.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Gradients, Int, Tensor, TensorData};
use burnformer_models::{BertConfig, BertInput, BertVariant};
use burnformer_nn::{Activation, DropoutRng};
use burnformer_ops::DeviceChoice;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every compiled backend. A wgpu build needs a driver to be tested: without one this panics with what to install.
pub(crate) fn devices() -> Vec<Device> {
    DeviceChoice::compiled().into_iter().map(open).collect()
}

/// The first of them, for tests that ask nothing of the backend.
pub(crate) fn device() -> Device {
    open(DeviceChoice::compiled()[0])
}

fn open(name: &str) -> Device {
    name.parse().and_then(DeviceChoice::open).unwrap_or_else(|error| panic!("{error}"))
}

/// A small model all of whose sizes differ, with dropout.
pub(crate) fn config() -> BertConfig {
    BertConfig {
        variant: BertVariant::Bert,
        vocab_size: 31,
        max_seq_length: 9,
        n_segments: 3,
        d_model: 20,
        n_layers: 2,
        n_heads: 4,
        d_ff: 23,
        activation: Activation::Gelu,
        dropout: 0.2,
        attention_dropout: 0.3,
        norm_eps: 1e-12,
        init_std: 0.3,
        pad_id: 3,
        tied_embeddings: true,
    }
}

/// The same of another variant.
pub(crate) fn config_of(variant: BertVariant) -> BertConfig {
    match variant {
        BertVariant::Bert => config(),
        BertVariant::Roberta | BertVariant::XlmRoberta | BertVariant::Camembert => {
            BertConfig { variant, n_segments: 1, norm_eps: 1e-5, ..config() }
        }
        BertVariant::DistilBert => BertConfig { variant, n_segments: 0, ..config() },
    }
}

/// Names of `n` classes.
pub(crate) fn labels(n: usize) -> Vec<String> {
    (0..n).map(|label| format!("label {label}")).collect()
}

/// Rows of tokens, the second half of each of segment 1.
pub(crate) fn input<const B: usize, const T: usize>(ids: [[i64; T]; B], device: &Device) -> BertInput {
    let segments = [std::array::from_fn::<_, T, _>(|t| i64::from(t >= T / 2)); B];
    BertInput { segments: Some(Tensor::from_data(segments, device)), ..BertInput::new(Tensor::from_data(ids, device)) }
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

pub(crate) fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// `‖found - expected‖ ≤ relative · ‖expected‖`; a NaN never passes.
#[track_caller]
pub(crate) fn assert_near(what: &str, found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    let difference = norm(found.iter().zip(expected).map(|(x, y)| x - y));
    let size = norm(expected.iter().copied());
    assert!(difference <= relative * size, "{what}: differs by {difference:e}, expected norm {size:e}");
}

/// Every element differs by no more than `absolute`; a NaN never passes.
#[track_caller]
pub(crate) fn assert_close(what: &str, found: &[f64], expected: &[f64], absolute: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    for (index, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!((x - y).abs() <= absolute, "{what}: element {index} is {x}, expected {y} within {absolute:e}");
    }
}

/// The gradient of every parameter, by its path; panics where there is none.
pub(crate) fn gradients<M: Module>(module: &M, grads: &Gradients) -> BTreeMap<String, Vec<f64>> {
    struct Visitor<'a> {
        path: Vec<String>,
        grads: &'a Gradients,
        found: BTreeMap<String, Vec<f64>>,
    }
    impl ModuleVisitor for Visitor<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let name = self.path.join(".");
            let gradient = param.val().grad(self.grads).unwrap_or_else(|| panic!("`{name}` gets no gradient"));
            self.found.insert(name, values(gradient));
        }
    }
    let mut visitor = Visitor { path: Vec::new(), grads, found: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// The folders of BERT and its variants.
pub(crate) const BERT_FIXTURES: [&str; 17] = [
    "pretraining",
    "classification",
    "untied",
    "roberta_masked_lm",
    "roberta_classification",
    "distilbert_masked_lm",
    "distilbert_classification",
    "token_classification",
    "roberta_token_classification",
    "distilbert_token_classification",
    "xlm_roberta_masked_lm",
    "xlm_roberta_classification",
    "camembert_masked_lm",
    "camembert_token_classification",
    "question_answering",
    "roberta_question_answering",
    "distilbert_question_answering",
];

/// The folders of encoder–decoders.
pub(crate) const SEQ2SEQ_FIXTURES: [&str; 3] = ["marian", "marian_separate", "pegasus"];

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// What transformers answered.
pub(crate) struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    pub(crate) fn open(folder: &Path) -> Self {
        Self { bytes: std::fs::read(folder.join("golden.safetensors")).unwrap() }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    /// The names that begin with `prefix`, without it.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let tensors = self.tensors();
        tensors.names().iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
    }

    pub(crate) fn floats(&self, name: &str) -> Vec<f64> {
        let tensors = self.tensors();
        let bytes = tensors.tensor(name).unwrap_or_else(|error| panic!("`{name}`: {error}")).data();
        bytes.as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect()
    }

    pub(crate) fn ints<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D, Int> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap();
        let ints: Vec<i64> = tensor.data().as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect();
        let shape: [usize; D] = tensor.shape().try_into().unwrap();
        Tensor::from_data(TensorData::new(ints, shape), device)
    }

    /// `true` marks padding.
    pub(crate) fn mask_pad(&self, device: &Device) -> Tensor<2, Bool> {
        let tensors = self.tensors();
        let mask = tensors.tensor("input.mask_pad").unwrap();
        let shape: [usize; 2] = mask.shape().try_into().unwrap();
        let mask = TensorData::new(mask.data().iter().map(|&byte| byte == 1).collect::<Vec<bool>>(), shape);
        Tensor::from_data(mask, device)
    }

    pub(crate) fn input(&self, device: &Device) -> BertInput {
        BertInput {
            ids: self.ints("input.ids", device),
            segments: Some(self.ints("input.segments", device)),
            mask_pad: Some(self.mask_pad(device)),
            rng: DropoutRng::off(),
        }
    }
}
