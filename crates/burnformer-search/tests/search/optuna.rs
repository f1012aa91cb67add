//! Optuna reads our journals, and we read those of Optuna. Its own were made by `fixtures/optuna_journal.py`.

use std::path::Path;
use std::process::Command;

use burnformer_search::{Direction, Failure, Study, TrialState};

use super::{space, study};

const JOURNAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/optuna.log");

fn read() -> (tempfile::TempDir, Study) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optuna.log");
    std::fs::copy(JOURNAL, &path).unwrap();
    let study = Study::open(&path, space()).unwrap();
    (folder, study)
}

#[test]
fn a_journal_of_optuna_is_read() {
    let (_folder, study) = read();
    assert_eq!((study.objective().metric.as_str(), study.objective().direction), ("loss", Direction::Minimize));
    let ended = |state| study.trials().iter().filter(|trial| trial.state == state).count();
    assert_eq!((ended(TrialState::Complete), ended(TrialState::Pruned)), (6, 24));
    let best = &study.trials()[study.best().unwrap()];
    assert!(study.trials().iter().all(|it| it.state != TrialState::Complete || it.value >= best.value));
    assert_eq!(best.evaluations.len(), 9);
}

/// Optuna's pruner compares as we do, but for the first trials, of which the best goes on: it cannot wait for others.
#[test]
fn the_rule_of_a_comparison_is_that_of_optuna() {
    let (_folder, study) = read();
    for (number, trial) in study.trials().iter().enumerate() {
        for (rung, value) in trial.rungs.iter().enumerate() {
            // What was known when this trial was compared: the trials up to it.
            let mut known: Vec<f64> =
                study.trials()[..=number].iter().filter_map(|it| it.rungs.get(rung)).copied().collect();
            known.sort_by(f64::total_cmp);
            let goes_on = *value <= known[(known.len() / 3).max(1) - 1];
            let went_on = trial.rungs.len() > rung + 1 || trial.state == TrialState::Complete;
            assert_eq!(goes_on, went_on, "trial {number}, comparison {rung}");
        }
    }
}

/// The Python that has Optuna: of `BURNFORMER_PYTHON`, or else of the path.
fn python() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("BURNFORMER_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", "import optuna"]).output();
    found.is_ok_and(|output| output.status.success()).then_some(python)
}

/// Where Python has Optuna, it opens a journal of ours, and finds what we have written.
#[test]
fn optuna_opens_our_journal() {
    let Some(python) = python() else { return };
    let (folder, mut study) = study(Direction::Maximize);
    for values in
        [vec![2.0, 0.0, 1e-3], vec![8.0, 2.0, 2.5e-4], vec![4.0, 1.0, 0.1], vec![6.0, 1.0, 1e-5], vec![6.0, 0.0, 1e-4]]
    {
        study.start(values).unwrap();
    }
    study.evaluated(0, 10, 0.25).unwrap();
    study.reached(0, 0.25).unwrap();
    study.promote(0).unwrap();
    study.complete(0, 0.5).unwrap();
    study.reached(1, 0.125).unwrap();
    study.prune(1).unwrap();
    study.fail(2, Failure::Diverged("the loss is not finite".to_owned())).unwrap();
    study.fail(3, Failure::Impossible("no such setting".to_owned())).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/open_journal.py");
    let output = Command::new(python).arg(script).arg(folder.path().join("journal.log")).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let expected = "\
demo MAXIMIZE ['loss'] best 0
COMPLETE 0.5 {'layers': 2, 'name': 'a', 'rate': 0.001} {10: 0.25} {}
PRUNED 0.125 {'layers': 8, 'name': 'c', 'rate': 0.00025} {} {}
PRUNED None {'layers': 4, 'name': 'b', 'rate': 0.1} {} {'diverged': 'the loss is not finite'}
FAIL None {'layers': 6, 'name': 'b', 'rate': 1e-05} {} {'error': 'no such setting'}
RUNNING None {'layers': 6, 'name': 'a', 'rate': 0.0001} {} {}
";
    assert_eq!(printed, expected, "{said}");
}
