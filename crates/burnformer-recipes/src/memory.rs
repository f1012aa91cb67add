//! Whether a run fits into the memory of the machine, and what would.

use std::fmt::{self, Display};
use std::fs;

use burnformer_core::collective::{Collective, CollectiveError, gather};
use burnformer_core::memory::{available_memory, resident_memory};
use burnformer_data::datasets::Dataset;
use burnformer_models::{Passes, StepFloats};
use burnformer_train::{MemoryEstimate, TrainConfig};
use indicatif::HumanBytes;

/// Samples of a data set that are looked at for the longest.
const LOOKED_AT: u64 = 100_000;

/// Shortest length that is proposed.
const SHORTEST: usize = 16;

/// What the memory of a recipe's run depends on.
pub(crate) struct Demand<'a> {
    /// Number of weights.
    pub(crate) n_parameters: u64,
    /// Number of those that are trained; `None` for all.
    pub(crate) n_trained: Option<u64>,
    /// Tokens of the longest sample.
    pub(crate) seq_length: usize,
    /// Name of the setting that bounds them.
    pub(crate) length_setting: &'static str,
    /// Training settings.
    pub(crate) train: &'a TrainConfig,
    /// Number of processes that train together.
    pub(crate) n_ranks: usize,
    /// `true` on a device whose operators have backward passes of their own.
    pub(crate) fused: bool,
    /// Floats of a step with these settings on samples of so many tokens.
    pub(crate) step_floats: &'a dyn Fn(&TrainConfig, usize, Passes) -> StepFloats,
}

impl Demand<'_> {
    /// The estimate of the run.
    pub(crate) fn estimate(&self) -> MemoryEstimate {
        self.estimate_of(self.train, self.seq_length)
    }

    fn estimate_of(&self, train: &TrainConfig, seq_length: usize) -> MemoryEstimate {
        let passes = Passes {
            fused: self.fused,
            activation_checkpointing: train.activation_checkpointing,
            frozen: self.n_trained.is_some(),
        };
        let step = (self.step_floats)(train, seq_length, passes);
        let n_trained = self.n_trained.unwrap_or(self.n_parameters);
        MemoryEstimate::new(self.n_parameters, n_trained, train, &step, seq_length, self.n_ranks)
    }

    /// Compares the estimate with the memory that there is.
    pub(crate) fn check(&self, available: u64) -> Result<(), TooLittleMemory> {
        let estimate = self.estimate().total();
        if estimate <= available {
            return Ok(());
        }
        Err(TooLittleMemory { estimate, available, remedies: self.remedies(available) })
    }

    /// Settings with which the run fits, those first that change least.
    fn remedies(&self, available: u64) -> Vec<Remedy> {
        let fits = |train: &TrainConfig, seq_length: usize| {
            let estimate = self.estimate_of(train, seq_length).total();
            (estimate <= available).then_some(estimate)
        };
        let checkpointing = TrainConfig { activation_checkpointing: true, ..self.train.clone() };
        let mut remedies = Vec::new();
        for train in [self.train, &checkpointing] {
            let smaller = parts(train, self.seq_length).find_map(|train| Some((fits(&train, self.seq_length)?, train)));
            remedies
                .extend(smaller.map(|(estimate, train)| Remedy { settings: changes(self.train, &train), estimate }));
            // Otherwise the same settings again.
            if self.train.activation_checkpointing {
                break;
            }
        }
        let lengths = std::iter::successors(Some(self.seq_length / 2), |length| Some(length / 2));
        let shorter = lengths.take_while(|&length| length >= SHORTEST).find_map(|length| {
            let settings = vec![format!("{} = {length}", self.length_setting)];
            Some(Remedy { settings, estimate: fits(self.train, length)? })
        });
        remedies.extend(shorter);
        remedies
    }
}

/// `train` as it is, and then with the samples of a step in more and more micro-batches.
fn parts(train: &TrainConfig, seq_length: usize) -> impl Iterator<Item = TrainConfig> {
    let whole = train.micro_batch_tokens.unwrap_or(train.micro_batch_size);
    let smallest = if train.micro_batch_tokens.is_some() { seq_length } else { 1 };
    (1..=whole).filter(move |n| whole.is_multiple_of(*n) && whole / n >= smallest).map(move |n| {
        let grad_accum_steps = train.grad_accum_steps * n;
        match train.micro_batch_tokens {
            Some(_) => TrainConfig { micro_batch_tokens: Some(whole / n), grad_accum_steps, ..train.clone() },
            None => TrainConfig { micro_batch_size: whole / n, grad_accum_steps, ..train.clone() },
        }
    })
}

/// What differs in `changed`, as lines of TOML with whole keys.
fn changes(train: &TrainConfig, changed: &TrainConfig) -> Vec<String> {
    let mut settings = Vec::new();
    if changed.activation_checkpointing != train.activation_checkpointing {
        settings.push("train.activation_checkpointing = true".to_owned());
    }
    if changed.grad_accum_steps != train.grad_accum_steps {
        settings.push(match changed.micro_batch_tokens {
            Some(tokens) => format!("train.micro_batch_tokens = {tokens}"),
            None => format!("train.micro_batch_size = {}", changed.micro_batch_size),
        });
        settings.push(format!("train.grad_accum_steps = {}", changed.grad_accum_steps));
    }
    settings
}

/// Bytes that this process can have in all, those that it has included, if so many processes share the memory of the machine.
pub(crate) fn available(n_neighbours: usize) -> Option<u64> {
    Some(available_memory()? / n_neighbours as u64 + resident_memory().unwrap_or(0))
}

/// Number of processes of `collective` on this machine, this one included.
///
/// # Errors
/// If a process cannot be reached.
pub(crate) fn neighbours(collective: &dyn Collective) -> Result<usize, CollectiveError> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    // Containers on one machine have the same kernel, but memory of their own.
    let machine = read("/proc/sys/kernel/random/boot_id") + &read("/proc/sys/kernel/hostname");
    let machines = gather(collective, machine.clone())?;
    Ok(machines.into_iter().filter(|other| *other == machine).count())
}

/// Tokens of the longest sample, padding included.
pub(crate) fn longest(samples: &impl Dataset, train: &TrainConfig, most: usize) -> usize {
    let lengths = (0..samples.per_epoch().min(LOOKED_AT)).filter_map(|number| samples.length(number).ok());
    padded(lengths.max().unwrap_or(most).min(most), train)
}

/// `length` with padding.
pub(crate) fn padded(length: usize, train: &TrainConfig) -> usize {
    length.next_multiple_of(train.pad_to_multiple_of.max(1))
}

/// A run that takes more memory than there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLittleMemory {
    /// Bytes that the run takes.
    pub estimate: u64,
    /// Bytes that there are for it.
    pub available: u64,
    /// Settings with which it fits, those first that change least.
    pub remedies: Vec<Remedy>,
}

/// Settings with which a run fits into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// Each as `key = value`.
    pub settings: Vec<String>,
    /// Bytes that it takes then.
    pub estimate: u64,
}

impl std::error::Error for TooLittleMemory {}

impl Display for TooLittleMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (estimate, available) = (HumanBytes(self.estimate), HumanBytes(self.available));
        write!(f, "the run takes about {estimate} of memory, and {available} are available: ")?;
        for Remedy { settings, estimate } in &self.remedies {
            let settings: Vec<_> = settings.iter().map(|setting| format!("`{setting}`")).collect();
            write!(f, "set {} for about {}, or ", settings.join(" and "), HumanBytes(*estimate))?;
        }
        f.write_str("choose a smaller model; `train.memory_check = false` starts it nevertheless")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A model of a million weights, of which each token takes a MiB, or a quarter of it with checkpointing.
    fn demand<'a>(
        train: &'a TrainConfig,
        step_floats: &'a dyn Fn(&TrainConfig, usize, Passes) -> StepFloats,
    ) -> Demand<'a> {
        let (n_parameters, seq_length) = (1_000_000, 32);
        let n_trained = None;
        let n_ranks = 1;
        Demand {
            n_parameters,
            n_trained,
            seq_length,
            length_setting: "length",
            train,
            n_ranks,
            fused: true,
            step_floats,
        }
    }

    fn step_floats(train: &TrainConfig, seq_length: usize, passes: Passes) -> StepFloats {
        let of_token = if passes.activation_checkpointing { MIB / 16 } else { MIB / 4 };
        let n_tokens = train.tokens_per_micro_batch(seq_length) as u64;
        StepFloats { first_activations: n_tokens * of_token, ..StepFloats::default() }
    }

    #[test]
    fn what_fits_is_not_refused() {
        let train = TrainConfig::default();
        let demand = demand(&train, &step_floats);
        let estimate = demand.estimate().total();
        assert!(estimate > 1024 * MIB);
        assert_eq!(demand.check(estimate), Ok(()));
        assert_eq!(demand.check(estimate - 1).unwrap_err().estimate, estimate);
    }

    /// Every setting that is proposed fits when it is followed, and the number of samples in a step stays.
    #[test]
    fn what_is_proposed_fits() {
        for tokens in [None, Some(1024)] {
            let train = TrainConfig { micro_batch_tokens: tokens, ..TrainConfig::default() };
            let refusal = demand(&train, &step_floats).check(700 * MIB).unwrap_err();
            let proposed: Vec<_> = refusal.remedies.iter().map(|remedy| remedy.settings.join(", ")).collect();
            let smaller = match tokens {
                None => "train.micro_batch_size = 16, train.grad_accum_steps = 2",
                Some(_) => "train.micro_batch_tokens = 512, train.grad_accum_steps = 2",
            };
            assert_eq!(proposed[..2], [smaller, "train.activation_checkpointing = true"]);
            for remedy in &refusal.remedies {
                assert!(remedy.estimate <= 700 * MIB, "{remedy:?}");
            }
            let text = refusal.to_string();
            assert!(
                text.contains("are available: set `train.micro_batch_") && text.contains("memory_check = false"),
                "{text}"
            );
        }
        let train = TrainConfig { micro_batch_size: 16, grad_accum_steps: 2, ..TrainConfig::default() };
        assert_eq!(demand(&train, &step_floats).check(700 * MIB), Ok(()));
        let train = TrainConfig { activation_checkpointing: true, ..TrainConfig::default() };
        assert_eq!(demand(&train, &step_floats).check(700 * MIB), Ok(()));
    }

    #[test]
    fn the_length_is_proposed_only_where_it_helps() {
        let train = TrainConfig::default();
        let short = demand(&train, &step_floats).check(700 * MIB).unwrap_err();
        assert_eq!(short.remedies.last().unwrap().settings, ["length = 16"]);
        // The weights alone take more.
        let none = demand(&train, &step_floats).check(MIB).unwrap_err();
        assert_eq!(none.remedies, []);
        assert!(none.to_string().contains("are available: choose a smaller model; "), "{none}");
    }
}
