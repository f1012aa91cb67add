//! Learning rates as transformers and the formulas have them, and settings that cannot work.

use burnformer_core::{Validate, settings};
use burnformer_train::{OptimizerConfig, ScheduleConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    schedule: ScheduleConfig,
    peak: f64,
    n_steps: u64,
    learning_rates: Vec<f64>,
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[test]
fn every_schedule_follows_its_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schedules.json");
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(golden.cases.len(), 31);
    for Case { schedule, peak, n_steps, learning_rates } in golden.cases {
        for (step, expected) in (1..).zip(learning_rates) {
            let found = schedule.learning_rate(peak, step, n_steps);
            let is_near = (found - expected).abs() <= 1e-12 * expected;
            assert!(is_near, "{schedule:?}: update {step} of {n_steps}: {found}, expected {expected}");
        }
    }
}

#[test]
fn first_and_last_update_have_a_rate_and_the_floor_stays() {
    let linear = ScheduleConfig::Linear { warmup_steps: 4, min_learning_rate: 0.5 };
    let cosine = ScheduleConfig::Cosine { warmup_steps: 4, min_learning_rate: 0.5 };
    for schedule in [linear, cosine] {
        let rate = |step| schedule.learning_rate(2.0, step, 10);
        assert_eq!((rate(1), rate(4)), (0.5, 2.0));
        assert!(rate(10) > 0.5 && rate(10) < rate(9), "{schedule:?}");
        assert_eq!((rate(11), rate(1000)), (0.5, 0.5), "{schedule:?}");
    }
}

/// With the base model's width and warm-up, Vaswani et al. 2017.
#[test]
fn noam_peaks_at_the_end_of_its_warmup() {
    let schedule = ScheduleConfig::Noam { warmup_steps: 4000, d_model: 512 };
    let rates: Vec<f64> = (1..=8000).map(|step| schedule.learning_rate(1.0, step, 8000)).collect();
    let highest = rates.iter().copied().fold(0.0, f64::max);
    assert_eq!(rates[3999], highest);
    assert!((highest - (512.0_f64 * 4000.0).sqrt().recip()).abs() < 1e-15, "{highest}");
}

#[test]
#[should_panic(expected = "steps count from 1")]
fn the_first_update_has_number_one() {
    let _ = ScheduleConfig::default().learning_rate(1.0, 0, 10);
}

#[test]
fn schedules_that_cannot_work_are_refused() {
    let message = |schedule: ScheduleConfig| schedule.validate().unwrap_err().to_string();
    for min_learning_rate in [-0.1, f64::NAN, f64::INFINITY] {
        let expected = format!("`min_learning_rate` is {min_learning_rate}, expected a finite value, 0 or more");
        assert_eq!(message(ScheduleConfig::Linear { warmup_steps: 1, min_learning_rate }), expected);
        assert_eq!(message(ScheduleConfig::Cosine { warmup_steps: 1, min_learning_rate }), expected);
    }
    assert_eq!(message(ScheduleConfig::Noam { warmup_steps: 1, d_model: 0 }), "`d_model` is 0, expected at least 1");
    ScheduleConfig::default().validate().unwrap();
}

/// The settings of `toml` laid over the default.
fn optimizer(toml: &str) -> Result<OptimizerConfig, String> {
    settings::load_text(&OptimizerConfig::default(), "s.toml", toml, &[]).map_err(|error| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    })
}

#[test]
fn optimizers_are_chosen_by_kind_and_share_their_settings() {
    let OptimizerConfig::Lamb(lamb) = optimizer("kind = 'lamb'\nlearning_rate = 0.002").unwrap() else { panic!() };
    assert_eq!((lamb.learning_rate, lamb.beta_2, lamb.eps, lamb.weight_decay), (0.002, 0.999, 1e-6, 0.01));
    let OptimizerConfig::Sgd(sgd) = optimizer("kind = 'sgd'\nmomentum = 0.9").unwrap() else { panic!() };
    assert_eq!((sgd.learning_rate, sgd.momentum, sgd.weight_decay), (1e-4, 0.9, 0.01));
    assert!(matches!(optimizer("kind = 'adam'").unwrap(), OptimizerConfig::Adam(_)));
    assert_eq!(optimizer("").unwrap(), OptimizerConfig::default());
}

#[test]
fn optimizers_that_cannot_work_are_refused() {
    for (toml, expected) in [
        ("learning_rate = 0", "`learning_rate` is 0, expected a finite value above 0"),
        ("beta_1 = 1", "`beta_1` is 1, expected a value in [0, 1)"),
        ("beta_2 = -0.5", "`beta_2` is -0.5, expected a value in [0, 1)"),
        ("eps = 0", "`eps` is 0, expected a finite value above 0"),
        ("weight_decay = -1", "`weight_decay` is -1, expected a finite value, 0 or more"),
        ("kind = 'sgd'\nmomentum = 1.5", "`momentum` is 1.5, expected a value in [0, 1)"),
        ("kind = 'sgd'\nmomentum = 0\nbeta_1 = 0.9", "beta_1"),
        ("kind = 'adma'", "adma"),
    ] {
        let found = optimizer(toml).unwrap_err();
        assert!(found.contains(expected), "{toml}: {found}");
    }
}
