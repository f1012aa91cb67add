//! Which checkpoints are kept.

use std::path::Path;

use burnformer_core::files::remove_folder;

use crate::{TrainConfig, TrainError, TrainState, checkpoint};

/// Removes the checkpoints that are not to be kept after that of `state` was written. Kept are that one, the latest of
/// the schedule, those of the best evaluations, and every so many steps.
pub(crate) fn prune<L>(checkpoints: &Path, config: &TrainConfig, state: &TrainState<L>) -> Result<(), TrainError> {
    let current = state.step;
    // A checkpoint that was written before has the best one only.
    let best: Vec<u64> = state.top.iter().chain(&state.best).map(|best| best.step).collect();
    // What is later belongs to a course that was given up: it was damaged, and the run resumed before it.
    let mut latest = checkpoint::scheduled_steps(checkpoints)?;
    latest.retain(|&step| step <= current);
    let latest = latest.split_off(latest.len().saturating_sub(config.keep_checkpoints));
    let is_kept = |step: u64| {
        step == current
            || latest.contains(&step)
            || best.contains(&step)
            || (step > 0 && step < current && config.keep_every.is_some_and(|every| step.is_multiple_of(every)))
    };
    for step in checkpoint::steps(checkpoints)? {
        if !is_kept(step) {
            remove_folder(&checkpoint::path(checkpoints, step))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Best;

    /// The steps that stay of `scheduled` and `others` once that of step `current` was written.
    fn left(scheduled: &[u64], others: &[u64], config: &TrainConfig, current: u64, best: &[u64]) -> Vec<u64> {
        let place = tempfile::tempdir().unwrap();
        for (steps, is_scheduled) in [(scheduled, true), (others, false)] {
            for &step in steps {
                let folder = checkpoint::path(place.path(), step);
                fs::create_dir(&folder).unwrap();
                let state = format!("{{\"scheduled\": {is_scheduled}}}");
                fs::write(folder.join(checkpoint::STATE_FILE), state).unwrap();
            }
        }
        let top = best.iter().map(|&step| Best { step, quality: 0.0, loss: 1.0 }).collect();
        let state = TrainState { step: current, top, ..TrainState::new(()) };
        prune(place.path(), config, &state).unwrap();
        checkpoint::steps(place.path()).unwrap()
    }

    #[test]
    fn the_latest_the_best_and_some_on_the_way_are_kept() {
        let config =
            |keep_checkpoints, keep_every| TrainConfig { keep_checkpoints, keep_every, ..TrainConfig::default() };
        let steps = [0, 10, 20, 30, 40, 50];
        assert_eq!(left(&steps, &[], &config(1, None), 50, &[]), [50]);
        assert_eq!(left(&steps, &[], &config(2, None), 50, &[20, 10]), [10, 20, 40, 50]);
        assert_eq!(left(&steps, &[], &config(1, Some(20)), 50, &[]), [20, 40, 50]);
        assert_eq!(left(&[10], &[], &config(3, None), 10, &[]), [10]);
        // One that time or an interruption asked for takes no place of the others, and goes with the next one.
        assert_eq!(left(&[10, 20, 30], &[25, 35], &config(2, None), 35, &[]), [20, 30, 35]);
        assert_eq!(left(&[10, 20, 30, 40], &[35], &config(2, None), 40, &[]), [30, 40]);
        // A damaged one that is later is no place to resume from.
        assert_eq!(left(&[10, 20, 30], &[35], &config(1, Some(10)), 20, &[]), [10, 20]);
    }
}
