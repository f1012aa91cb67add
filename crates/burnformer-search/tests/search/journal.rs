//! The journal of a study.

use std::fs;

use burnformer_search::{Direction, Failure, SearchError, Study, TrialState};

use super::{space, study};

/// A study with trials in every state.
fn filled() -> (tempfile::TempDir, Study) {
    let (folder, mut study) = study(Direction::Maximize);
    let all =
        [vec![2.0, 0.0, 1e-3], vec![8.0, 2.0, 1.234_567_890_123_456_7e-4], vec![4.0, 1.0, 1e-1], vec![6.0, 1.0, 1e-5]];
    for values in all {
        study.start(values).unwrap();
    }
    for (step, value) in [(10, 0.1), (20, 0.3), (30, 0.2)] {
        study.evaluated(0, step, value).unwrap();
        study.evaluated(0, step, value).unwrap();
    }
    study.evaluated(0, 40, f64::NAN).unwrap();
    study.reached(0, 0.3).unwrap();
    study.promote(0).unwrap();
    study.complete(0, 0.35).unwrap();
    study.evaluated(1, 10, 0.05).unwrap();
    study.reached(1, 0.05).unwrap();
    study.prune(1).unwrap();
    study.fail(2, Failure::Diverged("the loss is not finite".to_owned())).unwrap();
    study.evaluated(3, 10, 1.0 / 3.0).unwrap();
    (folder, study)
}

#[test]
fn a_study_is_read_as_it_was_written() {
    let (folder, study) = filled();
    let path = folder.path().join("journal.log");
    let again = Study::open(&path, space()).unwrap();
    assert_eq!(again.trials(), study.trials());
    assert_eq!(again.objective(), study.objective());
    let states: Vec<_> = again.trials().iter().map(|trial| trial.state).collect();
    assert_eq!(states, [TrialState::Complete, TrialState::Pruned, TrialState::Pruned, TrialState::Running]);
    assert_eq!(again.trials()[0].evaluations.len(), 3);
    assert_eq!(again.trials()[0].rungs, [0.3]);
    assert_eq!(again.best(), Some(0));
}

/// A search that is killed at any byte of its journal goes on with the lines that are whole.
#[test]
fn a_line_that_is_not_whole_is_removed() {
    let (folder, _) = filled();
    let path = folder.path().join("journal.log");
    let bytes = fs::read(&path).unwrap();
    let head = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for end in (head..bytes.len()).step_by(37) {
        fs::write(&path, &bytes[..end]).unwrap();
        let mut study = Study::open(&path, space()).unwrap();
        let n = study.trials().len();
        study.start(vec![2.0, 0.0, 1e-3]).unwrap();
        let whole = fs::read(&path).unwrap();
        assert!(whole.ends_with(b"\n") && whole.iter().filter(|byte| **byte == b'\n').count() > 1);
        assert_eq!(Study::open(&path, space()).unwrap().trials().len(), n + 1);
    }
    fs::write(&path, &bytes[..head - 1]).unwrap();
    assert!(matches!(Study::open(&path, space()), Err(SearchError::NoStudy { .. })));
}

#[test]
fn lines_that_cannot_be_followed_are_named() {
    let (folder, _) = filled();
    let path = folder.path().join("journal.log");
    let text = fs::read_to_string(&path).unwrap();
    let n = text.lines().count();
    for (line, expected) in [
        ("{", "EOF while parsing"),
        ("{}", "it has no `op_code`"),
        (r#"{"op_code":11}"#, "`op_code` is 11, expected 0 to 10"),
        (r#"{"op_code":1,"study_id":0}"#, "it deletes the study"),
        (r#"{"op_code":0,"study_name":"b","directions":[1]}"#, "it creates another study"),
        (r#"{"op_code":4,"study_id":0,"state":4}"#, "a trial of state 4"),
        (r#"{"op_code":4,"study_id":0,"params":{"depth":1.0}}"#, "the parameter `depth` is not in the space"),
        (r#"{"op_code":4,"study_id":0,"params":{"layers":3}}"#, "`layers` is 3, which is not in the space"),
        (r#"{"op_code":4,"study_id":0}"#, "trial 4 has no value of some parameter"),
        (r#"{"op_code":7,"trial_id":9,"step":1,"intermediate_value":1.0}"#, "there is no trial 9"),
        (r#"{"op_code":7,"trial_id":3,"step":1,"intermediate_value":null}"#, "`intermediate_value` is null"),
        (r#"{"op_code":7,"trial_id":3,"step":-1,"intermediate_value":1.0}"#, "`step` is -1"),
        (r#"{"op_code":6,"trial_id":3,"state":1,"values":null}"#, "trial 3 is complete without a value"),
        (r#"{"op_code":6,"trial_id":3,"state":9,"values":null}"#, "`state` is 9"),
        (r#"{"op_code":9,"trial_id":3,"system_attr":{"completed_rung_1":1.0}}"#, "does not follow"),
        (r#"{"op_code":9,"trial_id":3,"system_attr":{"promoted_rung_0":true}}"#, "does not follow"),
    ] {
        fs::write(&path, format!("{text}{line}\n")).unwrap();
        let error = Study::open(&path, space()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(&format!("line {}", n + 1)), "{line}: {error}");
    }
}

#[test]
fn notes_of_other_programs_do_not_disturb() {
    let (folder, study) = filled();
    let path = folder.path().join("journal.log");
    let mut text = fs::read_to_string(&path).unwrap();
    for line in [
        r#"{"op_code":2,"worker_id":"dashboard","study_id":0,"user_attr":{"note":"good"}}"#,
        r#"{"op_code":3,"worker_id":"dashboard","study_id":0,"system_attr":{"dashboard:note":"good"}}"#,
        r#"{"op_code":8,"worker_id":"dashboard","trial_id":3,"user_attr":{"note":"good"}}"#,
        r#"{"op_code":9,"worker_id":"dashboard","trial_id":3,"system_attr":{"dashboard:note":"good"}}"#,
    ] {
        text += &format!("{line}\n");
    }
    fs::write(&path, text).unwrap();
    assert_eq!(Study::open(&path, space()).unwrap().trials(), study.trials());
}
