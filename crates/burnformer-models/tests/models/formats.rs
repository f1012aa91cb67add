//! Weights in the files that transformers and PyTorch have written over the years.

use crate::support::{assert_close, device, fixture, input, values};
use burn::tensor::TensorData;
use burnformer_models::weights::{WeightRemarks, Weights};
use burnformer_models::{Bert, BertForSequenceClassification, ModelClass, ModelError, Pretrained, registry, weights};
use burnformer_nn::Linear;
use std::fs;
use std::path::Path;

const FORMATS: [&str; 6] = ["sharded", "pickle", "old_pickle", "sharded_pickle", "compiled_double", "lightning"];

/// What is beside the model in the checkpoint of Lightning.
const BESIDE: [&str; 3] =
    ["optimizer_states.0.state.0.exp_avg", "optimizer_states.0.state.1.exp_avg", "state_dict.loss.weight"];

/// A model folder with the weights of one of the formats, after `change`.
fn folder_of(format: &str, change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("classification/config.json"), folder.path().join("config.json")).unwrap();
    for file in fs::read_dir(fixture("formats").join(format)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    change(folder.path());
    folder
}

fn error(format: &str, change: impl FnOnce(&Path)) -> String {
    let folder = folder_of(format, change);
    let error = BertForSequenceClassification::load(folder.path(), &device()).expect_err("an error");
    error.to_string().replace(&folder.path().display().to_string(), "FOLDER")
}

fn replace(file: &'static str, from: &'static str, to: &'static str) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

#[test]
fn every_format_has_the_same_weights() {
    let mut expected = Weights::in_folder(&fixture("classification")).unwrap();
    let mut names = expected.names();
    names.sort();
    for format in FORMATS {
        let mut found = Weights::in_folder(&fixture("formats").join(format)).unwrap();
        let theirs = |name: &str| match format {
            "old_pickle" => name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"),
            _ => name.to_owned(),
        };
        let mut found_names = found.names();
        found_names.retain(|name| format != "lightning" || !BESIDE.contains(&name.as_str()));
        found_names.sort();
        let mut expected_names: Vec<String> = names.iter().map(|name| theirs(name)).collect();
        expected_names.sort();
        assert_eq!(found_names, expected_names, "{format}");
        for name in &names {
            let (found, expected) = (found.read(&theirs(name)).unwrap(), expected.read(name).unwrap());
            assert_eq!(found.shape(), expected.shape(), "{format}: {name}");
            // float16 has 11 bits.
            let relative = if format == "sharded_pickle" { 2.0_f32.powi(-11) } else { 0.0 };
            for (x, y) in found.iter::<f32>().zip(expected.iter::<f32>()) {
                assert!((x - y).abs() <= relative * y.abs() + relative * 1e-4, "{format}: {name}: {x} instead of {y}");
            }
        }
    }
}

#[test]
fn a_model_is_loaded_from_every_format() {
    let device = device();
    let logits = |folder: &Path| {
        let model = BertForSequenceClassification::load(folder, &device).unwrap();
        values(model.forward(input([[1, 2, 4, 5], [7, 0, 28, 6]], &device)))
    };
    let expected = logits(&fixture("classification"));
    for format in FORMATS {
        let tolerance = if format == "sharded_pickle" { 1e-2 } else { 0.0 };
        assert_close(format, &logits(folder_of(format, |_| {}).path()), &expected, tolerance);
    }
}

/// The wrapper of a whole model is taken off, what lies beside it is named.
#[test]
fn what_is_unusual_about_a_file_is_told() {
    let of = |format: &str| WeightRemarks::of(&fixture("formats").join(format)).unwrap();
    assert_eq!(of("pickle"), WeightRemarks::default());
    assert_eq!(of("compiled_double").to_string(), "weights of type f64, rounded to f32: 41");
    let lightning = of("lightning");
    assert_eq!(lightning.prefix, "state_dict.model.");
    assert_eq!(lightning.ignored, BESIDE);
    assert_eq!(
        lightning.to_string(),
        "the weights are read under the prefix `state_dict.model.`\n\
         ignored in the weight file, as no part of the model: `optimizer_states.0.state.0.exp_avg`, \
         `optimizer_states.0.state.1.exp_avg`, `state_dict.loss.weight`"
    );
}

/// Whatever a model is trained in, its wrapper is no part of it; what changes an answer is.
#[test]
fn wrapped_weights_are_the_models_and_adapters_are_not() {
    let device = device();
    let write = |change: &dyn Fn(String) -> String, extra: &[(&str, TensorData)]| {
        let folder = folder_of("pickle", |folder| fs::remove_file(folder.join("pytorch_model.bin")).unwrap());
        let mut file = Weights::in_folder(&fixture("classification")).unwrap();
        let tensors = file.names().into_iter().map(|name| (change(name.clone()), file.read(&name).unwrap()));
        let extra = extra.iter().map(|(name, data)| ((*name).to_owned(), data.clone()));
        let tensors = tensors.chain(extra).collect();
        weights::save(&Vec::<Linear>::new(), str::to_owned, tensors, &folder.path().join("model.safetensors")).unwrap();
        folder
    };
    let ids = [[1, 2, 4, 5], [7, 0, 28, 6]];
    let logits = |folder: &Path| {
        let model = BertForSequenceClassification::load(folder, &device).unwrap();
        values(model.forward(input(ids, &device)))
    };
    let expected = logits(&fixture("classification"));
    for prefix in ["module.", "_orig_mod.", "model.", "bert.", "module._orig_mod.model.", "state_dict.net."] {
        let folder = write(&|name| format!("{prefix}{name}"), &[]);
        assert_eq!(logits(folder.path()), expected, "{prefix}");
        // A file without `architectures` is told by its names.
        let path = folder.path().join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config.as_object_mut().unwrap().remove("architectures");
        fs::write(&path, config.to_string()).unwrap();
        assert!(ModelClass::of(folder.path()).is_err(), "{prefix}");
        assert_eq!(values(Bert::load(folder.path(), &device).unwrap().forward(input(ids, &device))).len(), 160);
    }
    // A module with a body and a classifier of its own.
    let body_alone = write(&|name| name.strip_prefix("bert.").map_or(name.clone(), |rest| format!("net.{rest}")), &[]);
    assert_eq!(logits(body_alone.path()), expected);
    assert_eq!(values(Bert::load(body_alone.path(), &device).unwrap().forward(input(ids, &device))).len(), 160);

    let vector = || TensorData::from([0.5_f32, 1.5]);
    let matrix = || TensorData::from([[0.5_f32, 1.5]]);
    let beside: [(&str, TensorData); 4] = [
        ("loss_fct.weight", vector()),
        ("metrics.confusion", TensorData::from([[1_i64, 2], [3, 4]])),
        ("bert.embeddings.position_ids", TensorData::from([[0_i64, 1]])),
        ("optimizer.state.0.exp_avg", matrix()),
    ];
    let folder = write(&|name| name, &beside);
    assert_eq!(logits(folder.path()), expected);
    let remarks = WeightRemarks::of(folder.path()).unwrap();
    assert_eq!(remarks.ignored, ["loss_fct.weight", "metrics.confusion", "optimizer.state.0.exp_avg"]);
    assert_eq!(remarks.former_buffers, ["bert.embeddings.position_ids"]);
    for name in ["bert.encoder.layer.0.adapter.bias", "bert.encoder.layer.0.attention.self.query.lora_A.weight"] {
        let folder = write(&|name| name, &[(name, vector())]);
        let error = BertForSequenceClassification::load(folder.path(), &device).unwrap_err();
        assert!(matches!(&error, ModelError::WeightNames { left_over, .. } if left_over == &[name]), "{error}");
    }
    let folder = write(&|name| name, &[("second.weight", matrix())]);
    let error = BertForSequenceClassification::load(folder.path(), &device).unwrap_err();
    assert!(error.to_string().contains("has the weight `second.weight`, which the model does not have"), "{error}");
    let folder =
        write(&|name| format!("teacher.{name}"), &[("student.bert.embeddings.word_embeddings.weight", matrix())]);
    let error = BertForSequenceClassification::load(folder.path(), &device).unwrap_err().to_string();
    assert!(error.ends_with("under the prefixes `student.`, `teacher.`: save one of them alone"), "{error}");
}

/// The names of encoder–decoders begin with `model.` by themselves.
#[test]
fn wrappers_are_taken_off_every_architecture() {
    for name in ["gpt2", "marian", "pegasus", "roberta_masked_lm", "distilbert_masked_lm", "camembert_masked_lm"] {
        for prefix in ["module.", "model.", "state_dict.model._orig_mod."] {
            let folder = tempfile::tempdir().unwrap();
            fs::copy(fixture(name).join("config.json"), folder.path().join("config.json")).unwrap();
            let mut file = Weights::in_folder(&fixture(name)).unwrap();
            let tensors =
                file.names().into_iter().map(|it| (format!("{prefix}{it}"), file.read(&it).unwrap())).collect();
            let path = folder.path().join("model.safetensors");
            weights::save(&Vec::<Linear>::new(), str::to_owned, tensors, &path).unwrap();
            let model = registry::open(folder.path(), &device()).unwrap();
            let [found, expected] = [(); 2].map(|()| tempfile::tempdir().unwrap());
            model.save(found.path()).unwrap();
            registry::open(&fixture(name), &device()).unwrap().save(expected.path()).unwrap();
            let read = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
            assert!(read(found.path()) == read(expected.path()), "{name}: {prefix}");
        }
    }
}

#[test]
fn safetensors_come_before_pickles() {
    let folder = folder_of("pickle", |folder| {
        fs::write(folder.join("pytorch_model.bin"), "damaged").unwrap();
        fs::copy(fixture("classification/model.safetensors"), folder.join("model.safetensors")).unwrap();
    });
    BertForSequenceClassification::load(folder.path(), &device()).unwrap();
}

#[test]
fn an_index_and_its_files_must_agree() {
    let index = "model.safetensors.index.json";
    let remove = |folder: &Path| fs::remove_file(folder.join("model-00002-of-00002.safetensors")).unwrap();
    assert_eq!(error("sharded", remove), "cannot read `FOLDER/model-00002-of-00002.safetensors`");
    let found = error("sharded", replace(index, "\"classifier.bias\"", "\"classifier.slope\""));
    assert!(found.contains("has no weight `classifier.slope`"), "{found}");
    let found = error("sharded", replace(index, "\"classifier.bias\": \"model-00002-of-00002.safetensors\",", ""));
    assert_eq!(
        found,
        "`FOLDER/model-00002-of-00002.safetensors` has the weight `classifier.bias`, \
         which `FOLDER/model.safetensors.index.json` does not list for it"
    );
    let found = error("sharded", replace(index, "\"weight_map\"", "\"map\""));
    assert_eq!(found, "`FOLDER/model.safetensors.index.json` does not list weights and their files");
}

#[test]
fn an_index_names_files_of_its_folder_only() {
    let file = "model-00001-of-00002.safetensors";
    for hostile in ["../other.safetensors", "/etc/hostname", "..", "", "a/b.safetensors"] {
        let folder = folder_of("sharded", |folder| {
            let path = folder.join("model.safetensors.index.json");
            fs::write(&path, fs::read_to_string(&path).unwrap().replace(file, hostile)).unwrap();
        });
        let error = BertForSequenceClassification::load(folder.path(), &device()).unwrap_err();
        assert!(matches!(&error, ModelError::ShardPlace { file, .. } if file == hostile), "{hostile}: {error}");
    }
}

#[test]
fn a_pickle_that_is_cut_off_anywhere_is_refused() {
    for format in ["pickle", "old_pickle"] {
        let whole = fs::read(fixture("formats").join(format).join("pytorch_model.bin")).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 40) {
            let cut = |folder: &Path| fs::write(folder.join("pytorch_model.bin"), &whole[..length]).unwrap();
            let found = error(format, cut);
            assert!(found.contains("FOLDER/pytorch_model.bin"), "{format}, {length} bytes: {found}");
        }
    }
}

#[test]
fn a_pickle_executes_nothing() {
    let folder = folder_of("pickle", |_| {});
    let trace = folder.path().join("trace");
    // What `pickle.loads` would run: os.system("touch ..."), then a dictionary that looks like weights.
    let command = format!("cposix\nsystem\n(S'touch {}'\ntR0(dp0\n.", trace.display());
    fs::write(folder.path().join("pytorch_model.bin"), command).unwrap();
    let error = BertForSequenceClassification::load(folder.path(), &device()).unwrap_err();
    assert!(error.to_string().contains("pytorch_model.bin"), "{error}");
    assert!(!trace.exists());
}
