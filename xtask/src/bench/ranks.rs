//! `cargo xtask bench --ranks`: training by two processes beside one, here and in PyTorch, in turns.

mod table;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum, value_parser};
use serde::Deserialize;
use serde_json::Value;

use super::peers::{Format, PeersArgs};
use super::{machine, record};
use crate::backend::Backend;
use crate::invocation::{Invocation, Runner, is_root};
use crate::{mpi, program, python};
use table::{Line, Side, Steps};

/// How ranks are compared.
#[derive(Args, Debug)]
pub(crate) struct RanksArgs {
    /// With --ranks: sizes of the model, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", requires = "ranks")]
    #[arg(default_values_t = Size::value_variants().to_vec())]
    sizes: Vec<Size>,

    /// With --ranks: timed steps of each process, after two to warm up.
    #[arg(long, value_name = "N", requires = "ranks", default_value = "5", value_parser = value_parser!(u32).range(1..))]
    steps: u32,
}

/// A size of the model, and its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Size {
    /// 4 layers of 256, vocabulary 8,192, 2 micro-batches of 16 × 128 tokens
    BertMini,
    /// 12 layers of 768, vocabulary 30,522, 2 micro-batches of 8 × 128 tokens
    BertBase,
}

impl Size {
    /// The name of the preset, and in `benches/peers/torch_ranks.py`.
    fn name(self) -> &'static str {
        match self {
            Self::BertMini => "bert-mini",
            Self::BertBase => "bert-base",
        }
    }

    fn vocab_size(self) -> usize {
        match self {
            Self::BertMini => 8192,
            Self::BertBase => 30_522,
        }
    }

    fn micro_batch_size(self) -> usize {
        match self {
            Self::BertMini => 16,
            Self::BertBase => 8,
        }
    }

    fn tokens_per_step(self) -> usize {
        N_MICRO_BATCHES * self.micro_batch_size() * SEQ_LENGTH
    }
}

const SEQ_LENGTH: usize = 128;
const N_MICRO_BATCHES: usize = 2;
const WARM_UP: usize = 2;

/// Ranks, and the threads of each.
const SHAPES: [(u32, u32); 3] = [(1, 1), (1, 2), (2, 1)];

/// What PyTorch's side needs. Without numpy PyTorch warns at every start.
const PACKAGES: [&str; 2] = ["torch", "numpy"];

pub(super) fn run(runner: &Runner, args: &RanksArgs, common: &PeersArgs) -> Result<()> {
    let machine = machine::describe();
    ensure!(mpi::is_found(), "the program cannot be built with MPI");
    let python = python::with_packages(runner, &PACKAGES, &[], common.python.as_deref(), common.yes)?;
    if python.is_none() {
        eprintln!("without PyTorch only our side is measured");
    }
    let program = program::build_with_mpi(runner, "burnformer-cli", "burnformer", Backend::Flex)?;
    let bench = Bench { runner, program, folder: program::target_folder().join("bench-ranks"), steps: args.steps };
    args.sizes.iter().try_for_each(|&size| bench.prepare(size))?;

    let (mut lines, mut n_failed) = (Vec::new(), 0);
    for round in 1..=common.rounds {
        eprintln!("\n== round {round} of {}", common.rounds);
        for &size in &args.sizes {
            for (ranks, threads) in SHAPES {
                let sides = [(Side::Burnformer, None), (Side::Torch, python.as_deref())];
                for (side, python) in
                    sides.into_iter().filter(|(side, python)| *side != Side::Torch || python.is_some())
                {
                    let steps = match python {
                        Some(python) => bench.torch(python, size, ranks, threads),
                        None => bench.ours(size, ranks, threads),
                    };
                    match steps {
                        Ok(Some(steps)) => lines.push(Line { round, size: size.name(), side, ranks, threads, steps }),
                        Ok(None) => {}
                        Err(error) => {
                            eprintln!("error: {error:#}");
                            n_failed += 1;
                        }
                    }
                }
            }
        }
    }
    if runner.is_dry_run() {
        return Ok(());
    }

    let rows = table::rows(&lines);
    let torch =
        lines.iter().find_map(|line| line.steps.torch.clone()).map(|version| format!(", PyTorch {version} on gloo"));
    let commit = machine::commit(runner);
    let state = format!("- Machine: {machine}\n- State: commit {commit}, flex{}\n", torch.unwrap_or_default());
    if !lines.is_empty() {
        let name =
            format!("{}-{}-{}core-ranks", machine::today(), machine::slug(&machine::processor()), machine::n_cores());
        let readme = readme(&state, args, common.rounds, &table::table(&rows));
        let folder = record::keep(&runner.root().join("benches/runs"), &name, &readme, &table::csv(&lines))?;
        eprintln!("\nevery figure is in `{}`\n", folder.display());
    }
    match common.format {
        Format::Text => print!("{state}\n{}", table::table(&rows)),
        Format::Json => {
            for row in &rows {
                println!("{}", serde_json::to_string(row)?);
            }
        }
    }
    if n_failed > 0 {
        bail!("{n_failed} processes failed; their figures are missing");
    }
    Ok(())
}

struct Bench<'a> {
    runner: &'a Runner,
    program: String,
    folder: PathBuf,
    steps: u32,
}

impl Bench<'_> {
    fn folder(&self, size: Size) -> PathBuf {
        self.folder.join(size.name())
    }

    /// Writes the texts, and builds the corpus.
    fn prepare(&self, size: Size) -> Result<()> {
        let folder = self.folder(size);
        let at = |name: &str| folder.join(name).display().to_string();
        if !self.runner.is_dry_run() {
            remove(&self.runner.root().join(&folder))?;
            texts::write(&self.runner.root().join(&folder), size.vocab_size())?;
        }
        let args = ["data", "build", "-q", "--input", &at("texts.jsonl"), "--tokenizer", &at("tokenizer"), "--out"];
        self.runner.run(&Invocation::new(&self.program, args).args([at("corpus")]))
    }

    /// Trains, and reads the times from the run's metrics. Nothing in a dry run.
    fn ours(&self, size: Size, ranks: u32, threads: u32) -> Result<Option<Steps>> {
        let run = self.folder(size).join("run");
        let invocation = training(&self.program, size, &self.folder(size), &run, ranks, threads, self.steps);
        if self.runner.is_dry_run() {
            return self.runner.run(&invocation).map(|()| None);
        }
        let run = self.runner.root().join(run);
        remove(&run)?;
        let report: Report =
            serde_json::from_str(&self.runner.output(&invocation)?).context("cannot read the report")?;
        let metrics = run.join("metrics.jsonl");
        let text = fs::read_to_string(&metrics).with_context(|| format!("cannot read `{}`", metrics.display()))?;
        let steps = steps_of(&text, size, report.peak_memory_bytes)?;
        remove(&run)?;
        Ok(Some(steps))
    }

    fn torch(&self, python: &str, size: Size, ranks: u32, threads: u32) -> Result<Option<Steps>> {
        let (ranks, threads, steps) = (ranks.to_string(), threads.to_string(), self.steps.to_string());
        let words =
            ["benches/peers/torch_ranks.py", size.name(), "--ranks", &ranks, "--threads", &threads, "--steps", &steps];
        let invocation = Invocation::new(python, words);
        if self.runner.is_dry_run() {
            return self.runner.run(&invocation).map(|()| None);
        }
        let output = self.runner.output(&invocation)?;
        serde_json::from_str(&output).map(Some).with_context(|| format!("cannot read the line `{output}`"))
    }
}

/// The part of the program's report that is looked at.
#[derive(Deserialize)]
struct Report {
    peak_memory_bytes: Option<u64>,
}

fn training(program: &str, size: Size, folder: &Path, run: &Path, ranks: u32, threads: u32, steps: u32) -> Invocation {
    let steps = WARM_UP as u32 + steps;
    let sets = [
        format!("model.max_seq_length={SEQ_LENGTH}"),
        format!("data.samples.max_seq_length={SEQ_LENGTH}"),
        "data.samples.short_seq_probability=0".to_owned(),
        "data.split.validation=0".to_owned(),
        "data.split.test=0".to_owned(),
        format!("train.micro_batch_size={}", size.micro_batch_size()),
        format!("train.grad_accum_steps={N_MICRO_BATCHES}"),
        "train.log_every=1".to_owned(),
        // By default there is one each step of so few, and its moments are sent to rank 0.
        "train.checkpoint_every=1000".to_owned(),
        "train.evaluate_every=1000".to_owned(),
    ];
    let invocation = if ranks == 1 {
        Invocation::new(program, ["pretrain"])
    } else {
        let mpirun = Invocation::new("mpirun", ["-n", &ranks.to_string(), program, "pretrain"]);
        // Open MPI does not run as root unless it is told to.
        let allow = ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"];
        if is_root() { allow.iter().fold(mpirun, |mpirun, name| mpirun.env(name, "1")) } else { mpirun }
    };
    invocation
        .args(["--quiet", "--device", "flex", "--threads", &threads.to_string(), "--preset", size.name()])
        .args(["--steps", &steps.to_string(), "--format", "json"])
        .args(["--corpus", &folder.join("corpus").display().to_string(), "--out", &run.display().to_string()])
        .args(sets.into_iter().flat_map(|set| ["--set".to_owned(), set]))
}

/// The timed steps of a run, from its metrics: one row a step.
fn steps_of(metrics: &str, size: Size, peak_memory_bytes: Option<u64>) -> Result<Steps> {
    let rows = metrics.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let of = |name: &str| -> Vec<f64> { rows.iter().filter_map(|row| row[name].as_f64()).collect() };
    let (seconds, tokens) = (of("seconds"), of("tokens"));
    ensure!(seconds.len() > WARM_UP && tokens.len() == seconds.len(), "the metrics have too few steps:\n{metrics}");
    // The sample at the end of a text may be shorter, and is filled up.
    let (found, expected) = (tokens[tokens.len() - 1], (tokens.len() * size.tokens_per_step()) as f64);
    ensure!((0.95..=1.0).contains(&(found / expected)), "{found} tokens instead of {expected}");
    let ms: Vec<f64> = seconds.windows(2).skip(WARM_UP - 1).map(|pair| 1e3 * (pair[1] - pair[0])).collect();
    let communication: Vec<f64> = of("communication").into_iter().skip(WARM_UP).collect();
    Ok(Steps {
        min: ms.iter().copied().fold(f64::INFINITY, f64::min),
        max: ms.iter().copied().fold(0.0, f64::max),
        ms: table::median(ms).context("no step was timed")?,
        peak_rss_mib: peak_memory_bytes.map(|bytes| bytes >> 20),
        communication: table::median(communication),
        torch: None,
    })
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

fn readme(state: &str, args: &RanksArgs, rounds: u32, table: &str) -> String {
    let sizes: Vec<_> = args.sizes.iter().map(|size| size.name()).collect();
    format!(
        "# Two processes beside one\n\n\
         - Command: `cargo xtask bench --ranks --sizes {} --steps {} --rounds {rounds}`. `raw.csv` has the figures of every\n  \
         run; its milliseconds are median, least and most of the timed steps.\n\
         {state}\n\
         Pretraining of BERT on sequences of {SEQ_LENGTH} tokens without padding, {N_MICRO_BATCHES} micro-batches a step. Medians over the rounds. Ratios\n\
         are the other's time divided by this one's; communication is the share of the time that the first rank sends, receives\n\
         and waits; memory is the most that it had.\n\n\
         {table}",
        sizes.join(","),
        args.steps
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ranks_run_the_same_command() {
        let line =
            |ranks| training("burnformer", Size::BertMini, Path::new("mini"), Path::new("run"), ranks, 1, 5).line();
        assert!(
            line(1).starts_with("burnformer pretrain --quiet --device flex --threads 1 --preset bert-mini --steps 7 ")
        );
        assert!(line(2).ends_with(&format!("mpirun -n 2 {}", line(1))), "{}", line(2));
    }

    #[test]
    fn times_are_those_behind_the_warm_up() {
        let row = |step: f64, seconds: f64, communication: f64| {
            let tokens = step * 4096.0;
            format!(
                r#"{{"step":{step},"split":"train","tokens":{tokens},"seconds":{seconds},"communication":{communication}}}"#
            )
        };
        let rows =
            [row(1.0, 9.0, 0.9), row(2.0, 10.0, 0.8), row(3.0, 10.5, 0.1), row(4.0, 11.25, 0.2), row(5.0, 12.25, 0.3)];
        let steps = steps_of(&rows.join("\n"), Size::BertMini, Some(3 << 20)).unwrap();
        let expected =
            Steps { ms: 750.0, min: 500.0, max: 1000.0, peak_rss_mib: Some(3), communication: Some(0.2), torch: None };
        assert_eq!(steps, expected);
        let error = steps_of(&rows[2..].join("\n"), Size::BertMini, None).unwrap_err().to_string();
        assert!(error.contains("tokens instead of"), "{error}");
    }
}
