//! Model folders: what is written is read again, by us and as transformers writes it.

use crate::support::{
    BERT_FIXTURES, Golden, assert_close, config, config_of, device, devices, fixture, gradients, input, labels, values,
};
use burn::tensor::{Int, Tensor, TensorData};
use burnformer_models::weights::{WeightType, Weights};
use burnformer_models::{
    Bert, BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, BertForTokenClassification,
    BertInput, BertVariant, Head, Loaded, ModelClass, OutputActivation, Outputs, Pretrained, export_body, registry,
    stats, weights,
};
use burnformer_nn::{Activation, DropoutRng, Linear};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn json(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("config.json")).unwrap()).unwrap()
}

fn set_json(folder: &Path, key: &str, value: Value) {
    let mut config = json(folder);
    config[key] = value;
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// Rewrites the weights of a folder, as files of other origin have them.
fn rewrite(folder: &Path, change: impl FnOnce(Vec<(String, TensorData)>) -> Vec<(String, TensorData)>) {
    let path = folder.join("model.safetensors");
    let mut file = Weights::open(&path).unwrap();
    let tensors = file.names().into_iter().map(|name| (name.clone(), file.read(&name).unwrap())).collect();
    // A list of no modules: everything to be written is extra.
    weights::save(&Vec::<Linear>::new(), str::to_owned, change(tensors), &path).unwrap();
}

#[test]
fn a_pretraining_model_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    for device in devices() {
        let config = config();
        let model = BertForPreTraining::init(&config, 1, &device);
        model.save(folder.path()).unwrap();
        assert_eq!(ModelClass::of(folder.path()).unwrap().head(), Head::PreTraining);
        let again = BertForPreTraining::load(folder.path(), &device).unwrap();
        let found = again.config().clone();
        assert_eq!(found, config);
        let answer = |model: &BertForPreTraining| {
            let masked = Tensor::<1, Int>::from_data([1, 5], &device);
            let logits = model.forward(input([[5, 6, 7, 8], [9, 10, 11, 12]], &device), masked);
            [values(logits.mlm), values(logits.next_sentence)]
        };
        assert_eq!(answer(&again), answer(&model));
    }
}

#[test]
fn a_classifier_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let devices = devices().into_iter();
    for (device, variant) in devices.flat_map(|device| BertVariant::ALL.map(|variant| (device.clone(), variant))) {
        let config = BertConfig { activation: Activation::Relu, ..config_of(variant) };
        let model = BertForSequenceClassification::init(&config, &labels(5), 1, &device);
        model.save(folder.path()).unwrap();
        assert_eq!(ModelClass::of(folder.path()).unwrap().head(), Head::SequenceClassification);
        let again = BertForSequenceClassification::load(folder.path(), &device).unwrap();
        let (found, names) = (again.config().clone(), again.labels().to_vec());
        assert_eq!((found, names), (config, labels(5)));
        let answer = |model: &BertForSequenceClassification| {
            let rng = DropoutRng::training(1, [7, 8]);
            values(model.forward(BertInput { rng, ..input([[5, 6, 7, 8], [9, 10, 11, 12]], &device) }))
        };
        assert_eq!(answer(&again), answer(&model));
    }
}

#[test]
fn a_masked_language_model_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    for (variant, tied_embeddings) in BertVariant::ALL.into_iter().flat_map(|it| [(it, true), (it, false)]) {
        let config = BertConfig { tied_embeddings, ..config_of(variant) };
        let model = BertForMaskedLM::init(&config, 1, &device);
        model.save(folder.path()).unwrap();
        assert_eq!(ModelClass::of(folder.path()).unwrap().head(), Head::MaskedLm);
        let again = BertForMaskedLM::load(folder.path(), &device).unwrap();
        let found = again.config().clone();
        assert_eq!(found, config);
        let answer = |model: &BertForMaskedLM| {
            values(model.forward(input([[5, 6, 7, 8], [9, 10, 11, 12]], &device), Tensor::from_data([1, 5], &device)))
        };
        assert_eq!(answer(&again), answer(&model));
        let body = tempfile::tempdir().unwrap();
        export_body(folder.path(), body.path(), WeightType::F32, &device).unwrap();
        let again = Bert::load(body.path(), &device).unwrap();
        let hidden = |body: &Bert| values(body.forward(input([[5, 6, 7, 8]], &device)));
        assert_eq!(hidden(&again), hidden(model.bert()));
    }
}

/// Loads the model of a fixture, and saves it elsewhere.
fn save_again(name: &str) -> tempfile::TempDir {
    let (folder, device) = (tempfile::tempdir().unwrap(), device());
    registry::open(&fixture(name), &device).unwrap().save(folder.path()).unwrap();
    folder
}

#[test]
fn a_saved_config_says_what_transformers_says() {
    for name in BERT_FIXTURES {
        let (found, expected) = (json(save_again(name).path()), json(&fixture(name)));
        // What transformers leaves out, and an older one must know.
        let extra = ["position_embedding_type", "problem_type"];
        for (key, value) in found.as_object().unwrap() {
            assert!(
                extra.contains(&key.as_str()) || *value == expected[key],
                "{name}, {key}: {value}, {}",
                expected[key]
            );
        }
        let is_classifier = name.ends_with("classification") && !name.ends_with("token_classification");
        assert_eq!(found.get("problem_type").is_some(), is_classifier, "{name}");
        assert!(found.as_object().unwrap().len() >= 13, "{name}");
    }
}

#[test]
fn saved_weights_have_the_names_and_values_of_transformers() {
    for name in BERT_FIXTURES {
        let folder = save_again(name);
        let open = |folder: &Path| Weights::open(&folder.join("model.safetensors")).unwrap();
        let (mut found, mut expected) = (open(folder.path()), open(&fixture(name)));
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(found.names()), sorted(expected.names()), "{name}");
        for weight in found.names() {
            // The one that nothing depends on.
            if (name, weight.as_str()) != ("untied", "cls.predictions.bias") {
                assert_eq!(found.read(&weight).unwrap(), expected.read(&weight).unwrap(), "{name}, {weight}");
            }
        }
        let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    }
}

#[test]
fn every_activation_survives() {
    let folder = tempfile::tempdir().unwrap();
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Silu]
    {
        let config = BertConfig { activation, ..config() };
        BertForPreTraining::init(&config, 1, &device()).save(folder.path()).unwrap();
        let found = BertForPreTraining::load(folder.path(), &device()).unwrap();
        assert_eq!(found.config(), &config);
    }
}

#[test]
fn dropout_before_the_classifier_survives_where_it_differs() {
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    let config = BertConfig { dropout: 0.0, attention_dropout: 0.0, ..config() };
    BertForSequenceClassification::init(&config, &labels(5), 1, &device).save(folder.path()).unwrap();
    assert_eq!(json(folder.path())["classifier_dropout"], Value::Null);
    set_json(folder.path(), "classifier_dropout", json!(0.5));
    let model = BertForSequenceClassification::load(folder.path(), &device).unwrap();
    let answer = |rng| values(model.forward(BertInput { rng, ..input([[5, 6]], &device) }));
    assert_ne!(answer(DropoutRng::training(1, [7])), answer(DropoutRng::off()));
    model.save(folder.path()).unwrap();
    assert_eq!(json(folder.path())["classifier_dropout"], 0.5);
}

#[test]
fn two_classes_without_names_have_those_of_transformers() {
    let folder = tempfile::tempdir().unwrap();
    BertForSequenceClassification::init(&config(), &labels(2), 1, &device()).save(folder.path()).unwrap();
    let mut config = json(folder.path());
    config.as_object_mut().unwrap().retain(|key, _| !key.contains("label"));
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let model = BertForSequenceClassification::load(folder.path(), &device()).unwrap();
    assert_eq!(model.labels(), ["LABEL_0", "LABEL_1"]);
}

/// Copies a fixture, so that it can be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture(name).join(file), folder.path().join(file)).unwrap();
    }
    folder
}

/// The masked-token logits of the pretraining fixture's model in `folder`.
fn check_golden(folder: &Path) {
    let (golden, device) = (Golden::open(&fixture("pretraining")), device());
    let model = BertForPreTraining::load(folder, &device).unwrap();
    let logits = model.forward(golden.input(&device), golden.ints("input.masked_positions", &device));
    assert_close("mlm", &values(logits.mlm), &golden.floats("output.mlm"), 2e-5);
}

#[test]
fn the_names_of_old_files_are_known() {
    let folder = copy("pretraining");
    let rename = |name: String| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        name.replace("cls.predictions.bias", "cls.predictions.decoder.bias")
    };
    rewrite(folder.path(), |tensors| tensors.into_iter().map(|(name, data)| (rename(name), data)).collect());
    let names = Weights::open(&folder.path().join("model.safetensors")).unwrap().names();
    assert_eq!(names.iter().filter(|name| name.contains("gamma")).count(), 6);
    check_golden(folder.path());
}

#[test]
fn second_names_of_tied_weights_are_accepted_if_they_are_equal() {
    let add = |scale: f32| {
        let folder = copy("pretraining");
        rewrite(folder.path(), |mut tensors| {
            let get = |name: &str| tensors.iter().find(|(found, _)| found == name).unwrap().1.clone();
            let (mut table, bias) = (get("bert.embeddings.word_embeddings.weight"), get("cls.predictions.bias"));
            table.as_mut_slice::<f32>().unwrap()[7] *= scale;
            tensors.push(("cls.predictions.decoder.weight".to_owned(), table));
            tensors.push(("cls.predictions.decoder.bias".to_owned(), bias));
            tensors.push(("bert.embeddings.position_ids".to_owned(), TensorData::from([[0_i64, 1, 2]])));
            tensors
        });
        folder
    };
    check_golden(add(1.0).path());
    let folder = add(1.5);
    let error = BertForPreTraining::load(folder.path(), &device()).unwrap_err();
    let expected = format!(
        "weight `cls.predictions.decoder.weight` in `{}` differs from `bert.embeddings.word_embeddings.weight`, \
         expected one table for both",
        folder.path().join("model.safetensors").display()
    );
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_classifier_continues_a_pretrained_body() {
    let folder = tempfile::tempdir().unwrap();
    for device in devices() {
        let config = config();
        let pretrained = BertForPreTraining::init(&config, 1, &device);
        pretrained.save(folder.path()).unwrap();
        let device = device.autodiff();
        let adapted = BertForSequenceClassification::from_pretrained(folder.path(), &labels(5), 2, &device).unwrap();
        let Loaded { model, fresh, left_over } = adapted;
        assert_eq!(model.config(), &config);
        assert_eq!((left_over.len(), left_over[0].as_str()), (7, "cls.predictions.transform.dense.weight"));
        assert_eq!(fresh, ["classifier.weight", "classifier.bias"]);
        let rows = [[5, 6, 7, 8]];
        let hidden = values(model.bert().forward(input(rows, &device)));
        assert_eq!(hidden, values(pretrained.bert().forward(input(rows, &device.clone().inner()))));
        // Fresh weights are those of a new model with the same seed, so that a fine-tuning run can be repeated.
        let out = tempfile::tempdir().unwrap();
        let weight = |model: &BertForSequenceClassification, name: &str| {
            model.save(out.path()).unwrap();
            Weights::open(&out.path().join("model.safetensors")).unwrap().read(name).unwrap()
        };
        let new = BertForSequenceClassification::init(&config, &labels(5), 2, &device);
        assert_eq!(weight(&model, "classifier.weight"), weight(&new, "classifier.weight"));
        let grads = model.forward(input(rows, &device)).powi_scalar(2).sum().backward();
        assert_eq!(gradients(&model, &grads).len(), stats::parameters(&model).len());
        // Another classifier will do as well.
        let other = BertForSequenceClassification::from_pretrained(out.path(), &labels(7), 2, &device).unwrap();
        assert_eq!(other.left_over, ["classifier.weight", "classifier.bias"]);
        assert_eq!(other.fresh, ["classifier.weight", "classifier.bias"]);
    }
}

/// Of every encoder what the file has of the heads of pretraining is taken, and the rest is fresh and named.
#[test]
fn pretraining_continues_any_encoder() {
    let device = device();
    let mlm = ["mlm.dense.weight", "mlm.dense.bias", "mlm.norm.weight", "mlm.norm.bias", "mlm.bias"];
    let next_sentence = ["next_sentence.weight", "next_sentence.bias"];
    let pooler = ["pooler.dense.weight", "pooler.dense.bias"];
    let fresh_of = |parts: &[&[&str]]| -> Vec<String> { parts.concat().into_iter().map(str::to_owned).collect() };
    for (name, fresh, class) in [
        ("pretraining", fresh_of(&[]), "BertForPreTraining"),
        ("untied", fresh_of(&[&pooler, &next_sentence]), "BertForPreTraining"),
        ("classification", fresh_of(&[&mlm, &next_sentence]), "BertForPreTraining"),
        ("token_classification", fresh_of(&[&pooler, &mlm, &next_sentence]), "BertForPreTraining"),
        ("roberta_masked_lm", fresh_of(&[]), "RobertaForMaskedLM"),
        ("roberta_classification", fresh_of(&[&mlm]), "RobertaForMaskedLM"),
        ("distilbert_masked_lm", fresh_of(&[]), "DistilBertForMaskedLM"),
        ("distilbert_token_classification", fresh_of(&[&mlm]), "DistilBertForMaskedLM"),
        ("xlm_roberta_masked_lm", fresh_of(&[]), "XLMRobertaForMaskedLM"),
        ("camembert_token_classification", fresh_of(&[&mlm]), "CamembertForMaskedLM"),
    ] {
        let loaded = BertForPreTraining::from_pretrained(&fixture(name), 7, &device).unwrap();
        assert_eq!(loaded.fresh, fresh, "{name}");
        let model = loaded.model;
        assert_eq!(model.class().to_string(), class, "{name}");
        let rows = [[5, 6, 7, 8]];
        let hidden = values(model.bert().forward(input(rows, &device)));
        assert_eq!(
            hidden,
            values(Bert::load(&fixture(name), &device).unwrap().forward(input(rows, &device))),
            "{name}"
        );
        let masked = || Tensor::<1, Int>::from_data([1, 3], &device);
        let logits = values(model.forward_masked(input(rows, &device), masked()));
        if fresh.iter().all(|path| !path.starts_with("mlm.")) {
            let expected = BertForMaskedLM::load(&fixture(name), &device).unwrap();
            assert_eq!(logits, values(expected.forward(input(rows, &device), masked())), "{name}");
        }
        // Fresh weights are those of a new model with the same seed.
        let out = tempfile::tempdir().unwrap();
        model.save(out.path()).unwrap();
        if let Some(path) = fresh.first() {
            let new = tempfile::tempdir().unwrap();
            BertForPreTraining::init(model.config(), 7, &device).save(new.path()).unwrap();
            let name_in_file = model.config().variant.weight_name(path);
            let weight = |folder: &Path| Weights::in_folder(folder).unwrap().read(&name_in_file).unwrap();
            assert_eq!(weight(out.path()), weight(new.path()), "{name}");
        }
        let again = BertForPreTraining::load(out.path(), &device).unwrap();
        assert_eq!(again.has_next_sentence(), class == "BertForPreTraining", "{name}");
        assert_eq!(values(again.forward_masked(input(rows, &device), masked())), logits, "{name}");
    }

    let alone = copy("classification");
    set_json(alone.path(), "architectures", json!(["BertModel"]));
    rewrite(alone.path(), |tensors| {
        let alone = |(name, data): (String, _)| Some((name.strip_prefix("bert.")?.to_owned(), data));
        tensors.into_iter().filter_map(alone).collect()
    });
    let loaded = BertForPreTraining::from_pretrained(alone.path(), 7, &device).unwrap();
    assert_eq!((loaded.fresh, loaded.left_over), (fresh_of(&[&mlm, &next_sentence]), Vec::new()));

    // Half of a head is a damaged file.
    let half = copy("pretraining");
    rewrite(half.path(), |mut tensors| {
        tensors.retain(|(name, _)| name != "cls.predictions.transform.dense.bias");
        tensors
    });
    let error = BertForPreTraining::from_pretrained(half.path(), 7, &device).unwrap_err().to_string();
    assert!(error.ends_with("has no weight `cls.predictions.transform.dense.bias`"), "{error}");
}

#[test]
fn the_meaning_of_logits_is_written_as_transformers_and_cross_encoders_have_it() {
    let (folder, device, config) = (tempfile::tempdir().unwrap(), device(), config());
    let cases = [
        (Outputs::Classes, labels(3), json!("single_label_classification"), Value::Null),
        (Outputs::Labels, labels(3), json!("multi_label_classification"), Value::Null),
        (
            Outputs::Score(OutputActivation::Identity),
            labels(1),
            json!("regression"),
            json!({ "activation_fn": "torch.nn.modules.linear.Identity" }),
        ),
        (
            Outputs::Score(OutputActivation::Sigmoid),
            labels(1),
            Value::Null,
            json!({ "activation_fn": "torch.nn.modules.activation.Sigmoid" }),
        ),
    ];
    for (outputs, labels, problem, cross_encoder) in &cases {
        let model = BertForSequenceClassification::init(&config, labels, 1, &device).with_outputs(*outputs);
        model.save(folder.path()).unwrap();
        let written = json(folder.path());
        assert_eq!((&written["problem_type"], &written["sentence_transformers"]), (problem, cross_encoder));
        assert_eq!(BertForSequenceClassification::outputs_of(folder.path()).unwrap(), *outputs);
        assert_eq!(BertForSequenceClassification::load(folder.path(), &device).unwrap().outputs(), *outputs);
        // A head is kept for the same outputs alone; the label of a score may have any name.
        for (wanted, others, ..) in &cases {
            let score = matches!(wanted, Outputs::Score(_));
            let others = if score { vec!["score".to_owned()] } else { others.clone() };
            let loaded = BertForSequenceClassification::from_pretrained_with_outputs(
                folder.path(),
                &others,
                *wanted,
                2,
                &device,
            );
            let Loaded { model, fresh, .. } = loaded.unwrap();
            assert_eq!(fresh.is_empty(), wanted == outputs, "{outputs:?} as {wanted:?}: {fresh:?}");
            assert_eq!((model.outputs(), model.labels()), (*wanted, others.as_slice()));
        }
    }
}

#[test]
#[should_panic(expected = "outputs: a score of a model with 3 labels")]
fn a_score_has_one_label() {
    let model = BertForSequenceClassification::init(&config(), &labels(3), 1, &device());
    let _ = model.with_outputs(Outputs::Score(OutputActivation::Identity));
}

#[test]
fn a_classifier_of_the_same_classes_is_kept() {
    let device = device();
    let order = [3, 0, 5, 1, 4, 2];
    for (name, n_labels) in [("classification", 6), ("roberta_classification", 3), ("xlm_roberta_classification", 3)] {
        let theirs = BertForSequenceClassification::load(&fixture(name), &device).unwrap();
        let order: Vec<usize> = order.iter().copied().filter(|row| *row < n_labels).collect();
        let labels: Vec<String> = order.iter().map(|&row| theirs.labels()[row].clone()).collect();
        let loaded = BertForSequenceClassification::from_pretrained(&fixture(name), &labels, 1, &device).unwrap();
        assert_eq!(loaded.fresh, [""; 0], "{name}");
        assert_eq!(loaded.model.labels(), labels);
        let rows = [[5, 6, 7, 8]];
        let expected = values(theirs.forward(input(rows, &device)));
        let expected: Vec<f64> = order.iter().map(|&row| expected[row]).collect();
        assert_close(name, &values(loaded.model.forward(input(rows, &device))), &expected, 1e-6);
        // It trains as any other.
        let model =
            BertForSequenceClassification::from_pretrained(&fixture(name), &labels, 1, &device.clone().autodiff());
        let model = model.unwrap().model;
        let rows = input(rows, &device.clone().autodiff());
        let grads = model.forward(rows).powi_scalar(2).sum().backward();
        assert_eq!(gradients(&model, &grads).len(), stats::parameters(&model).len());
        // Other names, and another number of classes.
        let mut other = labels.clone();
        other[0] = "another".to_owned();
        for labels in [&other, &labels[1..].to_vec()] {
            let loaded = BertForSequenceClassification::from_pretrained(&fixture(name), labels, 1, &device).unwrap();
            assert!(loaded.fresh.iter().any(|path| path == "classifier.weight"), "{name}: {:?}", loaded.fresh);
        }
    }
    for name in ["token_classification", "distilbert_token_classification", "camembert_token_classification"] {
        let theirs = BertForTokenClassification::load(&fixture(name), &device).unwrap();
        let labels: Vec<String> = theirs.labels().iter().rev().cloned().collect();
        let loaded = BertForTokenClassification::from_pretrained(&fixture(name), &labels, 1, &device).unwrap();
        assert_eq!(loaded.fresh, [""; 0], "{name}");
        let answer = |model: &BertForTokenClassification| {
            values(model.forward(input([[5, 6, 7]], &device), Tensor::from_data([2], &device)))
        };
        let expected: Vec<f64> = answer(&theirs).into_iter().rev().collect();
        assert_close(name, &answer(&loaded.model), &expected, 1e-6);
        // The same names of another task are another classifier.
        let texts = BertForSequenceClassification::from_pretrained(&fixture(name), &labels, 1, &device).unwrap();
        assert!(texts.fresh.iter().any(|path| path == "classifier.weight"), "{name}");
    }
}

#[test]
fn a_classifier_of_tokens_continues_any_body_with_its_dropout() {
    let device = device();
    let labels = labels(5);
    for (name, key) in [
        ("classification", Some("classifier_dropout")),
        ("roberta_masked_lm", Some("classifier_dropout")),
        ("distilbert_classification", None),
    ] {
        let folder = copy(name);
        set_json(folder.path(), "classifier_dropout", json!(0.5));
        let loaded = BertForTokenClassification::from_pretrained(folder.path(), &labels, 2, &device).unwrap();
        assert_eq!(loaded.fresh, ["token_classifier.weight", "token_classifier.bias"], "{name}");
        assert!(!loaded.left_over.is_empty(), "{name}");
        let out = tempfile::tempdir().unwrap();
        loaded.model.save(out.path()).unwrap();
        assert_eq!(json(out.path()).get("classifier_dropout").cloned(), key.map(|_| json!(0.5)), "{name}");
        let again = BertForTokenClassification::load(out.path(), &device).unwrap();
        let answer = |model: &BertForTokenClassification, rng| {
            let input = BertInput { rng, ..input([[5, 6, 7]], &device) };
            values(model.forward(input, Tensor::from_data([2, 0], &device)))
        };
        let training = || DropoutRng::training(1, [7]);
        assert_eq!(answer(&again, training()), answer(&loaded.model, training()), "{name}");
        // The body of this fixture drops nothing, so that only the classifier can.
        assert_eq!(answer(&again, training()) != answer(&again, DropoutRng::off()), key.is_some(), "{name}");
    }
}

#[test]
fn a_pooler_that_is_missing_is_fresh_and_named() {
    let folder = copy("pretraining");
    set_json(folder.path(), "architectures", json!(["BertForMaskedLM"]));
    rewrite(folder.path(), |mut tensors| {
        tensors.retain(|(name, _)| !name.contains("pooler") && !name.contains("seq_relationship"));
        tensors
    });
    let adapted = BertForSequenceClassification::from_pretrained(folder.path(), &labels(5), 2, &device()).unwrap();
    let Loaded { model, fresh, .. } = adapted;
    assert_eq!(fresh, ["pooler.dense.weight", "pooler.dense.bias", "classifier.weight", "classifier.bias"]);
    let again = BertForSequenceClassification::from_pretrained(folder.path(), &labels(5), 2, &device()).unwrap().model;
    let answer = |model: &BertForSequenceClassification| values(model.forward(input([[5, 6, 7]], &device())));
    assert_eq!(answer(&again), answer(&model));
    let zero = BertForSequenceClassification::new(model.config(), &labels(5), &device());
    assert_ne!(answer(&model), answer(&zero));
}

#[test]
fn a_file_of_the_body_alone_gives_a_classifier() {
    let folder = copy("classification");
    set_json(folder.path(), "architectures", json!(["BertModel"]));
    rewrite(folder.path(), |tensors| {
        let alone = |(name, data): (String, _)| Some((name.strip_prefix("bert.")?.to_owned(), data));
        let position_ids = ("embeddings.position_ids".to_owned(), TensorData::from([[0_i64, 1, 2]]));
        tensors.into_iter().filter_map(alone).chain([position_ids]).collect()
    });
    let adapted = BertForSequenceClassification::from_pretrained(folder.path(), &labels(5), 2, &device()).unwrap();
    let Loaded { model, fresh, .. } = adapted;
    assert_eq!(fresh, ["classifier.weight", "classifier.bias"]);
    let golden = Golden::open(&fixture("classification"));
    let hidden = values(model.bert().forward(golden.input(&device())));
    assert_close("hidden", &hidden, &golden.floats("output.hidden"), 2e-5);
}

#[test]
fn a_classifier_of_each_variant_continues_its_masked_language_model() {
    for (name, expected) in [
        ("roberta_masked_lm", ["pooler.dense.weight", "pooler.dense.bias", "classifier.weight", "classifier.bias"]),
        ("distilbert_masked_lm", ["pooler.dense.weight", "pooler.dense.bias", "classifier.weight", "classifier.bias"]),
    ] {
        let golden = Golden::open(&fixture(name));
        let device = device().autodiff();
        let adapted = BertForSequenceClassification::from_pretrained(&fixture(name), &labels(5), 2, &device).unwrap();
        assert_eq!(adapted.fresh, expected, "{name}");
        assert_eq!(adapted.left_over.len(), 5, "{name}");
        let hidden = values(adapted.model.bert().forward(golden.input(&device)));
        assert_close("hidden", &hidden, &golden.floats("output.hidden"), 2e-5);
        let grads = adapted.model.forward(golden.input(&device)).powi_scalar(2).sum().backward();
        assert_eq!(gradients(&adapted.model, &grads).len(), stats::parameters(&adapted.model).len());
    }
}

/// A file of the first releases does not say whose it is.
#[test]
fn a_config_without_model_type_and_architectures_is_a_berts() {
    for (name, head) in [("pretraining", Head::PreTraining), ("untied", Head::MaskedLm)] {
        let folder = copy(name);
        let mut config = json(folder.path());
        config.as_object_mut().unwrap().retain(|key, _| !["model_type", "architectures"].contains(&key.as_str()));
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        assert_eq!(ModelClass::of(folder.path()).unwrap().head(), head);
        assert_eq!(
            BertForMaskedLM::load(folder.path(), &device()).unwrap().config(),
            &BertConfig::load(&fixture(name)).unwrap()
        );
    }
    let folder = copy("classification");
    set_json(folder.path(), "architectures", Value::Null);
    assert!(ModelClass::of(folder.path()).unwrap_err().to_string().contains("expected the name of its class"));
}

#[test]
fn no_two_parameters_share_a_name() {
    for variant in BertVariant::ALL {
        let config = BertConfig { tied_embeddings: false, ..config_of(variant) };
        let mut models = vec![
            stats::parameters(&BertForMaskedLM::new(&config, &device())),
            stats::parameters(&BertForSequenceClassification::new(&config, &labels(5), &device())),
        ];
        if variant == BertVariant::Bert {
            models.push(stats::parameters(&BertForPreTraining::new(&config, &device())));
        }
        for parameters in models {
            let mut names: Vec<String> = parameters.iter().map(|(path, _)| variant.weight_name(path)).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), parameters.len());
        }
    }
}
