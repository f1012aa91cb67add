//! Model folders written anew.

use crate::support::{BERT_FIXTURES, SEQ2SEQ_FIXTURES, device, fixture};
use burn::tensor::TensorData;
use burnformer_models::weights::{WeightType, Weights, save, write_as};
use burnformer_models::{Bert, Head, ModelClass, ModelError, Pretrained, Seq2Seq, Seq2SeqConfig, export, export_body};
use burnformer_nn::Linear;
use half::{bf16, f16};
use serde_json::{Value, json};
use std::fs;

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
