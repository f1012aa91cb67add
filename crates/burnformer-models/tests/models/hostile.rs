//! Model files that would take more memory or time than they are worth, or wait for ever.

use crate::support::{device, fixture};
use burn::tensor::TensorData;
use burnformer_models::weights::{self, Weights};
use burnformer_models::{BertForSequenceClassification, ModelError, Pretrained, registry};
use burnformer_nn::{Linear, LinearConfig};
use serde_json::{Map, json};
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Text as a pickle of protocol 2 has it.
fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

fn tuple(numbers: &[i32]) -> Vec<u8> {
    let number = |number: &i32| [b"J".as_slice(), &number.to_le_bytes()].concat();
    [b"(".as_slice(), &numbers.iter().flat_map(number).collect::<Vec<u8>>(), b"t"].concat()
}

/// A tensor of floats as `torch.save` writes it: a view of the storage `0`, which has `n_stored` floats.
fn tensor(n_stored: i32, shape: &[i32], stride: &[i32]) -> Vec<u8> {
    let storage = [b"(".as_slice(), &text("storage"), b"ctorch\nFloatStorage\n", &text("0"), &text("cpu")].concat();
    let storage = [storage.as_slice(), b"J", &n_stored.to_le_bytes(), b"tQ"].concat();
    let rest = [b"K\0".as_slice(), &tuple(shape), &tuple(stride), b"\x89ccollections\nOrderedDict\n)R"].concat();
    [b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice(), &storage, &rest, b"tR"].concat()
}

fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries.iter().flat_map(|(name, value)| [text(name), value.clone()].concat()).collect();
    [b"}(".as_slice(), &entries, b"u"].concat()
}

fn pickle(root: &[u8]) -> Vec<u8> {
    [b"\x80\x02".as_slice(), root, b"."].concat()
}

/// An archive as `torch.save` writes it, packed or not.
fn archive(pickle: &[u8], storage: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("archive/data.pkl", pickle), ("archive/data/0", storage)] {
        zip.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn open(bytes: &[u8]) -> Result<Weights, ModelError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pytorch_model.bin");
    fs::write(&path, bytes).unwrap();
    Weights::open(&path)
}

#[test]
fn a_pickle_holds_no_more_than_its_file() {
    let check = |shape: &[i32], stride: &[i32]| {
        let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let entries: Vec<(&str, Vec<u8>)> = names.iter().map(|it| (it.as_str(), tensor(2048, shape, stride))).collect();
        let bytes = archive(&pickle(&dictionary(&entries)), &[0; 8192], CompressionMethod::Stored);
        let error = open(&bytes).unwrap_err();
        let ModelError::Inflated { what: "tensors", found, length, .. } = error else { panic!("{error}") };
        assert_eq!((found, length), (20 * 4 * 1024 * 1024, bytes.len() as u64));
        assert!(
            error.to_string().ends_with("save it again with `torch.save`, each tensor as `.contiguous()`"),
            "{error}"
        );
    };
    check(&[1024, 1024], &[0, 0]);
    check(&[1024, 1024], &[1, 1]);
}

/// Tied weights share a storage; a few more names than it has are no reason to refuse a file.
#[test]
fn tensors_may_share_their_values() {
    let names = ["shared", "encoder", "decoder", "output"];
    let entries = names.map(|name| (name, tensor(2048, &[2, 1024], &[1024, 1])));
    let mut weights = open(&archive(&pickle(&dictionary(&entries)), &[0; 8192], CompressionMethod::Stored)).unwrap();
    assert_eq!(weights.read("output").unwrap().shape().as_slice(), [2, 1024]);
}

#[test]
fn an_archive_unpacks_to_no_more_than_a_multiple_of_its_length() {
    let one = pickle(&dictionary(&[("x", tensor(4, &[4], &[1]))]));
    let error = open(&archive(&one, &vec![0; 16 << 20], CompressionMethod::Deflated)).unwrap_err();
    assert!(matches!(error, ModelError::Inflated { what: "entries", found, .. } if found > 16 << 20), "{error}");

    // Objects of one byte each.
    let many = pickle(&vec![b'N'; 4 << 20]);
    let error = open(&archive(&many, &[], CompressionMethod::Deflated)).unwrap_err();
    assert!(matches!(error, ModelError::Inflated { what: "a pickle", .. }), "{error}");
}

#[test]
fn absurd_sizes_in_a_pickle_are_refused() {
    for (shape, stride) in [([i32::MAX, i32::MAX], [0, 0]), ([1, 2], [1, i32::MAX]), ([-1, 2], [1, 1])] {
        let one = pickle(&dictionary(&[("x", tensor(4, &shape, &stride))]));
        let error = open(&archive(&one, &[0; 16], CompressionMethod::Stored)).unwrap_err();
        assert!(matches!(error, ModelError::Pytorch { .. }), "{error}");
    }
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let one = || tensor(4, &[4], &[1]);
    let nested = dictionary(&[("a.b", one()), ("a", dictionary(&[("b", one())]))]);
    let error = open(&archive(&pickle(&nested), &[0; 16], CompressionMethod::Stored)).unwrap_err();
    assert!(error.to_string().ends_with("has two tensors of the name `a.b`"), "{error}");

    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, shape) in [("archive/data.pkl", [2, 2]), ("archive/data.pkx", [4, 1])] {
        zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
        zip.write_all(&pickle(&dictionary(&[("x", tensor(4, &shape, &[1, 1]))]))).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    while let Some(place) = bytes.windows(8).position(|window| window == b"data.pkx") {
        bytes[place + 7] = b'l';
    }
    let error = open(&bytes).unwrap_err();
    assert!(error.to_string().contains("is an archive with two entries of one name"), "{error}");
}

/// The archives of the first versions of PyTorch can have holes that count as data.
#[test]
fn an_archive_of_another_kind_is_refused() {
    let mut bytes = vec![0; 1024];
    bytes[257..262].copy_from_slice(b"ustar");
    let error = open(&bytes).unwrap_err();
    assert!(error.to_string().ends_with("save it again with PyTorch 1.6 or newer"), "{error}");
}

#[test]
fn a_header_has_a_limit_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&150_000_000_u64.to_le_bytes()).unwrap();
    // With a hole, which takes no room on disk.
    file.set_len(200_000_000).unwrap();
    let error = Weights::open(&path).unwrap_err();
    assert!(matches!(error, ModelError::HeaderSize { found: 150_000_000, .. }), "{error}");
}

/// A file with a hole, which takes no room on disk.
#[cfg(target_os = "linux")]
#[test]
fn weights_without_room_in_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (d_in, d_out) = (1_usize << 14, 1_usize << 24);
    let n_bytes = 4 * d_in * d_out;
    let header = json!({"weight": {"dtype": "F32", "shape": [d_out, d_in], "data_offsets": [0, n_bytes]}}).to_string();
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()).unwrap();
    file.set_len((8 + header.len() + n_bytes) as u64).unwrap();
    let linear = LinearConfig::new(d_in, d_out).with_bias(false).init(&device());
    let error = weights::load(linear, str::to_owned, |_| false, &path).unwrap_err();
    assert!(matches!(error, ModelError::Memory { needed: 1_048_576, .. }), "{error}");
}

#[test]
fn a_weight_file_that_shrinks_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for source in ["classification/model.safetensors", "formats/pickle/pytorch_model.bin"] {
        let path = folder.path().join(Path::new(source).file_name().unwrap());
        fs::copy(fixture(source), &path).unwrap();
        let mut weights = Weights::open(&path).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
        for name in weights.names() {
            let error = weights.read(&name).unwrap_err();
            assert!(matches!(error, ModelError::Read { .. }), "{source}, {name}: {error}");
        }
    }
}

#[test]
fn an_index_lists_a_weight_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors.index.json");
    fs::write(&path, r#"{"weight_map":{"x":"a.safetensors","x":"a.safetensors"}}"#).unwrap();
    let error = Weights::open(&path).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("the name `x` is there twice"), "{source}");
}

/// A folder of `classification` with `change`.
fn changed(change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture("classification").join(file), folder.path().join(file)).unwrap();
    }
    change(folder.path());
    folder
}

/// A pipe would be waited for, a device read for ever.
#[cfg(unix)]
#[test]
fn a_model_is_made_of_regular_files() {
    let files = ["config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];
    for file in files {
        for (kind, source) in [("pipe", None), ("device", Some("/dev/zero")), ("folder", Some("/"))] {
            let folder = changed(|folder| {
                for present in ["model.safetensors", file] {
                    let _ = fs::remove_file(folder.join(present));
                }
                let path = folder.join(file);
                match source {
                    Some(source) => std::os::unix::fs::symlink(source, path).unwrap(),
                    None => assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
                }
            });
            let error = BertForSequenceClassification::load(folder.path(), &device()).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(
                source.starts_with(&format!("it is a {kind}, expected a regular file")),
                "{file}: {error}: {source}"
            );
        }
    }
}

/// What a clone of a repository without Git LFS has in the place of its large files.
#[test]
fn pointers_of_git_lfs_are_called_that() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:6f2a\nsize 133\n";
    for file in ["config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"] {
        let folder = changed(|folder| {
            if file != "config.json" {
                fs::remove_file(folder.join("model.safetensors")).unwrap();
            }
            fs::write(folder.join(file), pointer).unwrap();
        });
        let error = BertForSequenceClassification::load(folder.path(), &device()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot read `{}`", folder.path().join(file).display()));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("it is a Git LFS pointer, not the file itself: run `git lfs pull`"), "{source}");
    }
}

/// Of several files the error names the one that has the weight.
#[test]
fn a_weight_that_is_not_finite_is_found_in_every_model() {
    let bad = |folder: &Path, name: &str, path: &Path| {
        let mut file = Weights::in_folder(folder).unwrap();
        let names = file.names();
        let mut tensors: Vec<_> = names.iter().map(|name| (name.clone(), file.read(name).unwrap())).collect();
        let (_, data) = tensors.iter_mut().find(|(other, _)| other == name).unwrap();
        data.as_mut_slice::<f32>().unwrap()[1] = f32::NAN;
        weights::save(&Vec::<Linear>::new(), str::to_owned, tensors, path).unwrap();
    };
    for (model, name) in [
        ("pretraining", "cls.predictions.bias"),
        ("roberta_classification", "roberta.encoder.layer.1.output.LayerNorm.bias"),
        ("distilbert_token_classification", "distilbert.embeddings.word_embeddings.weight"),
        ("gpt2", "transformer.h.0.attn.c_attn.weight"),
        ("marian", "model.decoder.layers.0.encoder_attn.k_proj.weight"),
        ("marian", "final_logits_bias"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(fixture(model).join("config.json"), folder.path().join("config.json")).unwrap();
        let path = folder.path().join("model.safetensors");
        bad(&fixture(model), name, &path);
        let error = registry::open(folder.path(), &device()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("weight `{name}` in `{}` has 1 of ", path.display())), "{model}: {error}");
        if Weights::open(&path).unwrap().names().iter().any(|name| name.contains("embeddings.LayerNorm")) {
            let body = registry::open_body(folder.path(), &device());
            assert_eq!(body.is_err(), !name.starts_with("cls."), "{model}");
        }
    }

    let folder = changed(|folder| {
        let (path, part) = (folder.join("model.safetensors"), folder.join("part-2.safetensors"));
        let mut file = Weights::open(&path).unwrap();
        let names = file.names();
        let tensors: Vec<_> = names.iter().map(|name| (name.clone(), file.read(name).unwrap())).collect();
        let (head, body): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(name, _)| name.starts_with("classifier."));
        let map = |tensors: &[(String, TensorData)], file: &str| {
            tensors.iter().map(|(name, _)| (name.clone(), json!(file))).collect::<Vec<_>>()
        };
        let map: Map<_, _> =
            [map(&body, "part-1.safetensors"), map(&head, "part-2.safetensors")].into_iter().flatten().collect();
        fs::write(folder.join("model.safetensors.index.json"), json!({ "weight_map": map }).to_string()).unwrap();
        weights::save(&Vec::<Linear>::new(), str::to_owned, body, &folder.join("part-1.safetensors")).unwrap();
        weights::save(&Vec::<Linear>::new(), str::to_owned, head, &path).unwrap();
        bad(folder, "classifier.bias", &part);
        fs::remove_file(path).unwrap();
    });
    let error = BertForSequenceClassification::load(folder.path(), &device()).unwrap_err().to_string();
    let part = folder.path().join("part-2.safetensors");
    assert!(error.starts_with(&format!("weight `classifier.bias` in `{}` has 1 of ", part.display())), "{error}");
}

#[test]
fn labels_by_the_ten_thousand_are_counted_not_listed() {
    let load = |first: usize, n: usize| {
        let folder = changed(|folder| {
            let path = folder.join("config.json");
            let mut config: Map<String, serde_json::Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let labels: Map<_, _> = (first..first + n).map(|id| (id.to_string(), json!(format!("l{id}")))).collect();
            config.insert("id2label".to_owned(), labels.into());
            fs::write(path, serde_json::to_vec(&config).unwrap()).unwrap();
        });
        BertForSequenceClassification::load(folder.path(), &device()).unwrap_err()
    };
    let error = load(0, 60_000);
    assert!(matches!(error, ModelError::HeadSize { expected: 60_000, .. }), "{error}");
    let error = load(1, 60_000).to_string();
    assert!(error.contains("is `1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 59990 more`, expected labels"), "{error}");
}
