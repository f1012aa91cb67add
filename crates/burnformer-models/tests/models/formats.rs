//! Weights in the files that transformers and PyTorch have written over the years.

use crate::support::{assert_close, device, fixture, input, values};
use burnformer_models::weights::Weights;
use burnformer_models::{BertForSequenceClassification, ModelError, Pretrained};
use std::fs;
use std::path::Path;

const FORMATS: [&str; 4] = ["sharded", "pickle", "old_pickle", "sharded_pickle"];

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
