//! Pictures of a search.

use burnformer_search::{
    Direction, Failure, Objective, Space, Study, history_picture, importance, importance_picture, parallel_picture,
};
use serde_json::json;

use super::study;

fn count(svg: &str, what: &str) -> usize {
    svg.matches(what).count()
}

#[test]
fn a_study_without_values_is_drawn() {
    let (_folder, mut study) = study(Direction::Minimize);
    for _ in 0..2 {
        for svg in [history_picture(&study).unwrap(), parallel_picture(&study).unwrap()] {
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        }
        let trial = study.start(vec![2.0, 0.0, 1e-3]).unwrap();
        study.fail(trial, Failure::Diverged("the loss is NaN".to_owned())).unwrap();
    }
}

#[test]
fn every_trial_and_parameter_is_in_the_pictures() {
    let (_folder, mut study) = study(Direction::Minimize);
    for number in 0..12 {
        let rate = 1e-5 * 2_f64.powi(number);
        let trial = study.start(vec![2.0 + f64::from(number % 4) * 2.0, f64::from(number % 3), rate]).unwrap();
        study.evaluated(trial, 10, f64::from(number)).unwrap();
        if number % 2 == 0 {
            study.complete(trial, f64::from(number)).unwrap();
        } else {
            study.reached(trial, f64::from(number)).unwrap();
            study.prune(trial).unwrap();
        }
    }
    let history = history_picture(&study).unwrap();
    assert_eq!(count(&history, "<circle"), 12);
    assert_eq!(count(&history, "\nloss\n"), 1);
    let parallel = parallel_picture(&study).unwrap();
    for text in ["layers", "name", "rate", "loss", "c"] {
        assert_eq!(count(&parallel, &format!("\n{text}\n")), 1, "{text}");
    }
    // A line for each trial, one for each of four axes, and their ticks.
    assert_eq!(count(&parallel, "<polyline"), 12 + 4 + (4 + 3 + 5 + 6));
    let shares = importance(study.space(), &study.observations()).unwrap();
    let bars = importance_picture(study.space(), &shares).unwrap();
    for text in ["layers", "name", "rate"] {
        assert_eq!(count(&bars, &format!("\n{text}\n")), 1, "{text}");
    }
}

/// Names of settings and choices are text, whatever is in them.
#[test]
fn names_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let table = json!({"a<b>": {"kind": "choice", "values": ["<script>", "y"]}});
    let space = Space::new(&serde_json::from_value(table).unwrap()).unwrap();
    let objective = Objective { metric: "x&y".to_owned(), direction: Direction::Maximize };
    let mut study = Study::create(&folder.path().join("journal.log"), "s", objective, space).unwrap();
    let trial = study.start(vec![0.0]).unwrap();
    study.complete(trial, 1.0).unwrap();
    for svg in [
        history_picture(&study).unwrap(),
        parallel_picture(&study).unwrap(),
        importance_picture(study.space(), &[1.0]).unwrap(),
    ] {
        assert!(!svg.contains("<script>") && !svg.contains("a<b>") && !svg.contains("x&y"), "{svg}");
    }
}
