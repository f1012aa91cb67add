//! One run of the program, in one process or several, of which one may be killed at a moment, and what it left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

/// How long a command may take: it takes a second or two.
const LIMIT: Duration = Duration::from_secs(120);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Whether it had to be killed because it did not end.
    pub(crate) timed_out: bool,
    /// What it wrote to its standard error.
    pub(crate) log: PathBuf,
}

impl Ended {
    /// What it wrote to its standard error.
    pub(crate) fn said(&self) -> String {
        fs::read(&self.log).map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said).into_owned())
    }
}

/// Kills a process that takes too long.
pub(super) struct Limit(Sender<()>, JoinHandle<bool>);

impl Limit {
    pub(super) fn start(process: i32) -> Self {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            let timed_out = receiver.recv_timeout(LIMIT).is_err();
            if timed_out {
                let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
            }
            timed_out
        });
        Self(sender, thread)
    }

    /// Whether the process was killed.
    pub(super) fn stop(self) -> bool {
        let _ = self.0.send(());
        self.1.join().unwrap_or(false)
    }
}

/// When to kill a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// The time from its start.
    pub(crate) after: Duration,
    /// The number of the process, if there are several.
    pub(crate) rank: usize,
}

/// `program` as `n_ranks` processes of `mpirun`, or alone.
pub(crate) fn command(program: &Path, args: &[String], n_ranks: usize) -> Command {
    if n_ranks == 1 {
        let mut command = Command::new(program);
        command.args(args);
        return command;
    }
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--bind-to", "none", "-n", &n_ranks.to_string()]).arg(program).args(args);
    // Open MPI refuses to start for the superuser of a container otherwise.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command
}

/// Runs `command` in `folder`, and kills it, or one of its processes.
///
/// # Errors
/// If it cannot be started.
pub(crate) fn run(mut command: Command, folder: &Path, log: &Path, mut kill: Option<Kill>) -> Result<Ended> {
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).with_context(|| format!("cannot create `{}`", log.display()))?)
        .spawn()
        .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended { code: status.code(), timed_out: false, log: log.to_owned() });
        }
        if kill.is_some_and(|kill| start.elapsed() >= kill.after) {
            let rank = kill.take().map_or(0, |kill| kill.rank);
            match children(child.id()).get(rank) {
                // Whoever has started it ends too.
                Some(process) => drop(Command::new("kill").args(["-KILL", process]).status()),
                None => child.kill()?,
            }
        }
        if start.elapsed() >= LIMIT {
            child.kill()?;
            let status = child.wait()?;
            return Ok(Ended { code: status.code(), timed_out: true, log: log.to_owned() });
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The processes that a process has started, in order.
fn children(process: u32) -> Vec<String> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    listed.split_whitespace().map(str::to_owned).collect()
}

/// The files of an output by their names, without what depends on the clock. Empty if nothing is there.
///
/// # Errors
/// If something cannot be read.
pub(crate) fn content(out: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    if out.is_file() {
        files.insert(PathBuf::new(), fs::read(out)?);
    } else if out.is_dir() {
        add(out, Path::new(""), &mut files)?;
    }
    Ok(files)
}

fn add(folder: &Path, name: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder.join(name))? {
        let file_name = entry?.file_name();
        let text = file_name.to_string_lossy();
        let name = name.join(&file_name);
        let path = folder.join(&name);
        if path.is_dir() {
            add(folder, &name, files)?;
        } else if !matches!(&*text, ".lock" | "README.md" | "learning_curves.svg") {
            let bytes = fs::read(&path)?;
            let is_json = text.contains(".json") || text == "journal.log";
            files.insert(name, if is_json { timeless(&bytes) } else { bytes });
        }
    }
    Ok(())
}

/// JSON values, one or one a line, without those that depend on the clock and the machine.
fn timeless(bytes: &[u8]) -> Vec<u8> {
    let values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().collect::<Result<Vec<_>, _>>();
    let Ok(mut values) = values else { return bytes.to_owned() };
    values.iter_mut().for_each(forget_time);
    values.iter().flat_map(|value| format!("{value}\n").into_bytes()).collect()
}

fn forget_time(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        const TIMES: [&str; 7] = [
            "seconds",
            "tokens_per_s",
            "communication",
            "peak_memory_bytes",
            "checksum",
            "datetime_start",
            "datetime_complete",
        ];
        object.retain(|key, _| !TIMES.contains(&key.as_str()));
        object.values_mut().for_each(forget_time);
    }
    value.as_array_mut().into_iter().flatten().for_each(forget_time);
}

/// Names below `folder` that only an unfinished command has.
///
/// # Errors
/// If a folder cannot be read.
pub(crate) fn leftovers(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_left = name.starts_with(".unfinished-")
            || name.starts_with('.') && [".replaced", ".building"].iter().any(|ending| name.ends_with(ending));
        if is_left {
            found.push(name);
        } else if entry.file_type()?.is_dir() {
            found.extend(leftovers(&entry.path())?);
        }
    }
    Ok(found)
}

/// Copies a file, or a folder with everything in it.
///
/// # Errors
/// If something cannot be copied.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else {
        fs::copy(from, to)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_left_out_and_everything_else_stays() {
        let metrics = b"{\"step\":1,\"seconds\":0.5,\"loss\":2.0}\n{\"step\":2,\"tokens_per_s\":7}\n";
        assert_eq!(timeless(metrics), b"{\"loss\":2.0,\"step\":1}\n{\"step\":2}\n");
        let state = b"{\"state\":{\"seconds\":1,\"step\":3},\"checksum\":\"a\"}";
        assert_eq!(timeless(state), b"{\"state\":{\"step\":3}}\n");
        let seeds = b"{\"runs\":[{\"seconds\":1,\"peak_memory_bytes\":2,\"seed\":3}]}";
        assert_eq!(timeless(seeds), b"{\"runs\":[{\"seed\":3}]}\n");
        assert_eq!(timeless(b"{\"torn"), b"{\"torn");
    }
}
