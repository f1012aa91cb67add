//! Folders of sentence-transformers against what the library answers, see `fixtures/make_sentence_transformers.py`.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use burnformer_models::weights::WeightType;
use burnformer_models::{OutputActivation, Outputs};
use burnformer_ops::DeviceChoice;
use burnformer_tasks::{
    ExportLayout, Pipeline, TextClassification, TextEmbedding, TextRanking, cosine_similarity, export, unknown_settings,
};
use serde_json::{Value, json};

/// Greatest difference to the library.
const TOLERANCE: f64 = 1e-5;

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sentence_transformers").join(name)
}

fn read(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A folder with the encoder and these files.
fn folder(files: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("encoder")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    write(folder.path(), files);
    folder
}

fn write(folder: &Path, files: &Value) {
    for (name, content) in files.as_object().unwrap() {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.as_str() {
            Some(file) => fs::write(&path, fs::read(fixture(file)).unwrap()).unwrap(),
            None => fs::write(&path, content.to_string()).unwrap(),
        }
    }
}

/// The pipeline with the arguments of a case.
fn open(folder: &Path, case: &Value) -> TextEmbedding {
    let mut model = TextEmbedding::load(folder, &device()).unwrap();
    if let Some(name) = case["prompt_name"].as_str() {
        let prompt = model.prompts().named(name).unwrap().to_owned();
        model = model.with_prompt(prompt);
    }
    if let Some(prompt) = case["prompt"].as_str() {
        model = model.with_prompt(prompt);
    }
    match case["truncate_dim"].as_u64() {
        Some(n) => model.with_dimensions(n as usize).unwrap(),
        None => model,
    }
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

/// Compares embeddings and similarities with those of a case.
fn check(folder: &Path, case: &Value, texts: &[&str], what: &str) {
    let name = &case["name"];
    let model = open(folder, case);
    let found = model.embed(texts).unwrap();
    let expected = case["embeddings"].as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for ((text, found), expected) in texts.iter().zip(&found).zip(expected) {
        let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect();
        assert_eq!((found.len(), model.n_dimensions()), (expected.len(), expected.len()), "{name}{what}");
        let differences = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs());
        let difference = differences.fold(0.0, f64::max);
        assert!(difference < TOLERANCE, "{name}{what}, `{text}`: {difference:e}");
    }
    for (other, expected) in found[1..].iter().zip(case["similarity"].as_array().unwrap()) {
        let (found, expected) = (model.similarity().of(&found[0], other), expected.as_f64().unwrap());
        assert!((found - expected).abs() < 10.0 * TOLERANCE, "{name}{what}: {found}, expected {expected}");
    }
}

#[test]
fn folders_of_all_versions_make_the_same_vectors_as_there() {
    let content = read(fixture("embeddings.json"));
    let texts = strings(&content["texts"]);
    for case in content["cases"].as_array().unwrap() {
        check(folder(&case["files"]).path(), case, &texts, "");
    }
}

#[test]
fn an_exported_folder_keeps_all_settings() {
    let content = read(fixture("embeddings.json"));
    let texts = strings(&content["texts"]);
    for case in content["cases"].as_array().unwrap() {
        let (folder, out) = (folder(&case["files"]), tempfile::tempdir().unwrap());
        let layout = ExportLayout::of(folder.path());
        export(folder.path(), out.path(), layout, WeightType::F32, &device()).unwrap();
        check(out.path(), case, &texts, ", exported");
    }
}

/// The error of a folder with these modules behind the Transformer, and these files besides.
fn error(names: &[&str], files: &Value) -> String {
    let module = |(number, name): (usize, &&str)| {
        let path = if number == 0 { String::new() } else { format!("{number}_{name}") };
        let class =
            if name.contains('.') { (*name).to_owned() } else { format!("sentence_transformers.models.{name}") };
        json!({ "idx": number, "name": number.to_string(), "path": path, "type": class })
    };
    let folder = folder(&json!({ "1_Pooling/config.json": {"pooling_mode": "mean"} }));
    let modules: Vec<Value> = ["Transformer"].iter().chain(names).enumerate().map(module).collect();
    write(folder.path(), &json!({ "modules.json": modules }));
    write(folder.path(), files);
    let error = TextEmbedding::load(folder.path(), &device()).unwrap_err();
    let causes = std::iter::successors(std::error::Error::source(&error), |error| error.source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    text.replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let refused = |names: &[&str], files: Value, expected: &str| assert_eq!(error(names, &files), expected);
    let modules = "expected Transformer, Pooling, and behind them any of Dense, Normalize and Dropout";
    for (names, found) in [
        (&["Normalize", "Pooling"][..], "Transformer, Normalize, Pooling"),
        (&["Pooling", "Pooling"], "Transformer, Pooling, Pooling"),
        (&["Pooling", "CNN"], "Transformer, Pooling, CNN"),
        (&[], "Transformer"),
    ] {
        refused(names, json!({}), &format!("`FOLDER/modules.json` asks for {found}, {modules}"));
    }
    refused(&[], json!({ "modules.json": [] }), &format!("`FOLDER/modules.json` asks for no module, {modules}"));
    let expected = "`FOLDER/modules.json` asks for `custom_st.Pooling`, a module with code of its own, expected modules of \
                    sentence-transformers";
    refused(&["custom_st.Pooling"], json!({}), expected);

    let pooling = |json: Value| json!({ "1_Pooling/config.json": json });
    let expected = "`FOLDER/1_Pooling/config.json` asks for pooling by `median`, expected one of `cls`, `max`, `mean`, \
                    `mean_sqrt_len_tokens`, `weightedmean`, `lasttoken`";
    refused(&["Pooling"], pooling(json!({ "pooling_mode": "median" })), expected);
    refused(&["Pooling"], pooling(json!({ "pooling_mode": ["mean", "median"] })), expected);

    let expected = "`FOLDER/1_Pooling/config.json` asks for pooling by `mean` twice, expected each pooling once";
    refused(&["Pooling"], pooling(json!({ "pooling_mode": ["mean", "cls", "mean"] })), expected);

    for (key, value, found) in [
        ("transformer_task", json!("fill-mask"), "`fill-mask` in `transformer_task`, expected `feature-extraction`"),
        ("module_output_name", json!("scores"), "`scores` in `module_output_name`, expected `token_embeddings`"),
        ("modality_config", json!({ "image": {} }), "image in `modality_config`, expected `text`"),
        ("query_length", json!(9), "`query_length` = 9, expected a file without it"),
        (
            "tokenizer_args",
            json!({ "padding_side": "left" }),
            "`padding_side` = \"left\" in `tokenizer_args`, expected a file without it",
        ),
    ] {
        let files = json!({ "sentence_roberta_config.json": { key: value } });
        refused(&["Pooling"], files, &format!("`FOLDER/sentence_roberta_config.json` asks for {found}"));
    }

    let file = "FOLDER/config_sentence_transformers.json";
    for (json, found) in [
        (
            json!({ "model_type": "SparseEncoder" }),
            "a model of type `SparseEncoder`, expected `SentenceTransformer` or `CrossEncoder`",
        ),
        (
            json!({ "similarity_fn_name": "maxsim" }),
            "the similarity `maxsim`, expected one of `cosine`, `dot`, `euclidean`, `manhattan`",
        ),
        (
            json!({ "default_prompt_name": "a", "prompts": { "b": "B" } }),
            "the prompt `a` in `default_prompt_name`, expected one of its prompts: `b`, `document`, `query`",
        ),
        (json!({ "truncate_dim": 0 }), "embeddings of `0` dimensions, expected at least one in `truncate_dim`"),
    ] {
        refused(
            &["Pooling"],
            json!({ "config_sentence_transformers.json": json }),
            &format!("`{file}` asks for {found}"),
        );
    }
    let expected = "`FOLDER` holds a cross-encoder, which scores pairs of texts, expected a model that embeds texts";
    refused(&["Pooling"], json!({ "config_sentence_transformers.json": { "model_type": "CrossEncoder" } }), expected);

    let dense = |more: Value| {
        let mut json = json!({ "in_features": 8, "out_features": 5 });
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "2_Dense/config.json": json, "2_Dense/model.safetensors": "dense.safetensors" })
    };
    for (more, found) in [
        (
            json!({ "in_features": 9 }),
            "asks for a Dense for vectors of 9 numbers, expected 8, as the modules in front of it make",
        ),
        (
            json!({ "out_features": 0 }),
            "asks for a Dense that makes `0` numbers, expected at least one in `out_features`",
        ),
        (
            json!({ "use_residual": true }),
            "asks for a residual connection (`use_residual`), expected a Dense without it",
        ),
        (
            json!({ "module_input_name": "token_embeddings" }),
            "asks for a module for `token_embeddings`, expected one for `sentence_embedding`",
        ),
    ] {
        refused(&["Pooling", "Dense"], dense(more), &format!("`FOLDER/2_Dense/config.json` {found}"));
    }
    let said = error(&["Pooling", "Dense"], &dense(json!({ "activation_function": "my.own.Swish" })));
    assert!(said.contains("the activation `my.own.Swish` is not known, expected one of `torch.nn."), "{said}");
    let said = error(&["Pooling", "Dense"], &dense(json!({ "out_features": 6 })));
    assert!(said.contains("`linear.weight`") && said.contains("[5, 8]") && said.contains("[6, 8]"), "{said}");
}

#[test]
fn keys_that_are_not_known_are_listed_by_file() {
    let content = read(fixture("embeddings.json"));
    for case in content["cases"].as_array().unwrap() {
        let found = unknown_settings(folder(&case["files"]).path()).unwrap();
        assert!(found.is_empty(), "{}: {found:?}", case["name"]);
    }
    let files = json!({
        "modules.json": [
            { "path": "", "type": "sentence_transformers.models.Transformer" },
            { "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" },
            { "path": "2_Dense", "type": "sentence_transformers.models.Dense" },
        ],
        "1_Pooling/config.json": { "pooling_mode": "mean", "a": 1 },
        "2_Dense/config.json": { "in_features": 8, "out_features": 5, "b": 1 },
        "sentence_xlnet_config.json": { "max_seq_length": 9, "c": 1 },
        "config_sentence_transformers.json": { "d": 1, "e": 2 },
    });
    let folder = folder(&files);
    let found = unknown_settings(folder.path()).unwrap();
    let found: Vec<_> =
        found.iter().map(|(path, keys)| (path.strip_prefix(folder.path()).unwrap(), keys.concat())).collect();
    let expected = [
        ("config_sentence_transformers.json", "de"),
        ("sentence_xlnet_config.json", "c"),
        ("1_Pooling/config.json", "a"),
        ("2_Dense/config.json", "b"),
    ];
    assert_eq!(found, expected.map(|(path, keys)| (Path::new(path), keys.to_owned())));
    assert!(unknown_settings(tempfile::tempdir().unwrap().path()).unwrap().is_empty());
}

#[test]
fn what_a_model_does_not_have_is_said() {
    let files = json!({
        "modules.json": [
            { "path": "", "type": "sentence_transformers.models.Transformer" },
            { "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" },
            { "path": "2_Dense", "type": "sentence_transformers.models.Dense" },
        ],
        "1_Pooling/config.json": { "pooling_mode": "mean" },
        "2_Dense/config.json": { "in_features": 8, "out_features": 5 },
        "2_Dense/model.safetensors": "dense.safetensors",
        "config_sentence_transformers.json": { "prompts": { "title": "T" } },
    });
    let folder = folder(&files);
    let load = || TextEmbedding::load(folder.path(), &device()).unwrap();
    let error = load().prompts().named("subject").unwrap_err();
    assert_eq!(error.to_string(), "the model has no prompt `subject`, expected one of `title`, `document`, `query`");
    for asked in [0, 6] {
        let expected = format!("the model makes embeddings of 5 dimensions, expected from 1 to that many, not {asked}");
        assert_eq!(load().with_dimensions(asked).unwrap_err().to_string(), expected);
    }
}

/// The folder of a classifier, as a case says.
fn classifier(case: &Value) -> tempfile::TempDir {
    let folder = folder(&json!({}));
    let from = fixture(case["model"].as_str().unwrap());
    fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let mut config = read(from.join("config.json"));
    for (key, value) in case["config"].as_object().unwrap() {
        match value {
            Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
            value => config[key] = value.clone(),
        }
    }
    write(folder.path(), &json!({ "config.json": config }));
    write(folder.path(), &case["files"]);
    folder
}

/// Compares the probabilities or scores of a folder with those of a case.
fn check_scores(folder: &Path, content: &Value, case: &Value, what: &str) {
    let (name, texts) = (&case["name"], strings(&content["texts"]));
    let difference = |found: f64, expected: &Value| (found - expected.as_f64().unwrap()).abs();
    let Some(scores) = case["scores"].as_array() else {
        let model = TextClassification::load(folder, &device()).unwrap();
        let questions: Vec<_> = texts.iter().map(|&text| (text, None)).collect();
        let answers = model.classify(&questions).unwrap();
        for ((text, answer), expected) in texts.iter().zip(&answers).zip(case["probabilities"].as_array().unwrap()) {
            assert_eq!(model.labels().len(), expected.as_object().unwrap().len(), "{name}{what}");
            for (label, &found) in model.labels().iter().zip(&answer.probabilities) {
                let difference = difference(found, &expected[label]);
                assert!(difference < TOLERANCE, "{name}{what}, `{text}`, `{label}`: {difference:e}");
            }
        }
        return;
    };
    let pairs: Vec<_> = content["pairs"].as_array().unwrap().iter().map(strings).collect();
    let texts: Vec<&str> = pairs.iter().map(|pair| pair[1]).collect();
    let ranked = TextRanking::load(folder, &device()).unwrap().rank(pairs[0][0], &texts).unwrap();
    assert!(ranked.windows(2).all(|two| two[0].score >= two[1].score));
    assert_eq!(ranked.len(), texts.len());
    for text in ranked {
        let difference = difference(text.score, &scores[text.index]);
        assert!(difference < TOLERANCE, "{name}{what}, pair {}: {difference:e}", text.index);
        assert_eq!(text.text, texts[text.index]);
    }
}

#[test]
fn classifiers_of_all_kinds_say_the_same_as_there() {
    let content = read(fixture("scores.json"));
    for case in content["cases"].as_array().unwrap() {
        let (folder, out) = (classifier(case), tempfile::tempdir().unwrap());
        check_scores(folder.path(), &content, case, "");
        let alone = json!({ "name": case["name"], "probabilities": case["probabilities"] });
        // What a cross-encoder says of a pair, transformers does not know.
        let is_cross_encoder =
            !case["files"].as_object().unwrap().is_empty() || case["config"].to_string().contains("ctivation");
        if !is_cross_encoder {
            check_scores(folder.path(), &content, &alone, ", alone");
        }
        assert_eq!(ExportLayout::of(folder.path()), ExportLayout::Transformers);
        export(folder.path(), out.path(), ExportLayout::Transformers, WeightType::F32, &device()).unwrap();
        check_scores(out.path(), &content, case, ", exported");
        if !is_cross_encoder {
            check_scores(out.path(), &content, &alone, ", exported and alone");
        }
    }
}

#[test]
fn a_cross_encoder_classifies_as_it_ranks() {
    let content = read(fixture("scores.json"));
    let named = |name: &str| content["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
    let case = named("with another function");
    let folder = classifier(case);
    let model = TextClassification::load(folder.path(), &device()).unwrap();
    assert_eq!(model.outputs(), Outputs::Score(OutputActivation::Identity));
    let pairs: Vec<_> = content["pairs"].as_array().unwrap().iter().map(strings).collect();
    let answers = model.classify(&pairs.iter().map(|pair| (pair[0], Some(pair[1]))).collect::<Vec<_>>()).unwrap();
    for (answer, expected) in answers.iter().zip(case["scores"].as_array().unwrap()) {
        assert!((answer.probability - expected.as_f64().unwrap()).abs() < TOLERANCE);
    }
    let pipeline = Pipeline::from_folder_on(folder.path(), &device()).unwrap();
    assert!(matches!(pipeline, Pipeline::TextRanking(_)), "{pipeline:?}");
    let error = TextRanking::load(classifier(named("names")).path(), &device()).unwrap_err().to_string();
    assert!(error.ends_with("holds a classifier with 3 labels, expected a cross-encoder, which has one"), "{error}");
}

#[test]
fn embeddings_rank_texts_with_the_prompts_of_queries_and_documents() {
    let content = read(fixture("embeddings.json"));
    let case = content["cases"].as_array().unwrap().iter().find(|case| case["name"] == "default prompt").unwrap();
    let folder = folder(&case["files"]);
    let texts = strings(&content["texts"]);
    let ranked = TextRanking::load(folder.path(), &device()).unwrap().rank("the cat", &texts).unwrap();
    let embed = |prompt: &str, texts: &[&str]| {
        TextEmbedding::load(folder.path(), &device()).unwrap().with_prompt(prompt).embed(texts).unwrap()
    };
    let (query, documents) = (embed("query : ", &["the cat"]), embed("passage : ", &texts));
    for text in &ranked {
        let expected = cosine_similarity(&query[0], &documents[text.index]);
        assert!((text.score - expected).abs() < 1e-6);
    }
    assert!(ranked.windows(2).all(|two| two[0].score >= two[1].score));
}

#[test]
fn a_classifier_that_is_not_known_is_refused_by_name() {
    let error = |model: &str, config: Value| {
        let folder = classifier(&json!({ "model": model, "config": config, "files": {} }));
        let error = TextClassification::load(folder.path(), &device()).unwrap_err();
        let causes = std::iter::successors(std::error::Error::source(&error), |error| error.source());
        let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        text.replace(&folder.path().display().to_string(), "FOLDER")
    };
    let problem = |found: &str, expected: &str| {
        format!("`problem_type` in `FOLDER/config.json` is `{found}`, expected {expected}")
    };
    let single = "single_label_classification";
    let one = "`multi_label_classification` or `regression`, as there is 1 label";
    assert_eq!(error("one", json!({ "problem_type": single })), problem(single, one));
    let three = "`single_label_classification` or `multi_label_classification`, as there are 3 labels";
    assert_eq!(error("three", json!({ "problem_type": "regression" })), problem("regression", three));
    let said = error("three", json!({ "id2label": null, "num_labels": 4 }));
    assert!(said.contains("has 3 classes") && said.ends_with("names 4"), "{said}");
    let said = error("one", json!({ "sentence_transformers": { "activation_fn": "my.Own" } }));
    assert!(
        said.contains("`sentence_transformers` in `FOLDER/config.json`") && said.contains("`my.Own` is not known"),
        "{said}"
    );
    // Without any number of labels, the weights tell.
    let folder =
        classifier(&json!({ "model": "three", "config": { "id2label": null, "label2id": null }, "files": {} }));
    assert_eq!(TextClassification::load(folder.path(), &device()).unwrap().labels(), ["LABEL_0", "LABEL_1", "LABEL_2"]);
}
