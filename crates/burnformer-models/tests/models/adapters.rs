//! Adapters: equal to peft, in its files, trained alone.

use crate::support::{Golden, assert_near, device, devices, fixture, labels, values};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor};
use burnformer_core::adapter::with_base;
use burnformer_models::weights::Weights;
use burnformer_models::{
    Adapter, AdapterBias, AdapterConfig, Architecture, BertForSequenceClassification, BertForTokenClassification,
    BertInput, BertModel, GptForCausalLM, GptInput, Head, ModelClass, ModelError, Pretrained, SharedBase, Targets,
    export, stats, weights::WeightType, with_adapter,
};
use burnformer_nn::{DropoutRng, with_activation_checkpointing};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A model of these fixtures.
trait Model: Pretrained {
    fn answers(&self, ids: Tensor<2, Int>, rng: DropoutRng) -> Tensor<1>;

    /// The base model of the fixture `folder`, for a model with `n_labels`.
    fn base(folder: &Path, n_labels: usize, device: &Device) -> Self;
}

impl Model for BertForSequenceClassification {
    fn answers(&self, ids: Tensor<2, Int>, rng: DropoutRng) -> Tensor<1> {
        let logits = self.forward(BertInput { rng, ..BertInput::new(ids) });
        let n = logits.shape().num_elements();
        logits.reshape([n])
    }

    fn base(folder: &Path, n_labels: usize, device: &Device) -> Self {
        match Self::load(folder, device) {
            Ok(model) => model,
            Err(_) => Self::from_pretrained(folder, &labels(n_labels), 1, device).unwrap().model,
        }
    }
}

impl Model for BertForTokenClassification {
    fn answers(&self, ids: Tensor<2, Int>, rng: DropoutRng) -> Tensor<1> {
        let n_tokens = ids.shape().num_elements();
        let positions = Tensor::arange(0..n_tokens as i64, &ids.device());
        let logits = self.forward(BertInput { rng, ..BertInput::new(ids) }, positions);
        let n = logits.shape().num_elements();
        logits.reshape([n])
    }

    fn base(folder: &Path, _n_labels: usize, device: &Device) -> Self {
        Self::load(folder, device).unwrap()
    }
}

impl Model for GptForCausalLM {
    fn answers(&self, ids: Tensor<2, Int>, rng: DropoutRng) -> Tensor<1> {
        let logits = self.forward(GptInput { rng, ..GptInput::new(ids) });
        let n = logits.shape().num_elements();
        logits.reshape([n])
    }

    fn base(folder: &Path, _n_labels: usize, device: &Device) -> Self {
        Self::load(folder, device).unwrap()
    }
}

impl Model for BertModel {
    fn answers(&self, ids: Tensor<2, Int>, rng: DropoutRng) -> Tensor<1> {
        let hidden = self.bert().forward(BertInput { rng, ..BertInput::new(ids) });
        let n = hidden.shape().num_elements();
        hidden.reshape([n])
    }

    fn base(folder: &Path, _n_labels: usize, device: &Device) -> Self {
        Self::load(folder, device).unwrap()
    }
}

fn folder(name: &str) -> PathBuf {
    fixture("peft").join(name)
}

/// The gradient of every parameter that has one, by path.
fn gradients<M: Module>(module: &M, grads: &Gradients) -> BTreeMap<String, Vec<f64>> {
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
            if let Some(gradient) = param.val().grad(self.grads) {
                self.found.insert(self.path.join("."), values(gradient));
            }
        }
    }
    let mut visitor = Visitor { path: Vec::new(), grads, found: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// Merged, attached, and saved again.
fn check<M: Model>(name: &str) {
    let (folder, golden) = (folder(name), Golden::open(&folder(name)));
    let expected = golden.floats("output.logits");
    for device in devices() {
        let ids = || golden.ints::<2>("input.ids", &device);
        let merged = M::load(&folder, &device).unwrap();
        assert_near(name, &values(merged.answers(ids(), DropoutRng::off())), &expected, 1e-5);

        let adapter = Adapter::open(&folder).unwrap();
        let base = fixture(&adapter.config().base);
        let tracked = device.clone().autodiff();
        let model = adapter.attach(M::base(&base, merged.labels().len(), &tracked)).unwrap();
        let logits = model.answers(golden.ints::<2>("input.ids", &tracked), DropoutRng::off());
        assert_near(name, &values(logits.clone().inner()), &expected, 1e-5);
        let found = gradients(&model, &logits.powi_scalar(2).sum().backward());
        // What burn calls by path peft calls by name: both are in one order by their numbers.
        let expected: Vec<f64> =
            golden.names("grad.").iter().flat_map(|name| golden.floats(&format!("grad.{name}"))).collect();
        if !name.starts_with("gpt2") && name != "all_biases" {
            let found: Vec<f64> = found.values().flatten().copied().collect();
            assert_eq!(found.len(), expected.len(), "{name}: number of trained weights");
            let square = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>();
            let (found, expected) = (square(&found), square(&expected));
            assert!((found - expected).abs() <= 1e-4 * expected, "{name}: {found} and {expected}");
        }
    }
}

#[test]
fn adapters_of_peft_give_its_logits_and_gradients() {
    for name in ["default", "embeddings", "patterns", "all_biases", "all_linear"] {
        check::<BertForSequenceClassification>(name);
    }
    check::<BertForTokenClassification>("rslora_bias");
    check::<BertModel>("body");
    for name in ["gpt2", "gpt2_output"] {
        check::<GptForCausalLM>(name);
    }
}

/// Every gradient by name, where one adapter has one of every kind.
#[test]
fn every_gradient_is_that_of_peft() {
    let folder = folder("embeddings");
    let golden = Golden::open(&folder);
    let device = device().autodiff();
    let adapter = Adapter::open(&folder).unwrap();
    let model =
        adapter.attach(BertForSequenceClassification::load(&fixture("classification"), &device).unwrap()).unwrap();
    let loss = model.answers(golden.ints::<2>("input.ids", &device), DropoutRng::off()).powi_scalar(2).sum();
    let found = gradients(&model, &loss.backward());
    let name = |path: &str| match path.strip_suffix(".a").or(path.strip_suffix(".b")) {
        None => format!("base_model.model.{path}"),
        Some(weight) => {
            let weight = weight.strip_suffix(".weight.lora").unwrap();
            let module = BertForSequenceClassification::config(&model).variant.weight_name(&format!("{weight}."));
            let module = module.trim_end_matches('.');
            let end = if path.ends_with(".a") { "A" } else { "B" };
            match module.contains("embeddings") {
                true => format!("base_model.model.{module}.lora_embedding_{end}"),
                false => format!("base_model.model.{module}.lora_{end}.weight"),
            }
        }
    };
    assert_eq!(found.len(), golden.names("grad.").len());
    for (path, gradient) in found {
        assert_near(&path, &gradient, &golden.floats(&format!("grad.{}", name(&path))), 1e-4);
    }
}

/// The weights in a file by name.
fn weights(folder: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut file = Weights::open(&folder.join("adapter_model.safetensors")).unwrap();
    let names = file.names();
    names
        .into_iter()
        .map(|name| {
            let data = file.read(&name).unwrap();
            (name, (data.shape().to_vec(), data.iter::<f32>().collect()))
        })
        .collect()
}

#[test]
fn an_adapter_is_saved_as_peft_saves_it() {
    for name in ["default", "embeddings", "all_linear", "patterns"] {
        let (from, to) = (folder(name), tempfile::tempdir().unwrap());
        let adapter = Adapter::open(&from).unwrap();
        let n_labels = BertForSequenceClassification::load(&from, &device()).unwrap().labels().len();
        let base = BertForSequenceClassification::base(&fixture(&adapter.config().base), n_labels, &device());
        let model = adapter.attach(base).unwrap();
        with_adapter(adapter.config(), || model.save(to.path())).unwrap();
        assert_eq!(weights(to.path()), weights(&from), "{name}");
        for file in ["model.safetensors", "config.json"] {
            assert!(!to.path().join(file).exists(), "{name}: {file}");
        }
        let again = Adapter::open(to.path()).unwrap();
        assert_eq!(again.config(), adapter.config(), "{name}");
        // The folder is a model with its labels, too.
        let base = fixture(&adapter.config().base);
        let merged = with_base(Some(&base), || BertForSequenceClassification::load(to.path(), &device())).unwrap();
        assert_eq!(merged.labels(), model.labels(), "{name}");
        let ids = Golden::open(&from).ints::<2>("input.ids", &device());
        let logits = |model: &BertForSequenceClassification| values(model.answers(ids.clone(), DropoutRng::off()));
        assert_near(name, &logits(&merged), &logits(&model), 1e-5);
    }
}

/// A body has no name of its own among the weights of its adapter.
#[test]
fn the_adapter_of_a_body_is_saved_as_peft_saves_it() {
    let (from, to) = (folder("body"), tempfile::tempdir().unwrap());
    let adapter = Adapter::open(&from).unwrap();
    let model = adapter.attach(BertModel::load(&fixture(&adapter.config().base), &device()).unwrap()).unwrap();
    with_adapter(adapter.config(), || model.save(to.path())).unwrap();
    assert_eq!(weights(to.path()), weights(&from));
}

#[test]
fn a_model_with_an_adapter_is_not_saved_as_another() {
    let adapter = Adapter::open(&folder("default")).unwrap();
    let base = BertForSequenceClassification::load(&fixture("classification"), &device()).unwrap();
    let model = adapter.attach(base.clone()).unwrap();
    let to = tempfile::tempdir().unwrap();
    assert!(matches!(model.save(to.path()), Err(ModelError::UnmergedAdapter)));
    // As part of its weights it is.
    let ids = Golden::open(&folder("default")).ints::<2>("input.ids", &device());
    let logits = |model: &BertForSequenceClassification| values(model.answers(ids.clone(), DropoutRng::off()));
    let expected = logits(&model);
    model.materialize().save(to.path()).unwrap();
    let merged = BertForSequenceClassification::load(to.path(), &device()).unwrap();
    assert_near("merged", &logits(&merged), &expected, 1e-5);
    assert_eq!(stats::parameters(&merged), stats::parameters(&base));
}

#[test]
fn export_merges_an_adapter() {
    let to = tempfile::tempdir().unwrap();
    for (name, class) in [("patterns", "BertForSequenceClassification"), ("gpt2", "GPT2LMHeadModel")] {
        assert_eq!(ModelClass::of(&folder(name)).unwrap().to_string(), class);
        export(&folder(name), to.path(), WeightType::F32, &device()).unwrap();
        assert_eq!(ModelClass::of(to.path()).unwrap().to_string(), class);
    }
    let golden = Golden::open(&folder("gpt2"));
    let model = GptForCausalLM::load(to.path(), &device()).unwrap();
    let logits = values(model.answers(golden.ints::<2>("input.ids", &device()), DropoutRng::off()));
    assert_near("exported", &logits, &golden.floats("output.logits"), 1e-5);
}

/// A new adapter changes nothing, and is all that gets gradients, also with checkpointing and with dropout.
#[test]
fn a_new_adapter_changes_nothing_and_is_trained_alone() {
    let base = fixture("classification");
    let mut config = AdapterConfig::new("classification", Architecture::Bert, Head::SequenceClassification);
    config.targets = Targets::Pattern("all-linear".to_owned());
    (config.rank, config.dropout) = (3, 0.5);
    for device in devices() {
        let (model, device) =
            (|device: &Device| BertForSequenceClassification::load(&base, device).unwrap(), device.autodiff());
        let ids = || Golden::open(&folder("default")).ints::<2>("input.ids", &device);
        let expected = values(model(&device).answers(ids(), DropoutRng::off()).inner());
        let adapted = config.attach(model(&device), 7).unwrap();
        assert_eq!(values(adapted.answers(ids(), DropoutRng::off()).inner()), expected);
        let gradients = |checkpointing: bool| {
            let rng = DropoutRng::training(5, [1, 2]);
            let loss =
                with_activation_checkpointing(checkpointing, || adapted.answers(ids(), rng)).powi_scalar(2).sum();
            gradients(&adapted, &loss.backward())
        };
        let found = gradients(false);
        let trained: Vec<&String> = found.keys().collect();
        assert!(trained.iter().all(|path| path.contains(".lora.") || path.starts_with("classifier.")), "{trained:?}");
        // Two matrices of each of six maps in two layers and of the pooler, and the classifier.
        assert_eq!(trained.len(), 2 * (6 * 2 + 1) + 2);
        assert_eq!(gradients(true), found);
        // Without dropout they are others.
        let loss = adapted.answers(ids(), DropoutRng::off()).powi_scalar(2).sum();
        assert_ne!(super::adapters::gradients(&adapted, &loss.backward()), found);
    }
}

/// A is uniform in ±`1 / sqrt(d_in)`, B zero; of a table A is zero and B normal (peft 0.21.2, `reset_lora_parameters`).
#[test]
fn a_new_adapter_has_the_initial_values_of_peft() {
    let base = BertForSequenceClassification::load(&fixture("classification"), &device()).unwrap();
    let mut config = AdapterConfig::new("classification", Architecture::Bert, Head::SequenceClassification);
    config.targets = Targets::Names(vec!["word_embeddings".to_owned(), "query".to_owned()]);
    config.rank = 16;
    let to = tempfile::tempdir().unwrap();
    let model = config.attach(base, 7).unwrap();
    with_adapter(&config, || model.save(to.path())).unwrap();
    for (name, (shape, values)) in weights(to.path()).into_iter().filter(|(name, _)| name.contains("lora_")) {
        let largest = values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        if name.ends_with("lora_A.weight") {
            let bound = 1.0 / (shape[1] as f32).sqrt();
            assert!(largest <= bound && largest > 0.9 * bound, "{name}: {largest}");
        } else if name.ends_with("lora_embedding_B") {
            let variance = values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32;
            assert!((variance - 1.0).abs() < 0.3, "{name}: {variance}");
        } else {
            assert_eq!(largest, 0.0, "{name}");
        }
    }
}

/// What is there of an adapter's settings after `change`.
fn settings(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Result<AdapterConfig, String> {
    let text = fs::read_to_string(folder("default").join("adapter_config.json")).unwrap();
    let mut json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    change(&mut json);
    let to = tempfile::tempdir().unwrap();
    fs::write(to.path().join("adapter_config.json"), serde_json::to_string(&json).unwrap()).unwrap();
    AdapterConfig::read(to.path()).map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    use serde_json::json;
    for (key, value) in [
        ("use_dora", json!(true)),
        ("layer_replication", json!([[0, 1]])),
        ("trainable_token_indices", json!([3])),
        ("target_parameters", json!(["weight"])),
        ("alora_invocation_tokens", json!([1])),
        ("lora_bias", json!(true)),
        ("init_lora_weights", json!("pissa")),
        ("peft_type", json!("IA3")),
        ("target_modules", json!("(query")),
        ("r", json!(0)),
        ("lora_dropout", json!(1.0)),
    ] {
        let error = settings(|json| drop(json.insert(key.to_owned(), value))).unwrap_err();
        assert!(error.contains(&format!("`{key}`")), "{error}");
    }
    let config = settings(|json| {
        json.insert("bias".to_owned(), json!("all"));
        json.insert("layers_to_transform".to_owned(), json!(1));
    });
    let config = config.unwrap();
    assert_eq!((config.bias, config.layers), (AdapterBias::All, vec![1]));
}

#[test]
fn targets_that_are_nowhere_are_an_error_with_those_there_are() {
    let base = BertForSequenceClassification::load(&fixture("classification"), &device()).unwrap();
    let mut config = AdapterConfig::new("classification", Architecture::Bert, Head::SequenceClassification);
    config.targets = Targets::Names(vec!["q_proj".to_owned()]);
    let error = config.attach(base, 7).unwrap_err().to_string();
    assert!(error.contains("named by `target_modules` (`q_proj`)") && error.contains("`query`"), "{error}");

    // In GPT-2 queries, keys and values are one map, which is three here.
    let model = GptForCausalLM::load(&fixture("gpt2"), &device()).unwrap();
    let mut config = AdapterConfig::new("gpt2", Architecture::Gpt2, Head::CausalLm);
    let error = config.attach(model.clone(), 7).unwrap_err().to_string();
    assert!(error.contains("`target_modules` is transformer.h.0.attn.c_attn") && error.contains("`c_proj`"), "{error}");
    config.targets = Targets::Names(vec!["c_proj".to_owned()]);
    assert!(config.attach(model, 7).is_ok());
}

/// The weights of the base are there once, whatever the number of adapters.
#[test]
fn several_adapters_share_their_base() {
    let device = device();
    let shared = SharedBase::new();
    let load = |name: &str| shared.load(|| BertForSequenceClassification::load(&folder(name), &device)).unwrap();
    let model = load("default");
    let n_weights = shared.n_weights();
    // All but the classifier, which is the adapter's.
    let parameters = stats::parameters(&model);
    let of_base = parameters.iter().filter(|(path, _)| !path.contains(".lora.") && !path.starts_with("classifier"));
    assert_eq!(n_weights, of_base.count());
    let models = [("default", model), ("embeddings", load("embeddings"))];
    assert_eq!(shared.n_weights(), n_weights);
    for (name, model) in models {
        let golden = Golden::open(&folder(name));
        let answers = model.answers(golden.ints::<2>("input.ids", &device), DropoutRng::off());
        assert_near(name, &values(answers), &golden.floats("output.logits"), 1e-5);
    }
    // Queries, keys and values that are one map in the file.
    let golden = Golden::open(&folder("gpt2"));
    let model = shared.load(|| GptForCausalLM::load(&folder("gpt2"), &device)).unwrap();
    let answers = model.answers(golden.ints::<2>("input.ids", &device), DropoutRng::off());
    assert_near("gpt2", &values(answers), &golden.floats("output.logits"), 1e-5);
}

/// Every name has modules, and what is trained as a whole is not offered.
#[test]
fn each_target_has_modules() {
    let base = BertForSequenceClassification::load(&fixture("classification"), &device()).unwrap();
    let mut config = AdapterConfig::new("classification", Architecture::Bert, Head::SequenceClassification);
    for name in ["q_proj", "classifier"] {
        config.targets = Targets::Names(vec!["query".to_owned(), name.to_owned()]);
        let error = config.attach(base.clone(), 7).unwrap_err().to_string();
        assert!(error.contains(&format!("`target_modules` (`{name}`)")), "{error}");
        let (_, offered) = error.rsplit_once("name some of").unwrap();
        assert!(offered.contains("`query`") && !offered.contains("`classifier`"), "{error}");
    }
}

/// The error of the adapter `default` after `change` of its settings.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let to = tempfile::tempdir().unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(folder("default").join(file), to.path().join(file)).unwrap();
    }
    let file = to.path().join("adapter_config.json");
    let mut json = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    change(&mut json);
    fs::write(&file, json.to_string()).unwrap();
    let base = fixture("classification");
    let load = || BertForSequenceClassification::load(to.path(), &device());
    with_base(Some(&base), load).map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn settings_that_contradict_the_weights_are_an_error() {
    use serde_json::json;
    assert_eq!(changed(|_| {}), "");
    let (query, key) = ("attention.self.query.lora_A.weight", "attention.self.key.lora_A.weight");
    for (setting, value, said) in [
        ("target_modules", json!(["value"]), query),
        ("target_modules", json!(["query", "key", "value"]), key),
        ("exclude_modules", json!(["query"]), query),
        ("layers_to_transform", json!([0]), "layer.1.attention.self"),
    ] {
        let error = changed(|json| json[setting] = value);
        assert!(error.contains(said) && error.contains("adapter_model.safetensors"), "{setting}: {error}");
    }
}

#[test]
fn values_that_are_not_finite_are_those_of_the_adapter() {
    let to = tempfile::tempdir().unwrap();
    fs::copy(folder("default").join("adapter_config.json"), to.path().join("adapter_config.json")).unwrap();
    let file = folder("default").join("adapter_model.safetensors");
    let whole = fs::read(file).unwrap();
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&whole[8..8 + header]).unwrap();
    for end in ["query.lora_A.weight", "value.lora_B.weight", "classifier.weight"] {
        let (name, entry) = json.as_object().unwrap().iter().find(|(name, _)| name.ends_with(end)).unwrap();
        let at = 8 + header + entry["data_offsets"][0].as_u64().unwrap() as usize;
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(to.path().join("adapter_model.safetensors"), bytes).unwrap();
        let base = fixture("classification");
        let load = || BertForSequenceClassification::load(to.path(), &device());
        let error = with_base(Some(&base), load).unwrap_err().to_string();
        assert!(
            error.contains(&format!("weight `{name}` in `")) && error.contains("adapter_model.safetensors"),
            "{error}"
        );
    }
}

#[test]
fn weights_that_belong_to_another_base_are_an_error() {
    let to = tempfile::tempdir().unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(folder("default").join(file), to.path().join(file)).unwrap();
    }
    let load =
        |base: &str| with_base(Some(&fixture(base)), || BertForSequenceClassification::load(to.path(), &device()));
    assert!(load("classification").is_ok());
    let error = load("distilbert_classification").unwrap_err().to_string();
    assert!(error.contains("attention.self.query.lora_A.weight"), "{error}");
    let error = BertForSequenceClassification::load(to.path(), &device()).unwrap_err().to_string();
    assert!(error.contains("is `classification`, and there is no such folder"), "{error}");
}
