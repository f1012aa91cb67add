//! `cargo xtask faults`: commands that are killed, or whose disk fails, lose nothing.
//!
//! Every command that writes is killed at random moments and at its system calls that write, and gets errors from them. Then it
//! is run again, or resumed. What it has written must be the bits of a command that nothing happened to.

pub(crate) mod scenario;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trace;
pub(crate) mod trial;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::backend::Backend;
use crate::invocation::{Runner, find_program};
use crate::{mpi, program};
use scenario::Scenario;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use trace::Fault;
use trial::{Ended, Kill, content, copy, leftovers};

/// Kill every command that writes, let its disk fail, run it again, and compare the results.
///
/// Kills at random moments, and on Linux (x86-64) at every system call that writes: before it, and in the middle of a write. Lets
/// the disk be full from each such call on (ENOSPC), and each call fail alone (EIO). A command whose disk fails must say so. The
/// same command again, or `--resume`, must then give the files of an undisturbed run, bit by bit, and leave nothing else
/// behind; what it replaces must be there, old or new, at any time. Of several processes one is killed, all must end within a
/// minute, and another number of them goes on. Prints x of y for each command.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask faults --kills 200
  cargo xtask faults --quick
  cargo xtask faults --only 'data build' --kills 0 --seed 7")]
pub(crate) struct FaultsArgs {
    /// Kills at random moments, over all commands.
    #[arg(long, value_name = "N", default_value_t = 200)]
    kills: usize,

    /// System calls of each command at which each fault happens, chosen at random [default: all].
    #[arg(long, value_name = "N")]
    calls: Option<usize>,

    /// Seed of moments and choices.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,

    /// One kill and two of each fault for each command, in about a minute.
    #[arg(long, conflicts_with_all = ["kills", "calls"])]
    quick: bool,

    /// Only commands whose name begins so.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Program to run [default: built here].
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,

    /// Backend to build and train on.
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "flex")]
    device: Backend,
}

pub(crate) fn run(runner: &Runner, args: &FaultsArgs) -> Result<()> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None if mpi::is_found() => program::build_with_mpi(runner, "burnformer-cli", "burnformer", args.device)?.into(),
        None => program::build_small(runner, "burnformer-cli", "burnformer", args.device)?.into(),
    };
    try_all(runner, args, &program)
}

/// A few faults behind the tests, with the program as they have built it for `backends`.
pub(crate) fn quick(runner: &Runner, backends: &[Backend]) -> Result<()> {
    let fastest = [Backend::Flex, Backend::Ndarray].into_iter().find(|backend| backends.contains(backend));
    let device = fastest.unwrap_or(Backend::Wgpu);
    let args = FaultsArgs { kills: 0, calls: None, seed: 1, quick: true, only: None, program: None, device };
    try_all(runner, &args, Path::new(&program::path("burnformer")))
}

fn try_all(runner: &Runner, args: &FaultsArgs, program: &Path) -> Result<()> {
    let program = runner.root().join(program);
    eprintln!("$ faults of {} in {}", program.display(), program::target_folder().join("faults").display());
    if runner.is_dry_run() {
        return Ok(());
    }
    let work = Work::new(program, runner.root().join(program::target_folder()).join("faults"), args.device.feature())?;
    let mut scenarios = scenario::all(args.device.feature());
    scenarios.retain(|scenario| args.only.as_ref().is_none_or(|only| scenario.name.starts_with(only.as_str())));
    if find_program("mpirun").is_none() || !mpi::is_found() {
        eprintln!("commands of several processes are left out: they need `mpirun`, and the feature `mpi`");
        scenarios.retain(|scenario| scenario.n_ranks == 1);
    }
    ensure!(!scenarios.is_empty(), "no command has such a name: {}", args.only.as_deref().unwrap_or_default());

    let (kills, calls) = if args.quick { (scenarios.len(), Some(quick_calls())) } else { (args.kills, args.calls) };
    let mut random = Random(args.seed);
    let mut table = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let share = kills / scenarios.len() + usize::from(number < kills % scenarios.len());
        table.push(work.try_one(scenario, share, calls, &mut random)?);
    }
    println!(
        "{:24}{:>16}{:>16}{:>16}{:>16}{:>16}",
        "command", "kills", "kills at calls", "torn writes", "ENOSPC", "EIO"
    );
    let mut total = [Score::default(); 5];
    for (scenario, scores) in scenarios.iter().zip(&table) {
        print_row(scenario.name, scores);
        total.iter_mut().zip(scores).for_each(|(total, score)| total.add(score.survived, score.tried));
    }
    print_row("all", &total);
    let lost: usize = total.iter().map(|score| score.tried - score.survived).sum();
    ensure!(lost == 0, "{lost} faults lost something");
    Ok(())
}

/// Number of calls that the short form disturbs in each way.
fn quick_calls() -> usize {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    if !trace::is_allowed() {
        eprintln!("`ptrace` is not allowed here: faults at system calls are left out");
        return 0;
    }
    2
}

fn print_row(name: &str, scores: &[Score; 5]) {
    let cells = scores.map(|score| format!("{:>16}", format!("{} of {}", score.survived, score.tried)));
    println!("{name:24}{}", cells.concat());
}

/// How many faults of a kind there were, and after how many of them everything was well.
#[derive(Clone, Copy, Default)]
struct Score {
    survived: usize,
    tried: usize,
}

impl Score {
    fn add(&mut self, survived: usize, tried: usize) {
        self.survived += survived;
        self.tried += tried;
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    /// A number in `[0, 1)`.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// This many different numbers below `n`, in order; all if there are no more.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn choose(&mut self, many: Option<usize>, n: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..n).collect();
        while many.is_some_and(|many| numbers.len() > many) {
            let index = (self.share() * numbers.len() as f64) as usize;
            numbers.remove(index);
        }
        numbers
    }
}

/// Files of an output by their names.
type Content = BTreeMap<PathBuf, Vec<u8>>;

/// What a command is to write.
struct Reference {
    old: Content,
    new: Content,
    seconds: f64,
}

/// What went wrong, at which call or after how many seconds.
enum Trouble {
    After(Kill),
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    At(Fault, usize),
}

struct Work {
    program: PathBuf,
    folder: PathBuf,
}

impl Work {
    /// Makes what all commands start from.
    fn new(program: PathBuf, folder: PathBuf, device: &str) -> Result<Self> {
        ensure!(program.is_file(), "`{}` is not there: build it first", program.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
        }
        let work = Self { program, folder };
        let base = work.folder.join("base");
        scenario::write_texts(&base, device)?;
        for line in scenario::base(device) {
            work.must(&line, 1, &base)?;
        }
        Ok(work)
    }

    /// Runs a command that nothing happens to.
    fn must(&self, line: &str, n_ranks: usize, folder: &Path) -> Result<()> {
        let ended = self.run(line, n_ranks, folder, None)?;
        ensure!(ended.code == Some(0), "`burnformer {line}` failed undisturbed:\n{}", ended.said());
        Ok(())
    }

    fn run(&self, line: &str, n_ranks: usize, folder: &Path, kill: Option<Kill>) -> Result<Ended> {
        trial::run(trial::command(&self.program, &words(line), n_ranks), folder, &self.folder.join("log"), kill)
    }

    /// A new folder in which the command finds what it replaces.
    fn prepared(&self, name: &str, scenario: &Scenario) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        if scenario.before.is_some() {
            copy(&self.folder.join("old"), &folder.join("out"))?;
        }
        Ok(folder)
    }

    fn reference(&self, scenario: &Scenario) -> Result<Reference> {
        let old = self.folder.join("old");
        if old.is_dir() {
            fs::remove_dir_all(&old)?;
        }
        if let Some(before) = &scenario.before {
            let folder = self.folder.join("before");
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
            self.must(before, 1, &folder)?;
            copy(&folder.join("out"), &old)?;
        }
        let (new, mut seconds) = self.undisturbed(scenario, 1)?;
        if scenario.n_ranks > 1 {
            let found;
            (found, seconds) = self.undisturbed(scenario, scenario.n_ranks)?;
            ensure!(found == new, "{}: other results than one process", scenario.name);
        }
        Ok(Reference { old: content(&old)?, new, seconds })
    }

    /// What the command writes on so many processes that nothing happens to, and how long it takes.
    fn undisturbed(&self, scenario: &Scenario, n_ranks: usize) -> Result<(Content, f64)> {
        let folder = self.prepared("reference", scenario)?;
        let start = Instant::now();
        self.must(&scenario.line, n_ranks, &folder)?;
        let seconds = start.elapsed().as_secs_f64();
        let left = leftovers(&folder)?;
        ensure!(left.is_empty(), "{}: leaves {left:?} undisturbed", scenario.name);
        Ok((content(&folder.join("out"))?, seconds))
    }

    /// How the command fares: under kills, kills at calls, torn writes, a full disk, a broken disk.
    fn try_one(
        &self,
        scenario: &Scenario,
        kills: usize,
        calls: Option<usize>,
        random: &mut Random,
    ) -> Result<[Score; 5]> {
        let start = Instant::now();
        let reference = self.reference(scenario)?;
        let mut scores = [Score::default(); 5];
        for _ in 0..kills {
            let after = Duration::from_secs_f64(random.share() * reference.seconds * 1.05);
            let rank = (random.share() * scenario.n_ranks as f64) as usize;
            self.count(&mut scores[0], scenario, &reference, &Trouble::After(Kill { after, rank }))?;
        }
        #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
        if calls != Some(0) && scenario.n_ranks == 1 {
            let folder = self.prepared("trial", scenario)?;
            let (_, names) = self.trace(scenario, &folder, None)?;
            let kinds = [(Fault::Kill, false), (Fault::Tear, true), (Fault::NoSpace, false), (Fault::Broken, false)];
            for (score, (fault, only_writes)) in scores[1..].iter_mut().zip(kinds) {
                let at: Vec<usize> =
                    (0..names.len()).filter(|&number| !only_writes || names[number] == "write").collect();
                for number in random.choose(calls, at.len()) {
                    self.count(score, scenario, &reference, &Trouble::At(fault, at[number]))?;
                }
            }
        }
        #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
        if calls != Some(0) {
            eprintln!("faults at system calls need Linux on x86-64: left out");
        }
        let tried: usize = scores.iter().map(|score| score.tried).sum();
        eprintln!("{}: {tried} faults in {:.0} s", scenario.name, start.elapsed().as_secs_f64());
        Ok(scores)
    }

    fn count(&self, score: &mut Score, scenario: &Scenario, reference: &Reference, trouble: &Trouble) -> Result<()> {
        let mut told = String::new();
        let result = self.check(scenario, reference, trouble, &mut told);
        score.add(usize::from(result.is_ok()), 1);
        if let Err(error) = result {
            println!("LOST {} {told}: {error:#}", scenario.name);
        }
        Ok(())
    }

    /// Runs the command into trouble, and makes sure that nothing comes of it. Says in `told` what happened.
    ///
    /// # Errors
    /// What was lost.
    fn check(&self, scenario: &Scenario, reference: &Reference, trouble: &Trouble, told: &mut String) -> Result<()> {
        let folder = self.prepared("trial", scenario)?;
        let out = folder.join("out");
        let (ended, is_killed) = match *trouble {
            Trouble::After(kill) => {
                *told = format!("killed after {:.3?}, rank {}", kill.after, kill.rank);
                (self.run(&scenario.line, scenario.n_ranks, &folder, Some(kill))?, true)
            }
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            Trouble::At(fault, number) => {
                let (ended, names) = self.trace(scenario, &folder, Some((fault, number)))?;
                *told = format!("{fault:?} at call {number}, {}", names.get(number).unwrap_or(&"which was not made"));
                (ended, matches!(fault, Fault::Kill | Fault::Tear))
            }
        };
        ensure!(!ended.timed_out, "it did not end");
        if scenario.replaces {
            let found = content(&out)?;
            ensure!(found == reference.old || found == reference.new, "what was there is damaged");
        }
        match ended.code {
            Some(0) => {}
            Some(2) if !is_killed => ensure!(ended.said().contains("error: "), "no error is told:\n{}", ended.said()),
            None if is_killed => {}
            // The launcher tells how the process has ended.
            Some(137) if is_killed && scenario.n_ranks > 1 => {}
            code => bail!("it ended with {code:?}:\n{}", ended.said()),
        }
        if ended.code != Some(0) || is_killed {
            // By each number of processes up to one more than before.
            let n_ranks = match trouble {
                Trouble::After(kill) if scenario.n_ranks > 1 => (kill.rank + 2) % (scenario.n_ranks + 1) + 1,
                _ => 1,
            };
            self.go_on(scenario, n_ranks, &folder)?;
        }
        let found = content(&out)?;
        if found != reference.new {
            let names = reference.new.keys().chain(found.keys());
            let differ: Vec<_> = names.filter(|name| found.get(*name) != reference.new.get(*name)).collect();
            bail!("other results: {differ:?}");
        }
        if ended.code != Some(0) {
            let left = leftovers(&folder)?;
            ensure!(left.is_empty(), "leaves {left:?}");
        }
        Ok(())
    }

    /// Runs the command again, or resumes it.
    fn go_on(&self, scenario: &Scenario, n_ranks: usize, folder: &Path) -> Result<()> {
        let mut said = String::new();
        for line in scenario.resume.iter().chain([&scenario.line]) {
            let ended = self.run(line, n_ranks, folder, None)?;
            ensure!(!ended.timed_out, "`{line}` did not end");
            said += &ended.said();
            let is_there = scenario.resume.is_none() && said.contains("already exists");
            match ended.code {
                Some(0) => return Ok(()),
                Some(2) if is_there => return Ok(()),
                Some(2) => {}
                code => bail!("`{line}` ended with {code:?}:\n{said}"),
            }
        }
        bail!("stuck:\n{said}")
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn trace(
        &self,
        scenario: &Scenario,
        folder: &Path,
        fault: Option<(Fault, usize)>,
    ) -> Result<(Ended, Vec<&'static str>)> {
        trace::run(&self.program, &words(&scenario.line), folder, &self.folder.join("log"), fault)
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_chooses_the_same_moments() {
        let shares = |seed| {
            let mut random = Random(seed);
            [(); 100].map(|()| random.share())
        };
        assert_eq!(shares(1), shares(1));
        assert_ne!(shares(1), shares(2));
        assert!(shares(3).iter().all(|share| (0.0..1.0).contains(share)));
    }
}
