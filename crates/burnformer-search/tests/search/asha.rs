//! Asynchronous successive halving.

use std::collections::BTreeSet;

use burnformer_search::{AshaConfig, Direction, Failure, Next, Study, TrialState};

use super::study;

const ASHA: AshaConfig = AshaConfig { reduction: 3, rungs: 2 };

fn next(study: &Study, wanted: usize) -> Next {
    study.next(Some(&ASHA), wanted, &BTreeSet::new())
}

/// Starts trials that come to the first comparison with these values.
fn start(study: &mut Study, values: &[f64]) {
    for value in values {
        let trial = study.start(vec![2.0, 0.0, 1e-3]).unwrap();
        study.reached(trial, *value).unwrap();
    }
}

#[test]
fn comparisons_are_at_evaluations() {
    assert_eq!(ASHA.steps(900, 10).unwrap(), [100, 300]);
    assert_eq!(ASHA.steps(1000, 100).unwrap(), [100, 300]);
    assert_eq!(AshaConfig { reduction: 4, rungs: 3 }.steps(640, 10).unwrap(), [10, 40, 160]);
    let error = ASHA.steps(100, 50).unwrap_err().to_string();
    assert!(
        error.contains("after 11 of 100 steps") && error.contains("`train.evaluate_every` to at most 11"),
        "{error}"
    );
    assert_eq!(ASHA.steps(100, 11).unwrap(), [11, 33]);
    let error = ASHA.steps(8, 1).unwrap_err().to_string();
    assert!(error.contains("a run of 8 steps is too short"), "{error}");
    assert_eq!(ASHA.steps(9, 1).unwrap(), [1, 3]);
}

/// What the error advises works, and more than that does not.
#[test]
fn evaluations_that_are_often_enough_are_told() {
    for (reduction, rungs) in [(2, 3), (3, 2), (4, 2), (10, 1)] {
        let asha = AshaConfig { reduction, rungs };
        for steps in 1..300 {
            let first = steps / reduction.pow(rungs as u32);
            for every in 1..=first {
                let found = asha.steps(steps, every).unwrap();
                assert!(found.windows(2).all(|pair| pair[0] < pair[1]) && *found.last().unwrap() < steps);
                assert!(found.iter().all(|step| step.is_multiple_of(every)));
            }
        }
    }
}

#[test]
fn one_in_three_goes_on_and_the_others_wait() {
    let (_folder, mut study) = study(Direction::Minimize);
    assert_eq!(next(&study, 9), Next::Start);
    start(&mut study, &[5.0, 3.0]);
    // One of two is not a third.
    assert_eq!(next(&study, 9), Next::Start);
    start(&mut study, &[4.0]);
    assert_eq!(next(&study, 9), Next::Promote(1));
    study.promote(1).unwrap();
    assert_eq!(next(&study, 9), Next::Continue(1));
    assert_eq!(study.next(Some(&ASHA), 9, &BTreeSet::from([1])), Next::Start);
    study.reached(1, 2.5).unwrap();
    start(&mut study, &[1.0, 2.0, 6.0]);
    // Of six the best two: 3 and 4.
    assert_eq!(next(&study, 9), Next::Promote(3));
    study.promote(3).unwrap();
    study.reached(3, 0.5).unwrap();
    assert_eq!(next(&study, 9), Next::Promote(4));
    study.promote(4).unwrap();
    study.reached(4, 0.7).unwrap();
    // Of three at the second comparison one, which is nearer to its end than a new trial.
    assert_eq!(next(&study, 9), Next::Promote(3));
    study.promote(3).unwrap();
    study.complete(3, 0.4).unwrap();
    assert_eq!(study.best(), Some(3));
    assert_eq!(next(&study, 6), Next::Done);
    assert_eq!(next(&study, 9), Next::Start);
}

#[test]
fn at_the_end_the_best_of_few_comes_to_its_end() {
    let (_folder, mut study) = study(Direction::Maximize);
    start(&mut study, &[0.3, 0.5]);
    assert_eq!(study.next(Some(&ASHA), 2, &BTreeSet::from([1])), Next::Wait);
    for _ in 0..2 {
        assert_eq!(next(&study, 2), Next::Promote(1));
        study.promote(1).unwrap();
        if study.trials()[1].promotions < 2 {
            study.reached(1, 0.6).unwrap();
        }
    }
    study.complete(1, 0.7).unwrap();
    assert_eq!(next(&study, 2), Next::Done);
    study.prune(0).unwrap();
    assert_eq!((study.trials()[0].state, study.trials()[0].value), (TrialState::Pruned, Some(0.3)));
}

/// Runs that ended early with their best value are compared with those that are still on their way, and diverged ones count as
/// worse than all.
#[test]
fn ended_and_diverged_trials_count() {
    let (_folder, mut study) = study(Direction::Minimize);
    start(&mut study, &[3.0]);
    let early = study.start(vec![2.0, 0.0, 1e-3]).unwrap();
    study.complete(early, 2.0).unwrap();
    let diverged = study.start(vec![2.0, 0.0, 1e-1]).unwrap();
    study.fail(diverged, Failure::Diverged("the loss is NaN".to_owned())).unwrap();
    // The third is for trial 1, which has ended.
    assert_eq!(next(&study, 9), Next::Start);
    let failed = study.start(vec![4.0, 0.0, 1e-2]).unwrap();
    study.fail(failed, Failure::Impossible("no such head".to_owned())).unwrap();
    start(&mut study, &[1.0]);
    assert_eq!(next(&study, 9), Next::Promote(4));
    let order: Vec<_> = study.observations().iter().map(|it| it.trial).collect();
    assert_eq!(order, [1, 4, 0, 2]);
}

#[test]
fn without_comparisons_every_trial_does_all_its_steps() {
    let (_folder, mut study) = study(Direction::Minimize);
    assert_eq!(study.next(None, 1, &BTreeSet::new()), Next::Start);
    let trial = study.start(vec![2.0, 0.0, 1e-3]).unwrap();
    assert_eq!(study.next(None, 1, &BTreeSet::from([0])), Next::Wait);
    assert_eq!(study.next(None, 1, &BTreeSet::new()), Next::Continue(0));
    study.complete(trial, 1.0).unwrap();
    assert_eq!(study.next(None, 1, &BTreeSet::new()), Next::Done);
}
