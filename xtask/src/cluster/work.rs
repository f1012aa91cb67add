//! What is run on the hosts, and compared.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::hosts::Hosts;
use crate::faults::scenario::{self, LENGTHS, MODEL};
use crate::faults::trial::{content, leftovers};
use crate::invocation::Runner;
use crate::program;

/// How long a command may take: most take seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// Who notices that a cable is cut.
struct Listener {
    /// Whether it is `mpirun`, not the program.
    is_launcher: bool,
    /// What makes the program do so.
    flags: &'static str,
    /// Within which time.
    limit: Duration,
    /// What is said then.
    message: &'static str,
}

const LISTENERS: [Listener; 2] = [
    Listener {
        is_launcher: true,
        flags: "",
        limit: Duration::from_secs(30),
        message: "lost communication with a remote daemon",
    },
    Listener {
        is_launcher: false,
        flags: "--rank-timeout 1",
        limit: Duration::from_secs(120),
        message: "no answer within 60 seconds",
    },
];

/// Four micro-batches a step, for four ranks.
const CUT_IN_FOUR: &str = "--set train.grad_accum_steps=4";

/// A command of training, without its output folder.
struct Training {
    name: &'static str,
    line: String,
    /// Flags for several ranks alone.
    together: &'static str,
}

fn trainings(device: &str) -> Vec<Training> {
    let small = "--set train.micro_batch_size=4 --set train.log_every=2 --set train.checkpoint_every=3 \
                 --set train.evaluate_every=4 --steps 8";
    let pretrain = format!("pretrain --corpus base/corpus {MODEL} {LENGTHS} {CUT_IN_FOUR} --device {device}");
    vec![
        Training { name: "pretrain", line: pretrain.clone(), together: "" },
        Training { name: "pretrain-in-stages", line: pretrain, together: "--pipeline-stages 2" },
        Training {
            name: "finetune",
            line: format!(
                "finetune --model base/mini --train base/labelled.csv --label-column label --max-seq-length 24 {small} \
                 {CUT_IN_FOUR} --device {device}"
            ),
            together: "",
        },
        Training {
            name: "train-seq2seq",
            line: format!(
                "train-seq2seq --corpus base/pairs --preset transformer-tiny --set model.d_model=16 --set model.d_ff=32 {small} \
                 {CUT_IN_FOUR} --device {device}"
            ),
            together: "",
        },
    ]
}

/// The hosts and a folder that both see.
pub(super) struct Work {
    program: String,
    folder: PathBuf,
    device: &'static str,
    hosts: Hosts,
}

impl Work {
    /// Starts the hosts, and makes what the runs start from.
    ///
    /// # Errors
    /// If the system does not allow it, or the disk fails.
    pub(super) fn new(runner: &Runner, program: &Path, device: &'static str) -> Result<Self> {
        let program = runner.root().join(program);
        ensure!(program.is_file(), "`{}` is not there: build it first", program.display());
        let folder = runner.root().join(program::target_folder()).join("cluster");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
        }
        let hosts = Hosts::start(&folder)?;
        let work = Self { program: program.display().to_string(), folder, device, hosts };
        scenario::write_texts(&work.folder.join("base"), device)?;
        for line in scenario::base(device) {
            work.alone(&line, &work.folder.join("base"))?;
        }
        Ok(work)
    }

    /// # Errors
    /// What is not as it should be.
    pub(super) fn try_all(&self, quick: bool, cut: bool) -> Result<()> {
        let (n_trainings, ranks_per_host): (usize, &[usize]) = if quick { (2, &[1]) } else { (4, &[1, 2]) };
        for training in trainings(self.device).iter().take(n_trainings) {
            let alone = format!("{}-1", training.name);
            self.alone(&format!("{} --out {alone}", training.line), &self.folder)?;
            for &ranks in ranks_per_host {
                let out = format!("{}-{}", training.name, 2 * ranks);
                let before = self.hosts.bytes_through_cable()?;
                self.together(ranks, &format!("{} {} --out {out}", training.line, training.together))?;
                self.compare(&alone, &out)?;
                let kib = (self.hosts.bytes_through_cable()? - before) / 1024;
                println!(
                    "{}: {ranks} + {ranks} ranks have the bits of one process; {kib} KiB over the cable",
                    training.name
                );
            }
        }
        // The program waits for a minute at least.
        let listeners = &LISTENERS[..if quick { 1 } else { LISTENERS.len() }];
        if cut { self.cut_cable(listeners) } else { Ok(()) }
    }

    /// Cuts the cable while ranks on both hosts train.
    fn cut_cable(&self, listeners: &[Listener]) -> Result<()> {
        let line = trainings(self.device)[0]
            .line
            .replace("--steps 8", "--steps 400 --set train.checkpoint_every=20 --set train.evaluate_every=50");
        let resume = format!("pretrain --resume --device {}", self.device);
        self.alone(&format!("{line} --out whole"), &self.folder)?;
        for (number, listener) in listeners.iter().enumerate() {
            let out = format!("cut-{number}");
            let mut run = self.start(1, listener.is_launcher, &format!("{line} {} --out {out}", listener.flags))?;
            run.wait_for_checkpoint(&self.folder.join(&out).join("checkpoints"))?;
            self.hosts.cut()?;
            let start = Instant::now();
            run.wait_for_words(listener.message, listener.limit).context("the cable is cut, and nobody notices")?;
            let seconds = start.elapsed().as_secs_f64();
            if listener.is_launcher {
                let status = run.end(listener.limit)?;
                ensure!(!status.success(), "the cable is cut, and the run ended well:\n{}", run.said());
            }
            // Without its own limit, the launcher waits for the other host for minutes.
            drop(run);
            self.hosts.mend()?;
            let resume = format!("{resume} --out {out}");
            if listener.is_launcher {
                self.together(1, &resume)?;
            } else {
                self.alone(&resume, &self.folder)?;
            }
            self.compare("whole", &out)?;
            let who = if listener.is_launcher { "`mpirun`" } else { "the program" };
            println!("cable cut: {who} said so after {seconds:.0} s; resumed, the run has the bits of one process");
        }
        Ok(())
    }

    fn compare(&self, alone: &str, together: &str) -> Result<()> {
        let (expected, found) = (content(&self.folder.join(alone))?, content(&self.folder.join(together))?);
        let names = expected.keys().chain(found.keys());
        let differ: Vec<_> = names.filter(|name| found.get(*name) != expected.get(*name)).collect();
        ensure!(differ.is_empty(), "`{together}` has other files than `{alone}`: {differ:?}");
        let left = leftovers(&self.folder.join(together))?;
        ensure!(left.is_empty(), "`{together}` has leftovers: {left:?}");
        Ok(())
    }

    /// Runs a command in one process.
    fn alone(&self, line: &str, folder: &Path) -> Result<()> {
        let mut command = std::process::Command::new(&self.program);
        command.args(line.split_whitespace()).current_dir(folder);
        Run::start(command, &self.folder.join("log"))?.must(line)
    }

    /// Runs a command by so many ranks on each host.
    fn together(&self, ranks_per_host: usize, line: &str) -> Result<()> {
        self.start(ranks_per_host, true, line)?.must(line)
    }

    fn start(&self, ranks_per_host: usize, listens: bool, line: &str) -> Result<Run> {
        let words: Vec<String> =
            std::iter::once(self.program.as_str()).chain(line.split_whitespace()).map(str::to_owned).collect();
        Run::start(self.hosts.mpirun(ranks_per_host, listens, &words), &self.folder.join("log"))
    }
}

/// A command that runs, and is killed at the latest when this value ends.
struct Run {
    child: std::process::Child,
    log: PathBuf,
}

impl Run {
    fn start(mut command: std::process::Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot create `{}`", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Waits for its end, which must be a good one.
    fn must(mut self, line: &str) -> Result<()> {
        let status = self.end(LIMIT).with_context(|| format!("`burnformer {line}`:\n{}", self.said()))?;
        ensure!(status.success(), "`burnformer {line}` failed ({status}):\n{}", self.said());
        Ok(())
    }

    fn end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("it did not end within {} seconds:\n{}", limit.as_secs(), self.said())
    }

    /// Waits until the folder has a complete checkpoint, while the command runs.
    fn wait_for_checkpoint(&mut self, folder: &Path) -> Result<()> {
        let names = || fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let is_there = || names().any(|name| name.to_string_lossy().starts_with("step-"));
        let start = Instant::now();
        while !is_there() {
            let ended = self.child.try_wait()?;
            ensure!(ended.is_none(), "it ended before `{}` had a checkpoint:\n{}", folder.display(), self.said());
            ensure!(start.elapsed() < LIMIT, "`{}` has no checkpoint:\n{}", folder.display(), self.said());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn wait_for_words(&self, words: &str, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while !self.said().contains(words) {
            ensure!(
                start.elapsed() < limit,
                "it did not say `{words}` within {} seconds:\n{}",
                limit.as_secs(),
                self.said()
            );
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn said(&self) -> String {
        fs::read(&self.log).map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
