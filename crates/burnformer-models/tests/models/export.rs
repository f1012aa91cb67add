//! Model folders written anew.

use crate::support::{BERT_FIXTURES, SEQ2SEQ_FIXTURES, device, fixture};
use burn::tensor::TensorData;
use burnformer_models::weights::{WeightType, Weights, save, write_as};
use burnformer_models::{Bert, Head, ModelClass, ModelError, Pretrained, Seq2Seq, Seq2SeqConfig, export, export_body};
use burnformer_nn::Linear;
use half::{bf16, f16};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_weight_becomes_its_nearest_value() {
    for name in BERT_FIXTURES.into_iter().chain(SEQ2SEQ_FIXTURES) {
        for (weight_type, dtype) in
            [(WeightType::F16, safetensors::Dtype::F16), (WeightType::BF16, safetensors::Dtype::BF16)]
        {
            let out = tempfile::tempdir().unwrap();
            export(&fixture(name), out.path(), weight_type, &device()).unwrap();
            assert_eq!(ModelClass::of(out.path()).unwrap(), ModelClass::of(&fixture(name)).unwrap());
            let (mut found, mut expected) =
                (Weights::in_folder(out.path()).unwrap(), Weights::in_folder(&fixture(name)).unwrap());
            let bytes = fs::read(out.path().join("model.safetensors")).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            assert!(tensors.tensors().iter().all(|(_, tensor)| tensor.dtype() == dtype));
            assert_eq!(found.names().len(), expected.names().len());
            for weight in expected.names() {
                // One has no use, and sinusoids are computed anew.
                if (name, weight.as_str()) == ("untied", "cls.predictions.bias") || weight.contains("embed_positions") {
                    continue;
                }
                let round = |x: f32| match weight_type {
                    WeightType::F16 => f16::from_f32(x).to_f32(),
                    _ => bf16::from_f32(x).to_f32(),
                };
                let rounded: Vec<f32> = expected.read(&weight).unwrap().iter::<f32>().map(round).collect();
                assert_eq!(found.read(&weight).unwrap().iter::<f32>().collect::<Vec<_>>(), rounded, "{name}: {weight}");
            }
        }
    }
}

/// The names of the matrices of integers in an exported folder.
fn integers(folder: &Path) -> Vec<String> {
    let bytes = fs::read(folder.join("model.int8.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let is_int8 = |name: &&str| tensors.tensor(name).unwrap().dtype() == safetensors::Dtype::I8;
    tensors.names().into_iter().filter(is_int8).map(str::to_owned).collect()
}

#[test]
fn matrices_become_integers_within_half_a_step_and_stay_as_they_are_from_then_on() {
    for name in BERT_FIXTURES.into_iter().chain(SEQ2SEQ_FIXTURES).chain(["gpt2"]) {
        let [out, again, back] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        export(&fixture(name), out.path(), WeightType::Int8, &device()).unwrap();
        assert!(!out.path().join("model.safetensors").exists(), "{name}: others would take integers for weights");
        assert_eq!(ModelClass::of(out.path()).unwrap(), ModelClass::of(&fixture(name)).unwrap());
        let integers = integers(out.path());
        assert!(integers.iter().any(|weight| weight.contains(".0.")), "{name}: {integers:?}");
        let mut found = Weights::in_folder(out.path()).unwrap();
        export(&fixture(name), back.path(), WeightType::F32, &device()).unwrap();
        let mut expected = Weights::in_folder(back.path()).unwrap();
        let sorted = |weights: &Weights| weights.names().into_iter().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&found), sorted(&expected), "{name}");
        for weight in expected.names() {
            let [found, expected] = [&mut found, &mut expected].map(|weights| weights.read(&weight).unwrap());
            assert_eq!(found.shape(), expected.shape(), "{name}: {weight}");
            let largest = expected.iter::<f32>().fold(0.0_f32, |largest, x| largest.max(x.abs()));
            let tolerance = if integers.contains(&weight) { 0.505 * largest / 127.0 } else { 0.0 };
            for (found, expected) in found.iter::<f32>().zip(expected.iter::<f32>()) {
                assert!((found - expected).abs() <= tolerance, "{name}: {weight}: {found}, {expected}");
            }
        }
        // Integers of integers are the same, and so are their products with the scales.
        let file = |folder: &Path| fs::read(folder.join("model.int8.safetensors")).unwrap();
        export(out.path(), again.path(), WeightType::Int8, &device()).unwrap();
        assert!(file(out.path()) == file(again.path()), "{name}");
        export(out.path(), again.path(), WeightType::F32, &device()).unwrap();
        let mut floats = Weights::in_folder(again.path()).unwrap();
        for weight in floats.names() {
            assert_eq!(floats.read(&weight).unwrap(), found.read(&weight).unwrap(), "{name}: {weight}");
        }
    }
}

/// Integers without scales that fit are no weights.
#[test]
fn integers_need_their_scales() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let write = |scale: &str| {
        let header = format!(
            r#"{{"x":{{"dtype":"I8","shape":[2,3],"data_offsets":[8,14]}},"x_scale":{{{scale},"data_offsets":[0,8]}}}}"#
        );
        let bytes = [&1.0_f32.to_le_bytes()[..], &2.0_f32.to_le_bytes(), &[127, 129, 0, 1, 2, 3]].concat();
        fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat()).unwrap();
        Weights::open(&path)
    };
    let mut weights = write(r#""dtype":"F32","shape":[2,1]"#).unwrap();
    assert_eq!(weights.names(), ["x"]);
    assert_eq!(weights.read("x").unwrap(), TensorData::from([[127.0_f32, -127.0, 0.0], [2.0, 4.0, 6.0]]));
    for scale in [r#""dtype":"F32","shape":[1,2]"#, r#""dtype":"F32","shape":[2]"#, r#""dtype":"F16","shape":[4,1]"#] {
        let error = write(scale).unwrap_err();
        assert!(matches!(error, ModelError::Scales { of: [2, 3], .. }), "{error}");
        assert!(error.to_string().contains("scales `x_scale`"), "{error}");
    }
}

#[test]
fn a_body_is_exported_from_under_any_head() {
    for name in BERT_FIXTURES {
        let out = tempfile::tempdir().unwrap();
        export_body(&fixture(name), out.path(), WeightType::F32, &device()).unwrap();
        assert_eq!(ModelClass::of(out.path()).unwrap().head(), Head::Body);
        let [found, expected] =
            [out.path(), &fixture(name)].map(|folder| Bert::load(folder, &device()).unwrap().config().clone());
        assert_eq!(found, expected);
        // Of these two the body has a pooler, and RoBERTa's classifier has what only looks like one.
        let has_pooler = Weights::in_folder(out.path()).unwrap().names().iter().any(|name| name.contains("pooler"));
        assert_eq!(has_pooler, ["pretraining", "classification"].contains(&name), "{name}");
        export(out.path(), out.path(), WeightType::BF16, &device()).unwrap();
    }
}

#[test]
fn a_number_that_a_type_cannot_hold_is_an_error_that_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let extra =
        vec![("small".to_owned(), TensorData::from([1.0_f32])), ("great".to_owned(), TensorData::from([1e5_f32]))];
    save(&Vec::<Linear>::new(), str::to_owned, extra, &path).unwrap();
    let before = fs::read(&path).unwrap();
    let error = write_as(&mut Weights::open(&path).unwrap(), WeightType::F16, &path).unwrap_err();
    let expected = format!(
        "weight `great` in `{}` has values beyond the range of `f16`: `bf16` has room for them",
        path.display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    write_as(&mut Weights::open(&path).unwrap(), WeightType::BF16, &path).unwrap();
}

#[test]
fn the_setting_that_no_class_of_transformers_has_is_named() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = Seq2SeqConfig { norm_eps: 1e-6, ..Seq2SeqConfig::load(&fixture("marian")).unwrap() };
    Seq2Seq::init(&config, 1, &device()).save(folder.path()).unwrap();
    let error = export(folder.path(), out.path(), WeightType::F32, &device()).unwrap_err();
    let ModelError::NoClass { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.to_string(), "`norm_eps` is 0.000001, expected 1e-5");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    let config: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(config["model_type"], json!("burnformer"));
}
