//! What every command is given beside its arguments.

use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};

use anyhow::{Context as _, Error, Result};
use burn::tensor::Device;
use burnformer::core::collective::{Message, agree, deal, gather};
use burnformer::core::progress::Interrupt;
use burnformer::core::{Collective, CollectiveError};
use burnformer::ops::{Precision, WeightFormat};
use burnformer::recipes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{DeviceArgs, WeightsArgs};
use crate::errors::Advised;
use crate::terminal::Terminal;

/// Flags that each process may have of its own, with and without a value.
const OWN_VALUES: [&str; 3] = ["--device", "--rank-timeout", "--threads"];
const OWN: [&str; 4] = ["-q", "--quiet", "-v", "--verbose"];

/// Said where bfloat16 was asked for in vain.
pub(crate) const NOT_ROUNDED: &str =
    "this processor multiplies bf16 no faster than f32, which is used instead: see `burnformer devices`";

/// What every command is given beside its arguments.
pub(crate) struct Context {
    /// Where it reports results and progress.
    pub(crate) terminal: Terminal,
    /// Whether it should stop at the next safe point, with [`burnformer::core::Interrupted`].
    pub(crate) interrupt: Interrupt,
    /// The processes that work together.
    pub(crate) collective: Box<dyn Collective>,
    /// The number of this process among those of its machine.
    pub(crate) host_rank: usize,
}

impl Context {
    /// The own `result`, if no other process has failed.
    pub(crate) fn agreed<T>(&self, result: Result<T>) -> Result<T> {
        let failure = result.as_ref().err().map(|error| recipes::causes(error.as_ref()).join(": "));
        let failures = gather(self.collective.as_ref(), failure)?.into_iter().enumerate();
        let value = result?;
        let failed = failures.filter_map(|(rank, failure)| Some(CollectiveError::Failed { rank, message: failure? }));
        failed.map(|failed| Err(failed.into())).next().unwrap_or(Ok(value))
    }

    /// `true` on the process that reads, writes and prints for all.
    pub(crate) fn is_first(&self) -> bool {
        self.collective.rank() == 0
    }

    /// The results of all processes, if none has failed.
    pub(crate) fn agree<V: Serialize + DeserializeOwned>(&self, own: Result<V>) -> Result<Vec<V>> {
        agree(self.collective.as_ref(), own.map_err(Failure)).map_err(|Failure(error)| error)
    }

    /// What `work` returns on the first process, which alone does it, to all.
    pub(crate) fn first<V: Serialize + DeserializeOwned>(&self, work: impl FnOnce() -> Result<V>) -> Result<V> {
        let done = self.is_first().then(work).transpose().map(Vec::from_iter);
        self.agree(done)?.into_iter().flatten().next().context("the first process has done nothing")
    }

    /// [`deal`], among all processes.
    pub(crate) fn deal<K, I: Message, V: Message>(
        &self,
        items: impl Iterator<Item = Result<(K, I)>>,
        mut work: impl FnMut(I) -> Result<V>,
        mut take: impl FnMut(K, V) -> Result<()>,
    ) -> Result<()> {
        let items = items.map(|item| item.map_err(Failure));
        let work = |item| work(item).map_err(Failure);
        let take = |kept, result| take(kept, result).map_err(Failure);
        deal(self.collective.as_ref(), items, work, take).map_err(|Failure(error)| error)
    }

    /// Opens the device that this process has of those that are asked for.
    pub(crate) fn open(&self, device: &DeviceArgs) -> Result<Device> {
        Ok(device.device.for_process(self.host_rank).open()?)
    }

    /// Says how many texts all processes have cut, of `n_cut` here.
    pub(crate) fn tell_cut(&self, n_cut: u64, max_length: usize) -> Result<()> {
        let n_cut = self.agree(Ok(n_cut))?.into_iter().sum();
        self.terminal.cut(n_cut, max_length);
        Ok(())
    }

    /// Refuses command lines of the processes that differ in more than what each may have of its own: they would not do the same.
    pub(crate) fn check_same_line(&self, words: impl Iterator<Item = OsString>) -> Result<()> {
        let (mut words, mut kept) = (words.map(|word| word.to_string_lossy().into_owned()), Vec::new());
        while let Some(word) = words.next() {
            match word.split_once('=').map_or(word.as_str(), |(flag, _)| flag) {
                flag if OWN_VALUES.contains(&flag) => drop((!word.contains('=')).then(|| words.next())),
                flag if OWN.contains(&flag) => {}
                _ => kept.push(word),
            }
        }
        let all = gather(self.collective.as_ref(), kept)?;
        let first = &all[0];
        for (rank, other) in all.iter().enumerate() {
            if other != first {
                let place = first.iter().zip(other).take_while(|(one, other)| one == other).count();
                let word = |words: &[String]| words.get(place).map_or("nothing".to_owned(), |word| format!("`{word}`"));
                let message = format!("rank {rank} was started with {} where rank 0 has {}", word(other), word(first));
                return Err(Advised::new(message, "start all processes with the same command line").into());
            }
        }
        Ok(())
    }

    /// The type of weights that the flags ask for; tells where products are made in another.
    pub(crate) fn weights(&self, flags: &WeightsArgs) -> WeightFormat {
        if flags.dtype == WeightFormat::Bf16 && Precision::Bf16.on_host() != Precision::Bf16 {
            self.terminal.warn(NOT_ROUNDED);
        }
        flags.dtype
    }

    /// What a recipe is given that works on this device.
    pub(crate) fn watched(&self, device: &DeviceArgs) -> recipes::Context<'_> {
        recipes::Context {
            device: device.device.for_process(self.host_rank),
            observer: &self.terminal,
            interrupt: Some(&self.interrupt),
            collective: self.collective.as_ref(),
            ..recipes::Context::default()
        }
    }
}

/// The error of a command, as processes agree upon errors.
#[derive(Debug)]
struct Failure(Error);

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<CollectiveError> for Failure {
    fn from(error: CollectiveError) -> Self {
        Self(error.into())
    }
}
