//! Several processes of `mpirun` that work together: the files, the words and the exit status are those of one.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{DEVICE, Folder, PROGRAM, Run, SMALL};

/// `line` on `n` processes of `mpirun`; `None` where there is no `mpirun`, or the program is built without it.
pub(crate) fn on_ranks(folder: &Folder, n: usize, line: &str) -> Option<Command> {
    let found = Command::new("mpirun").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !cfg!(feature = "mpi") || found.is_err() {
        println!("left out: needs `mpirun` and the feature `mpi`");
        return None;
    }
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "-n", &n.to_string(), PROGRAM]).args(line.split_whitespace());
    // Open MPI refuses to start for the superuser of a container otherwise.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    // As `Folder::command`: a driver of a GPU would complain without it.
    command.env("XDG_RUNTIME_DIR", folder.path(""));
    command.current_dir(folder.path(""));
    Some(command)
}

/// How `line` ends on `n` processes, as [`on_ranks`].
pub(crate) fn run(folder: &Folder, n: usize, line: &str) -> Option<Run> {
    Some(Run::of(on_ranks(folder, n, line)?.output().unwrap()))
}

/// The files of a run without what depends on the clock.
fn files(folder: &Folder, name: &str) -> Vec<(String, Vec<u8>)> {
    let run = folder.path(name);
    let names = folder.names().into_iter().filter(|path| path.starts_with(&run) && path.is_file());
    let named = names.map(|path| (path.strip_prefix(&run).unwrap().to_str().unwrap().to_owned(), path));
    // Model cards tell how long it took, pictures of a search and its journal when.
    let is_timed = |name: &str| name.ends_with("README.md") || name.ends_with("svg") || name.ends_with("journal.log");
    let kept = named.filter(|(name, _)| !is_timed(name) && !name.ends_with(".lock"));
    kept.map(|(name, path)| (name, untimed(&path))).collect()
}

/// The content of a file without what depends on the clock.
fn untimed(path: &Path) -> Vec<u8> {
    let content = fs::read(path).unwrap();
    if !path.extension().is_some_and(|kind| kind == "json" || kind == "jsonl") {
        return content;
    }
    let text = String::from_utf8(content).unwrap();
    let lines = text.lines().map(|line| match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(mut row)) => {
            row.retain(|name, _| !["seconds", "tokens_per_s", "communication"].contains(&name.as_str()));
            Value::Object(row).to_string()
        }
        _ => line.to_owned(),
    });
    // A checksum is that of the clock too.
    let keys = ["\"seconds\":", "\"checksum\":", "\"peak_memory_bytes\":"];
    lines.filter(|line| !keys.iter().any(|key| line.contains(key))).collect::<Vec<_>>().join("\n").into_bytes()
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

/// Makes sure that the run of `line` has the same files on one to four processes.
fn check_files(line: &str) {
    let folder = Folder::with_models();
    let line = |n: usize| format!("{line} --set train.workers=1 {DEVICE} --out runs/on-{n}");
    folder.run(&line(1)).succeeds();
    for n in 2..=4 {
        let Some(run) = run(&folder, n, &line(n)) else { return };
        run.succeeds();
        assert_equal(&files(&folder, "runs/on-1"), &files(&folder, &format!("runs/on-{n}")));
    }
}

#[test]
fn pretraining_writes_the_files_of_one_process() {
    check_files(&format!(
        "pretrain --corpus corpus --steps 6 {SMALL} --set train.grad_accum_steps=5 --set train.checkpoint_every=3 \
         --set train.evaluate_every=3"
    ));
}

#[test]
fn the_share_of_communication_is_among_the_metrics() {
    let folder = Folder::with_models();
    let line =
        format!("pretrain --corpus corpus --steps 4 {SMALL} --set train.grad_accum_steps=2 {DEVICE} --out runs/");
    let Some(run) = run(&folder, 2, &format!("{line}two")) else { return };
    run.succeeds();
    folder.run(&format!("{line}one")).succeeds();
    let shares = |name: &str| -> Vec<Option<f64>> {
        let text = fs::read_to_string(folder.path(name).join("metrics.jsonl")).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row["split"] == "train").map(|row| row["communication"].as_f64()).collect()
    };
    let two = shares("runs/two");
    assert!(!two.is_empty() && two.iter().flatten().all(|share| (0.0..=1.0).contains(share)), "{two:?}");
    assert!(two.iter().all(Option::is_some) && shares("runs/one").iter().all(Option::is_none), "{two:?}");
}

#[test]
fn fine_tuning_writes_the_files_of_one_process() {
    check_files(
        "finetune --model runs/mini --train train.csv --label-column category --test test.csv --steps 6 --seed 7 \
         --set train.micro_batch_size=4 --set train.grad_accum_steps=3 --set train.evaluate_every=3",
    );
}

#[test]
fn translation_writes_the_files_of_one_process() {
    check_files(
        "train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-tiny --set model.d_model=32 \
         --set model.d_ff=64 --set train.micro_batch_tokens=128 --set train.grad_accum_steps=4 --steps 4 \
         --set train.evaluate_every=2",
    );
}

/// Makes sure that the run of `line` has the same files where so many processes have so many stages of the model.
fn check_stages(line: &str, teams: &[(usize, usize)]) {
    let folder = Folder::with_models();
    let line = |name: &str| format!("{line} --set train.workers=1 {DEVICE} --out runs/{name}");
    folder.run(&line("whole")).succeeds();
    for (n, stages) in teams {
        let name = format!("{n}-in-{stages}");
        let Some(run) = run(&folder, *n, &format!("{} --pipeline-stages {stages}", line(&name))) else { return };
        run.succeeds();
        assert_equal(&files(&folder, "runs/whole"), &files(&folder, &format!("runs/{name}")));
    }
}

#[test]
fn stages_of_pretraining_write_the_files_of_one_process() {
    let settings =
        "--steps 4 --set train.grad_accum_steps=4 --set train.checkpoint_every=2 --set train.evaluate_every=2";
    check_stages(&format!("pretrain --corpus corpus {SMALL} --set model.n_layers=3 {settings}"), &[(2, 2), (3, 3)]);
    check_stages(&format!("pretrain --corpus corpus {SMALL} {settings}"), &[(4, 2)]);
}

#[test]
fn stages_of_fine_tuning_write_the_files_of_one_process() {
    check_stages(
        "finetune --model runs/mini --train train.csv --label-column category --test test.csv --steps 4 --seed 7 \
         --set train.micro_batch_size=4 --set train.grad_accum_steps=3 --set train.evaluate_every=2",
        &[(2, 2)],
    );
}

#[test]
fn stages_of_translation_write_the_files_of_one_process() {
    check_stages(
        "train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-tiny --set model.d_model=32 \
         --set model.d_ff=64 --set train.micro_batch_tokens=128 --set train.grad_accum_steps=4 --steps 4 \
         --set train.evaluate_every=2",
        &[(3, 3), (4, 2)],
    );
}

#[test]
fn stages_that_do_not_fit_are_refused() {
    let folder = Folder::with_models();
    let line = |more: &str| format!("pretrain --corpus corpus {SMALL} --steps 2 {DEVICE} --out runs/refused {more}");
    let run_alone = folder.run(&line("--pipeline-stages 2"));
    assert_eq!(run_alone.status, Some(2), "{}", run_alone.stderr);
    assert!(run_alone.stderr.contains("2 stages need a multiple of 2 processes, found 1"), "{}", run_alone.stderr);
    let Some(run) = run(&folder, 3, &line("--pipeline-stages 3")) else { return };
    assert!(run.stderr.contains("3 stages cannot share 2 layers"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
    assert!(!folder.path("runs/refused").exists());
}

#[test]
fn a_process_takes_the_memory_that_was_estimated() {
    let folder = Folder::with_models();
    let line = format!(
        "pretrain --corpus corpus --set model.d_model=256 --set model.n_heads=4 --set model.d_ff=1024 --set model.n_layers=8 \
         --set data.samples.max_seq_length=48 --set train.micro_batch_size=16 --set train.grad_accum_steps=4 --set train.workers=1 --steps 2 --out runs/wide \
         --format json {DEVICE}"
    );
    let mut estimates =
        vec![folder.run(&format!("{line} --dry-run")).succeeds().json()["memory_bytes"].as_f64().unwrap()];
    for n in [2, 4] {
        let Some(plan) = run(&folder, n, &format!("{line} --dry-run")) else { return };
        let plan = plan.succeeds().json();
        assert_eq!(plan["processes"], n);
        let estimate = plan["memory_bytes"].as_f64().unwrap();
        let report = run(&folder, n, &line.replace("runs/wide", &format!("runs/wide-{n}"))).unwrap().succeeds().json();
        let peak = report["peak_memory_bytes"].as_f64().unwrap();
        assert!((estimate / peak - 1.0).abs() < 0.15, "{n} processes: estimated {estimate}, took {peak}");
        estimates.push(estimate);
    }
    assert!(estimates.is_sorted_by(|more, less| more > less), "{estimates:?}");
}

/// The processes that `launcher` has started.
fn children(launcher: u32) -> Vec<u32> {
    let parent = |id: u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
    };
    let entries = fs::read_dir("/proc").unwrap();
    let ids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let mut found: Vec<u32> = ids.filter(|id| parent(*id) == Some(launcher)).collect();
    found.sort_unstable();
    found
}

/// Runs `line` on `n` processes, sends `signal` to one of them once they train, and returns how all ended.
fn signalled(folder: &Folder, n: usize, line: &str, signal: &str, rank: usize) -> Option<Run> {
    let mut command = on_ranks(folder, n, line)?;
    let mut launcher = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stderr, mut said) = (BufReader::new(launcher.stderr.take().unwrap()), String::new());
    while !said.contains(" train: ") && !said.contains("trial 0: ") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    let id = children(launcher.id())[rank].to_string();
    assert!(Command::new("kill").args([format!("-{signal}"), id]).status().unwrap().success());
    stderr.read_to_string(&mut said).unwrap();
    let run = Run::of(launcher.wait_with_output().unwrap());
    Some(Run { stderr: said, ..run })
}

/// A run that goes on for a while, and what it leaves on one process.
fn long_run(folder: &Folder) -> String {
    let line = format!(
        "-v pretrain --corpus corpus {SMALL} --steps 200 --set train.grad_accum_steps=4 --set train.log_every=1 \
         --set train.evaluate_every=200 --set train.checkpoint_every=20 --set train.workers=1 {DEVICE}"
    );
    folder.run(&format!("{line} --out runs/whole")).succeeds();
    line
}

/// Makes sure that a run has the weights and metrics of `runs/whole`.
fn is_whole(folder: &Folder, name: &str) {
    let of = |run: &str| {
        let files = files(folder, &format!("runs/{run}")).into_iter();
        files.filter(|(name, _)| name == "model.safetensors" || name == "metrics.jsonl").collect::<Vec<_>>()
    };
    assert_eq!(of("whole").len(), 2);
    assert_equal(&of("whole"), &of(name));
}

/// A copy of a run.
fn copy(folder: &Folder, from: &str, to: &str) {
    let [from, to] = [from, to].map(|name| folder.path(name));
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

#[test]
fn a_run_stopped_on_four_processes_goes_on_with_one_and_three() {
    let folder = Folder::with_models();
    let line = long_run(&folder);
    // The signal reaches one of them, and not the first.
    let Some(stopped) = signalled(&folder, 4, &format!("{line} --out runs/parts"), "TERM", 2) else { return };
    assert_eq!(stopped.status, Some(143), "{}", stopped.stderr);
    assert_eq!(stopped.stderr.matches("\nstopped after step ").count(), 1, "{}", stopped.stderr);
    assert_eq!(stopped.stderr.matches("\ninterrupted\n").count(), 1, "{}", stopped.stderr);
    copy(&folder, "runs/parts", "runs/rest");
    folder.run(&format!("pretrain --out runs/parts --resume {DEVICE}")).succeeds();
    is_whole(&folder, "parts");
    run(&folder, 3, &format!("pretrain --out runs/rest --resume {DEVICE}")).unwrap().succeeds();
    is_whole(&folder, "rest");
}

#[test]
fn a_killed_process_ends_all_and_the_run_goes_on() {
    let folder = Folder::with_models();
    let line = long_run(&folder);
    for rank in 0..2 {
        let out = format!("runs/killed-{rank}");
        let Some(killed) = signalled(&folder, 2, &format!("{line} --out {out}"), "KILL", rank) else { return };
        assert!(killed.status != Some(0), "{}", killed.stderr);
        run(&folder, 3, &format!("pretrain --out {out} --resume {DEVICE}")).unwrap().succeeds();
        is_whole(&folder, &format!("killed-{rank}"));
    }
}

#[test]
fn an_error_of_one_process_is_said_with_its_number_and_ends_all() {
    let folder = Folder::with_models();
    let line = format!("pretrain --corpus corpus {SMALL} --steps 2 {DEVICE} --out runs/a");
    let Some(mut command) = on_ranks(&folder, 1, &line) else { return };
    let elsewhere = folder.path("runs").display().to_string();
    command.args([":", "-wdir", &elsewhere, "-n", "1", PROGRAM]).args(line.split_whitespace());
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.status, Some(2), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: rank 1: `corpus` is not a corpus"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
    assert!(!folder.path("runs/a").exists());
}

/// Makes sure that `line`, which writes to `out`, leaves the same files on one and on three processes.
fn check_dealt(line: &str, prepare: impl Fn(&Folder)) {
    let folders = [1, 3].map(|_| Folder::with_models());
    folders.iter().for_each(prepare);
    folders[0].run(line).succeeds();
    let Some(run) = run(&folders[1], 3, line) else { return };
    run.succeeds();
    assert_equal(&files(&folders[0], "out"), &files(&folders[1], "out"));
}

#[test]
fn runs_of_several_seeds_are_dealt_to_processes() {
    check_dealt(
        &format!(
            "finetune --model runs/mini --train train.csv --label-column category --test test.csv --seed 7 \
             --set train.micro_batch_size=8 --set train.workers=1 --steps 3 --seeds 4 {DEVICE} --out out"
        ),
        |_| {},
    );
}

#[test]
fn trials_of_a_search_are_dealt_to_processes() {
    let space = format!(
        "trials = 4
         command = \"finetune --model runs/mini --train train.csv --label-column category --steps 4 {DEVICE} \
         --set train.workers=1 --set train.micro_batch_size=8 --set train.evaluate_every=2\"
         [sampler]
         kind = \"random\"
         [space]
         train.optimizer.learning_rate = {{ kind = \"log-uniform\", low = 1e-4, high = 1e-2 }}\n"
    );
    check_dealt("search space.toml --out out", |folder| folder.write("space.toml", &space));
}

#[test]
fn a_search_that_one_process_was_asked_to_stop_goes_on() {
    let folder = Folder::with_models();
    let space = format!(
        "trials = 3
         command = \"pretrain --corpus corpus --steps 3000 {SMALL} {DEVICE} --set train.evaluate_every=500\"
         [space]
         train.optimizer.learning_rate = {{ kind = \"log-uniform\", low = 1e-4, high = 1e-2 }}\n"
    );
    folder.write("space.toml", &space);
    let Some(stopped) = signalled(&folder, 2, "search space.toml --out out", "TERM", 1) else { return };
    assert_eq!(stopped.status, Some(143), "{}", stopped.stderr);
    assert_eq!(stopped.stderr.matches("\ninterrupted\n").count(), 1, "{}", stopped.stderr);
    let resumed = run(&folder, 2, "search --resume --out out --format json").unwrap().succeeds();
    let trials = resumed.json()["trials"].as_array().unwrap().clone();
    assert!(trials.len() == 3 && trials.iter().all(|trial| trial["state"] == "complete"), "{trials:?}");
}

#[test]
fn the_first_process_speaks_alone() {
    let folder = Folder::new();
    let Some(run) = run(&folder, 3, "devices") else { return };
    assert_eq!(run.succeeds().stdout, folder.run("devices").succeeds().stdout);
    let help = self::run(&folder, 2, "pretrain --help").unwrap().succeeds();
    assert_eq!(help.stdout, folder.run("pretrain --help").stdout);
}

/// Runs `line` on two processes, the second one with `more`.
fn with_other_flags(folder: &Folder, line: &str, more: &str) -> Option<Run> {
    let mut command = on_ranks(folder, 1, line)?;
    command.args([":", "-n", "1", PROGRAM]).args(line.split_whitespace()).args(more.split_whitespace());
    Some(Run::of(command.output().unwrap()))
}

#[test]
fn processes_that_would_not_do_the_same_are_refused() {
    let folder = Folder::with_models();
    let line = format!("pretrain --corpus corpus {SMALL} --steps 4 {DEVICE} --out runs/other");
    for (more, said) in [
        ("--set train.micro_batch_size=4", "rank 1 was started with `--set` where rank 0 has nothing"),
        ("--dry-run", "rank 1 was started with `--dry-run` where rank 0 has nothing"),
        ("--frobnicate", "rank 1: error: unexpected argument '--frobnicate'"),
    ] {
        let Some(run) = with_other_flags(&folder, &line, more) else { return };
        assert_eq!(run.status, Some(2), "{run:?}");
        assert_eq!(run.stderr.matches(said).count(), 1, "{more}: {}", run.stderr);
        assert!(!folder.path("runs/other").exists(), "{more}");
    }
    // Each may have its own number of threads.
    let run = with_other_flags(&folder, &line, "--threads 1").unwrap();
    assert_eq!(run.status, Some(0), "{run:?}");
}

#[test]
fn settings_of_a_file_that_differs_are_refused() {
    let folder = Folder::with_models();
    for (name, rate) in [("one", "0.001"), ("other", "0.01")] {
        std::fs::create_dir_all(folder.path(name)).unwrap();
        folder.write(&format!("{name}/own.toml"), &format!("[train.optimizer]\nlearning_rate = {rate}\n"));
    }
    let place = |name: &str| folder.path(name).display().to_string();
    let line = format!(
        "pretrain --corpus {} {SMALL} --steps 4 --config own.toml {DEVICE} --out {}",
        place("corpus"),
        place("runs/other")
    );
    let Some(mut command) = on_ranks(&folder, 1, &line) else { return };
    command.args([":", "-wdir", &place("other"), "-n", "1", PROGRAM]).args(line.split_whitespace());
    command.current_dir(folder.path("one"));
    let run = Run::of(command.output().unwrap());
    assert_eq!(run.status, Some(2), "{run:?}");
    let said = "rank 1 has `train.optimizer.learning_rate = 0.01`, rank 0 has `0.001`";
    assert_eq!(run.stderr.matches(said).count(), 1, "{}", run.stderr);
    assert!(!folder.path("runs/other").exists());
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

/// The numbers of `metrics.jsonl` but for times, by line and name.
fn metrics(folder: &Folder, name: &str) -> Vec<(String, f64)> {
    let text = fs::read_to_string(folder.path(name).join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Map<String, Value>>(line).unwrap());
    let numbers = lines.enumerate().flat_map(|(line, row)| {
        let numbers =
            row.into_iter().filter(|(name, _)| !["seconds", "tokens_per_s", "communication"].contains(&name.as_str()));
        numbers.filter_map(move |(name, value)| Some((format!("{line}: {name}"), value.as_f64()?)))
    });
    numbers.collect()
}

/// Makes sure that the run of `line` has the same numbers but for rounding where so many processes have so many parts of the model.
fn check_parts(line: &str, teams: &[(usize, &str)]) {
    let folder = Folder::with_models();
    let line = |name: &str| format!("{line} --set train.workers=1 --set train.log_every=1 {DEVICE} --out runs/{name}");
    folder.run(&line("whole")).succeeds();
    let whole = metrics(&folder, "runs/whole");
    for (n, flags) in teams {
        let name = format!("{n}{}", flags.replace(' ', ""));
        let Some(run) = run(&folder, *n, &format!("{} {flags}", line(&name))) else { return };
        run.succeeds();
        let found = metrics(&folder, &format!("runs/{name}"));
        assert_eq!(found.len(), whole.len(), "{name}");
        for ((name_found, found), (name_expected, expected)) in found.iter().zip(&whole) {
            let is_near = (found - expected).abs() <= 1e-5 * expected.abs().max(1e-2);
            assert!(name_found == name_expected && is_near, "{name}: {name_found} is {found}, expected {expected}");
        }
        let sizes = |name: &str| fs::metadata(folder.path(name).join("model.safetensors")).unwrap().len();
        assert_eq!(sizes(&format!("runs/{name}")), sizes("runs/whole"), "{name}");
    }
}

#[test]
fn parts_of_pretraining_have_the_numbers_of_one_process() {
    let settings =
        "--steps 6 --set train.grad_accum_steps=2 --set train.checkpoint_every=3 --set train.evaluate_every=3";
    check_parts(
        &format!("pretrain --corpus corpus {SMALL} {settings}"),
        &[(2, "--tensor-parallel 2"), (4, "--tensor-parallel 2")],
    );
    check_parts(
        &format!("pretrain --corpus corpus {SMALL} {settings}"),
        &[(4, "--tensor-parallel 2 --pipeline-stages 2")],
    );
}

#[test]
fn parts_of_fine_tuning_have_the_numbers_of_one_process() {
    check_parts(
        "finetune --model runs/mini --train train.csv --label-column category --test test.csv --steps 4 --seed 7 \
         --set train.micro_batch_size=4 --set train.evaluate_every=2",
        &[(2, "--tensor-parallel 2")],
    );
}

#[test]
fn parts_of_a_language_model_have_the_numbers_of_one_process() {
    check_parts(
        "pretrain --objective causal-lm --corpus corpus --steps 4 --set model.d_model=32 --set model.d_ff=64 --set model.n_layers=2 \
         --set model.n_heads=4 --set train.micro_batch_size=4 --set train.evaluate_every=2 --set data.samples.max_seq_length=32",
        &[(4, "--tensor-parallel 4")],
    );
}

#[test]
fn parts_of_translation_have_the_numbers_of_one_process() {
    check_parts(
        "train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-tiny --set model.d_model=32 \
         --set model.d_ff=64 --set train.micro_batch_tokens=128 --steps 4 --set train.evaluate_every=2",
        &[(2, "--tensor-parallel 2")],
    );
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let folder = Folder::with_models();
    let line = |more: &str| format!("pretrain --corpus corpus {SMALL} --steps 2 {DEVICE} --out runs/refused {more}");
    let alone = folder.run(&line("--tensor-parallel 2"));
    assert_eq!(alone.status, Some(2), "{}", alone.stderr);
    assert!(alone.stderr.contains("need a multiple of 2 processes, found 1"), "{}", alone.stderr);
    let Some(cut) = run(&folder, 3, &line("--tensor-parallel 3")) else { return };
    assert!(cut.stderr.contains("attention heads of the model cannot be shared by 3 ranks"), "{}", cut.stderr);
    assert!(cut.stderr.contains("choose another `--tensor-parallel`"), "{}", cut.stderr);
    let Some(run) = run(&folder, 2, &line("--tensor-parallel 2 --set train.optimizer.kind=lamb")) else { return };
    assert!(run.stderr.contains("`lamb` compares whole parameters"), "{}", run.stderr);
    assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
    assert!(!folder.path("runs/refused").exists());
}
