//! What layered settings promise, on settings of every shape that serde derives.

use std::collections::BTreeMap;
use std::error::Error;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::config::ConfigError;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Settings {
    model: Model,
    optim: Optim,
    seed: u64,
    name: String,
    stop_after: Option<usize>,
    weights: BTreeMap<String, f64>,
    stages: Vec<Model>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Model {
    d_model: usize,
    n_heads: usize,
    dropout: f32,
    activation: Activation,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Activation {
    Gelu,
    Relu,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Optim {
    Adamw {
        learning_rate: f64,
        beta2: f64,
    },
    Lamb {
        learning_rate: f64,
        #[serde(default)]
        trust: Option<f64>,
    },
    Sgd {
        learning_rate: f64,
        momentum: f64,
    },
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), ConfigError> {
        self.model.validate().map_err(|error| error.within("model"))?;
        for (index, stage) in self.stages.iter().enumerate() {
            stage.validate().map_err(|error| error.within(&format!("stages[{index}]")))?;
        }
        Ok(())
    }
}

impl Validate for Model {
    fn validate(&self) -> Result<(), ConfigError> {
        ConfigError::check_divides(self.d_model, self.n_heads)?;
        ConfigError::check_probability("dropout", self.dropout.into())
    }
}

fn preset() -> Settings {
    Settings {
        model: Model { d_model: 512, n_heads: 8, dropout: 0.1, activation: Activation::Gelu },
        optim: Optim::Adamw { learning_rate: 1e-4, beta2: 0.98 },
        seed: 1,
        name: "base".to_owned(),
        stop_after: None,
        weights: BTreeMap::new(),
        stages: Vec::new(),
    }
}

fn load_with(toml: &str, sets: &[&str]) -> Result<Settings, SettingsError> {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    load_text(&preset(), "s.toml", toml, &sets)
}

/// The error and its source, in one line.
fn error_with(toml: &str, sets: &[&str]) -> String {
    let error = load_with(toml, sets).unwrap_err();
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn without_layers_the_preset_stays() {
    assert_eq!(load(&preset(), None, &[]).unwrap(), preset());
}

#[test]
fn a_file_changes_only_what_it_sets() {
    let settings = load_with("seed = 2\nstop_after = 7\n[model]\ndropout = 0\n[weights]\na = 1\n", &[]).unwrap();
    let mut expected = preset();
    expected.seed = 2;
    expected.stop_after = Some(7);
    expected.model.dropout = 0.0;
    expected.weights.insert("a".to_owned(), 1.0);
    assert_eq!(settings, expected);
}

#[test]
fn a_set_overrides_the_file_and_the_last_set_wins() {
    let settings = load_with("[model]\nn_heads = 4", &["model.n_heads=2", "model.n_heads=16"]).unwrap();
    assert_eq!(settings.model.n_heads, 16);
}

#[test]
fn a_number_is_a_name_where_a_name_stands() {
    assert_eq!(load_with("", &["name=2024"]).unwrap().name, "2024");
    assert_eq!(load_with("", &["model.activation=relu"]).unwrap().model.activation, Activation::Relu);
}

#[test]
fn an_empty_set_or_text_switches_an_option_off() {
    assert_eq!(load_with("stop_after = 7", &["stop_after="]).unwrap().stop_after, None);
    let preset = Settings { stop_after: Some(7), ..preset() };
    assert_eq!(load_text(&preset, "s.toml", "stop_after = \"\"", &[]).unwrap().stop_after, None);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
    assert_eq!(
        error_with("seed = 2\n\n[model]\nd_modle = 256", &[]),
        "`s.toml` line 4 sets the unknown key `model.d_modle`, did you mean `model.d_model`?"
    );
    assert_eq!(
        error_with("", &["d_model=256"]),
        "the override `d_model=256` sets the unknown key `d_model`, did you mean `model.d_model`?"
    );
    assert_eq!(
        error_with("[modle]\nd_model = 256", &[]),
        "`s.toml` line 1 sets the unknown key `modle`, did you mean `model`?"
    );
    assert_eq!(
        error_with("", &["model.temperature=1"]),
        "the override `model.temperature=1` sets the unknown key `model.temperature`, \
         known here: `activation`, `d_model`, `dropout`, `n_heads`"
    );
}

#[test]
fn an_unknown_key_inside_a_tagged_enum_is_found() {
    assert_eq!(
        error_with("[optim]\nbeta_2 = 0.9", &[]),
        "`s.toml` line 2 sets the unknown key `optim.beta_2`, did you mean `optim.beta2`?"
    );
}

#[test]
fn a_key_of_the_other_variant_is_unknown_only_when_a_layer_sets_it() {
    let lamb = Optim::Lamb { learning_rate: 1e-4, trust: Some(10.0) };
    let settings = load_with("[optim]\nkind = \"lamb\"\ntrust = 10", &[]).unwrap();
    assert_eq!(settings.optim, lamb, "`beta2` of the preset is left over");
    assert_eq!(
        error_with("[optim]\nkind = \"lamb\"\nbeta2 = 0.9", &[]),
        "`s.toml` line 3 sets the unknown key `optim.beta2`, known here: `kind`, `learning_rate`, `trust`"
    );
}

#[test]
fn a_key_that_another_variant_needs_is_missing_because_of_the_switch() {
    assert_eq!(
        error_with("[optim]\nlearning_rate = 0.1", &["optim.kind=sgd"]),
        "`optim.kind` cannot be read from the override `optim.kind=sgd`: missing field `momentum`"
    );
}

#[test]
fn a_wrong_type_is_named_with_its_line() {
    assert_eq!(
        error_with("[model]\n# half a head\nn_heads = 1.5", &[]),
        "`model.n_heads` cannot be read from `s.toml` line 3: \
         invalid type: floating point `1.5`, expected a whole number, 0 or more"
    );
    assert_eq!(
        error_with("", &["seed=-1"]),
        "`seed` cannot be read from the override `seed=-1`: invalid value: integer `-1`, expected a whole number, 0 or more"
    );
    assert_eq!(
        error_with("model = 3", &[]),
        "`model` cannot be read from `s.toml` line 1: \
         invalid type: integer `3`, expected struct Model"
    );
    assert_eq!(
        error_with("", &["model.activation=gleu"]),
        "`model.activation` cannot be read from the override `model.activation=gleu`: \
         unknown variant `gleu`, expected `gelu` or `relu`"
    );
}

#[test]
fn a_wrong_type_inside_a_tagged_enum_is_named_with_its_line() {
    assert_eq!(
        error_with("[optim]\nlearning_rate = 0.1\nbeta2 = \"high\"", &[]),
        "`optim.beta2` cannot be read from `s.toml` line 3: \
         invalid type: string \"high\", expected a number"
    );
}

#[test]
fn a_wrong_type_inside_a_list_is_named_with_its_place() {
    assert_eq!(
        error_with("", &["stages=[{d_model=1, n_heads=true}]"]),
        "`stages[0].n_heads` cannot be read from the override `stages=[{d_model=1, n_heads=true}]`: \
         invalid type: boolean `true`, expected a whole number, 0 or more"
    );
}

#[test]
fn an_impossible_value_is_named_with_its_origin() {
    assert_eq!(
        error_with("", &["model.d_model=0"]),
        "the override `model.d_model=0` leaves `model.d_model` with an invalid value: \
         `model.d_model` is 0, expected at least 1"
    );
    assert_eq!(
        error_with("[model]\ndropout = 1", &["seed=3"]),
        "`s.toml` line 2 leaves `model.dropout` with an invalid value: \
         `model.dropout` is 1, expected a value in [0, 1)"
    );
}

#[test]
fn values_that_do_not_go_together_are_blamed_on_the_one_that_was_changed() {
    assert!(
        error_with("[model]\nd_model = 500", &["seed=3"])
            .starts_with("`s.toml` line 2 leaves `model.n_heads` with an invalid value: `model.d_model` (500)")
    );
    assert!(
        error_with("[model]\nn_heads = 16", &["model.d_model=500"]).starts_with("the override `model.d_model=500`")
    );
}

#[test]
fn an_impossible_value_inside_a_list_is_named_with_its_place() {
    let stage = "{d_model = 1, n_heads = 1, dropout = 2, activation = 'gelu'}";
    assert_eq!(
        error_with(&format!("stages = [{stage}]"), &["seed=3"]),
        "`s.toml` line 1 leaves `stages[0].dropout` with an invalid value: \
         `stages[0].dropout` is 2, expected a value in [0, 1)"
    );
}

#[test]
fn an_impossible_preset_is_called_so() {
    let mut impossible = preset();
    impossible.model.n_heads = 0;
    let error = load_text(&impossible, "s.toml", "seed = 3\n[model]\ndropout = 0", &[]).unwrap_err();
    assert_eq!(error.to_string(), "the preset leaves `model.n_heads` with an invalid value");
}

#[test]
fn a_text_that_is_not_toml_is_shown_with_its_line() {
    let error = error_with("seed = 1\n[model\n", &[]);
    assert!(error.starts_with("`s.toml` line 2 is not valid TOML: "), "{error}");
    assert!(error.contains("2 | [model"), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = load(&preset(), Some(Path::new("no/such.toml")), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the settings `no/such.toml`");
}

#[test]
fn an_absent_option_survives_without_a_preset_only() {
    let mut stopping = preset();
    stopping.stop_after = Some(7);
    let text = to_toml(&preset()).unwrap();
    assert_eq!(load_text(&stopping, "run.toml", &text, &[]).unwrap().stop_after, Some(7));
    assert_eq!(reload_text::<Settings>("run.toml", &text, &[]).unwrap(), preset());
}

#[test]
fn an_incomplete_file_cannot_be_reloaded() {
    let text = to_toml(&preset()).unwrap();
    let error_without = |key: &str| {
        let text = text.replace(key, &format!("# {key}"));
        let error = reload_text::<Settings>("run.toml", &text, &[]).unwrap_err();
        format!("{error}: {}", error.source().unwrap())
    };
    let line = 1 + text.lines().position(|line| line == "[model]").unwrap();
    assert_eq!(
        error_without("dropout"),
        format!("`model` cannot be read from `run.toml` line {line}: missing field `dropout`")
    );
    assert_eq!(error_without("seed"), "the settings cannot be read from `run.toml`: missing field `seed`");
}

prop_compose! {
    fn any_model()(
        n_heads in 1_usize..100,
        d_head in 1_usize..100,
        dropout in 0.0_f32..1.0,
        gelu: bool,
    ) -> Model {
        let activation = if gelu { Activation::Gelu } else { Activation::Relu };
        Model { d_model: n_heads * d_head, n_heads, dropout, activation }
    }
}

fn any_optim() -> impl Strategy<Value = Optim> {
    let number = any::<f64>().prop_filter("TOML's nan and inf are refused", |it| it.is_finite());
    (0..3, number, any::<f32>().prop_filter("as above", |it| it.is_finite())).prop_map(|(kind, a, b)| match kind {
        0 => Optim::Adamw { learning_rate: a, beta2: b.into() },
        1 => Optim::Lamb { learning_rate: a, trust: (b > 0.0).then_some(b.into()) },
        _ => Optim::Sgd { learning_rate: a, momentum: b.into() },
    })
}

prop_compose! {
    fn any_settings()(
        model in any_model(),
        optim in any_optim(),
        seed: u64,
        name: String,
        stop_after: Option<usize>,
        weights in proptest::collection::btree_map(any::<String>(), -1e9..1e9, 0..4),
        stages in proptest::collection::vec(any_model(), 0..3),
    ) -> Settings {
        Settings { model, optim, seed, name, stop_after, weights, stages }
    }
}

/// Pieces that look enough like TOML to get behind its parser.
fn toml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("model"),
        Just("optim.kind"),
        Just("stages"),
        Just("seed"),
        Just("\"\""),
        Just("é"),
        Just("."),
        Just(" = "),
        Just("="),
        Just("["),
        Just("]"),
        Just("[["),
        Just("]]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just("\n"),
        Just("1"),
        Just("-9e999"),
        Just("nan"),
        Just("1979-05-27"),
        Just("true"),
        Just("'lamb'"),
        Just("# "),
        Just("\"\"\""),
        Just("\0"),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_written_loads_as_it_was(settings in any_settings()) {
        let text = to_toml(&settings).unwrap();
        prop_assert_eq!(&reload_text::<Settings>("run.toml", &text, &[]).unwrap(), &settings);
        // Over a preset too, where neither lists a weight nor stops.
        prop_assert_eq!(&load_with(&text, &[]).unwrap(), &settings);
    }

    #[test]
    fn no_text_makes_loading_panic(
        toml in prop_oneof![any::<String>(), toml_like()],
        sets in proptest::collection::vec(prop_oneof![any::<String>(), toml_like()], 0..3),
    ) {
        for toml in ["", &toml] {
            if let Err(error) = load_text(&preset(), "s.toml", toml, &sets) {
                // Rendering an error is loading too.
                let _ = (error.to_string(), error.source().map(ToString::to_string));
            }
        }
    }
}
