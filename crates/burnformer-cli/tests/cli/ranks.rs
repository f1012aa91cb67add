//! Several processes of `mpirun` that work together: the files, the words and the exit status are those of one.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{DEVICE, Folder, PROGRAM, Run, SMALL};

/// `line` on `n` processes of `mpirun`; `None` where there is no `mpirun`, or the program is built without it.
fn on_ranks(folder: &Folder, n: usize, line: &str) -> Option<Command> {
    let found = Command::new("mpirun").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !cfg!(feature = "mpi") || found.is_err() {
        println!("left out: needs `mpirun` and the feature `mpi`");
        return None;
    }
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", &n.to_string(), PROGRAM]).args(line.split_whitespace());
    // Open MPI refuses to start for the superuser of a container otherwise.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.current_dir(folder.path(""));
    Some(command)
}

/// How `line` ends on `n` processes, as [`on_ranks`].
fn run(folder: &Folder, n: usize, line: &str) -> Option<Run> {
    Some(Run::of(on_ranks(folder, n, line)?.output().unwrap()))
}

/// The files of a run but for those that depend on the clock, and those with the clock's lines taken out.
fn files(folder: &Folder, name: &str) -> Vec<(String, Vec<u8>)> {
    let run = folder.path(name);
    let names = folder.names().into_iter().filter(|path| path.starts_with(&run) && path.is_file());
    let content = |path: &std::path::Path| {
        let mut rows = fs::read(path).unwrap();
        if path
            .file_name()
            .is_some_and(|name| name == "metrics.jsonl" || name == "state.json" || name == "manifest.json")
        {
            let text = String::from_utf8(rows).unwrap();
            let lines = text.lines().map(|line| match serde_json::from_str::<Value>(line) {
                Ok(Value::Object(mut row)) => {
                    row.retain(|name, _| name != "seconds" && name != "tokens_per_s");
                    Value::Object(row).to_string()
                }
                _ => line.to_owned(),
            });
            // A checksum is that of the clock too.
            let is_timed = |line: &String| line.contains("\"seconds\":") || line.contains("\"checksum\":");
            rows = lines.filter(|line| !is_timed(line)).collect::<Vec<_>>().join("\n").into_bytes();
        }
        rows
    };
    let is_timed = |name: &str| name.ends_with("README.md") || name.ends_with(".svg") || name.ends_with(".lock");
    let named = names.map(|path| (path.strip_prefix(&run).unwrap().to_str().unwrap().to_owned(), content(&path)));
    named.filter(|(name, _)| !is_timed(name)).collect()
}

/// Makes sure that two runs have the same files.
#[track_caller]
fn assert_equal(one: &[(String, Vec<u8>)], other: &[(String, Vec<u8>)]) {
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(one), names(other));
    for ((name, one), (_, other)) in one.iter().zip(other) {
        let [one, other] = [one, other].map(|content| String::from_utf8_lossy(content));
        let differing = one.lines().zip(other.lines()).find(|(one, other)| one != other);
        assert!(one == other, "{name}: {differing:?}");
    }
}

#[test]
fn pretraining_writes_the_files_of_one_process() {
    let folder = Folder::with_models();
    let line = |name: &str| {
        format!(
            "pretrain --corpus corpus --steps 6 {SMALL} --set train.workers=1 --set train.grad_accum_steps=2 --set train.checkpoint_every=3 \
             --set train.evaluate_every=3 {DEVICE} --out runs/{name}"
        )
    };
    let alone = folder.run(&line("r1")).succeeds();
    for n in 2..=2 {
        let name = format!("r{n}");
        let Some(run) = run(&folder, n, &line(&name)) else { return };
        let run = run.succeeds();
        let said = |run: &Run| run.stdout.lines().filter(|line| !line.contains("s, ")).count();
        assert_eq!(said(&run), said(&alone), "{}", run.stdout);
        assert_equal(&files(&folder, "runs/r1"), &files(&folder, &name.replace('r', "runs/r")));
    }
}

#[test]
fn the_first_process_speaks_alone() {
    let folder = Folder::new();
    let Some(run) = run(&folder, 3, "devices") else { return };
    assert_eq!(run.succeeds().stdout, folder.run("devices").succeeds().stdout);
    let help = self::run(&folder, 2, "pretrain --help").unwrap().succeeds();
    assert_eq!(help.stdout, folder.run("pretrain --help").stdout);
}

#[test]
fn an_error_of_all_is_said_once() {
    let folder = Folder::new();
    for line in ["pretrain --corpus nothing --out runs/a", "pretrain --out"] {
        let Some(run) = run(&folder, 3, line) else { return };
        let alone = folder.run(line);
        assert_eq!(run.status, alone.status);
        // `mpirun` has its own word about the exit status.
        assert!(run.stderr.starts_with(&alone.stderr), "{}\n{}", run.stderr, alone.stderr);
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
    }
}

#[test]
#[cfg(not(feature = "mpi"))]
fn a_program_without_mpi_refuses_to_train_several_times() {
    let folder = Folder::new();
    let mut command = folder.command("devices");
    let run = Run::of(command.env("PMI_SIZE", "2").env("PMI_RANK", "0").output().unwrap());
    run.fails_with(&["`mpirun` has started 2 processes", "build it with `--features mpi`"]);
}

#[test]
#[cfg(feature = "mpi")]
fn processes_that_mpi_does_not_know_refuse_to_train() {
    let folder = Folder::new();
    let mut command = folder.command("devices");
    let run = Run::of(command.env("SLURM_STEP_NUM_TASKS", "2").env("SLURM_PROCID", "0").output().unwrap());
    run.fails_with(&["`srun` has started 2 processes, but MPI finds 1", "srun --mpi=pmix"]);
}
