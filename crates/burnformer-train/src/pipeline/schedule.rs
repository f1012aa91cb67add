//! In which order a stage runs the passes of its micro-batches.

/// A pass of the micro-batch with this number in the share of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Forward(usize),
    Backward(usize),
}

/// The passes of the stage `stage` of `n_stages` on `n` micro-batches: as many forward passes first as there are stages behind
/// it, then one backward pass behind each further forward pass. So it keeps the activations of at most `n_stages - stage`
/// micro-batches, and backward passes are in the order of micro-batches.
///
/// Source: Narayanan et al. 2019, section 3.2 (one-forward-one-backward), with one update a step as in
/// Narayanan et al. 2021, section 2.2.1.
pub(super) fn passes(stage: usize, n_stages: usize, n: usize) -> Vec<Pass> {
    let ahead = (n_stages - 1 - stage).min(n);
    let mut passes: Vec<Pass> = (0..ahead).map(Pass::Forward).collect();
    passes.extend((ahead..n).flat_map(|number| [Pass::Forward(number), Pass::Backward(number - ahead)]));
    passes.extend((n - ahead..n).map(Pass::Backward));
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_in_order_and_few_are_open() {
        for n_stages in 1..=4 {
            for n in 0..=6 {
                for stage in 0..n_stages {
                    let passes = passes(stage, n_stages, n);
                    let forward =
                        passes.iter().filter_map(|pass| if let Pass::Forward(i) = pass { Some(*i) } else { None });
                    let backward =
                        passes.iter().filter_map(|pass| if let Pass::Backward(i) = pass { Some(*i) } else { None });
                    assert!(forward.eq(0..n) && backward.eq(0..n), "{passes:?}");
                    let (mut open, mut most) = (0_usize, 0);
                    for pass in &passes {
                        open = if matches!(pass, Pass::Forward(_)) { open + 1 } else { open - 1 };
                        most = most.max(open);
                    }
                    assert!(most <= n_stages - stage, "{passes:?}");
                }
            }
        }
    }

    /// Every stage gets what it waits for.
    #[test]
    fn no_stage_waits_for_ever() {
        for (n_stages, n) in [(2, 1), (2, 5), (3, 2), (3, 7), (4, 4)] {
            let mut left: Vec<_> =
                (0..n_stages).map(|stage| passes(stage, n_stages, n).into_iter().peekable()).collect();
            let (mut forward, mut backward) = (vec![0; n_stages], vec![0; n_stages]);
            loop {
                let mut moved = false;
                for stage in 0..n_stages {
                    let ready = match left[stage].peek() {
                        Some(Pass::Forward(number)) => stage == 0 || forward[stage - 1] > *number,
                        Some(Pass::Backward(number)) => stage + 1 == n_stages || backward[stage + 1] > *number,
                        None => false,
                    };
                    if ready {
                        moved = true;
                        match left[stage].next().unwrap() {
                            Pass::Forward(_) => forward[stage] += 1,
                            Pass::Backward(_) => backward[stage] += 1,
                        }
                    }
                }
                if !moved {
                    break;
                }
            }
            assert_eq!(backward, vec![n; n_stages], "{n_stages} stages, {n} micro-batches");
        }
    }
}
