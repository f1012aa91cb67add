//! Searches for settings.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{DEVICE, Folder, SMALL};

/// A command whose runs are evaluated every other of 18 steps.
const FINETUNE: &str = "finetune --model runs/mini --train train.csv --label-column category --max-seq-length 12 --steps 18 \
                        --set train.micro_batch_size=8 --set train.evaluate_every=2";
const RATE: &str = "train.optimizer.learning_rate = { kind = \"log-uniform\", low = 1e-4, high = 1e-1 }";

/// Writes `space.toml`: the command on the device of tests, and what follows it.
fn write(folder: &Folder, command: &str, rest: &str) {
    folder.write("space.toml", &format!("command = \"{command} {DEVICE}\"\n{rest}\n"));
}

/// The rows of `trials.csv` behind its head.
fn table(folder: &Folder, out: &str) -> Vec<Vec<String>> {
    let text = folder.read(&format!("{out}/trials.csv"));
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn weights(folder: &Folder, run: &str) -> Vec<u8> {
    fs::read(folder.path(run).join("model.safetensors")).unwrap()
}

const ASHA: &str = "trials = 9\nmetric = \"loss\"\n[asha]\n[sampler]\nkind = \"tpe\"\nstartup_trials = 4\n[space]";

#[test]
fn the_best_settings_are_found_and_are_those_of_a_run() {
    let folder = Folder::with_models();
    let space = "train.optimizer.weight_decay = { kind = \"choice\", values = [0.0, 0.1] }";
    write(&folder, FINETUNE, &format!("{ASHA}\n{RATE}\n{space}"));
    let report = folder.run("search space.toml --out runs/search --format json").succeeds().json();
    let trials = report["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 9);
    assert!(trials.iter().all(|trial| ["complete", "pruned"].contains(&trial["state"].as_str().unwrap())));
    // A third comes to the second comparison, and a third of them to the end.
    let steps: Vec<u64> = trials.iter().map(|trial| trial["steps"].as_u64().unwrap()).collect();
    assert!(steps.iter().all(|steps| [2, 6, 18].contains(steps)), "{steps:?}");
    assert!(steps.iter().filter(|steps| **steps == 2).count() >= 4, "{steps:?}");
    let best = &trials[report["best"].as_u64().unwrap() as usize];
    assert_eq!((&best["state"], &best["steps"]), (&Value::from("complete"), &Value::from(18)));
    let complete = trials.iter().filter(|trial| trial["state"] == "complete");
    assert!(
        complete.map(|trial| trial["value"].as_f64().unwrap()).all(|value| value >= best["value"].as_f64().unwrap())
    );
    assert_eq!(table(&folder, "runs/search").len(), 9);
    for picture in ["history", "parallel_coordinates"] {
        assert!(folder.read(&format!("runs/search/{picture}.svg")).starts_with("<svg"));
    }
    // It waited twice on its way, and has the bits of a run that never stopped.
    folder.run(&format!("{FINETUNE} --config runs/search/best.toml --out runs/best {DEVICE}")).succeeds();
    assert!(weights(&folder, best["folder"].as_str().unwrap()) == weights(&folder, "runs/best"));
    // Its trials are runs.
    let runs = folder.run("runs runs/search").succeeds().stdout;
    assert!(runs.contains("runs/search/trials/0008"), "{runs}");
}

#[cfg(unix)]
#[test]
fn a_search_that_is_killed_or_stopped_goes_on() {
    let expected = Folder::with_models();
    write(&expected, FINETUNE, &format!("{ASHA}\n{RATE}"));
    expected.run("search space.toml --out runs/search").succeeds();
    let folder = Folder::with_models();
    write(&folder, FINETUNE, &format!("{ASHA}\n{RATE}"));
    let mut line = "search space.toml --out runs/search";
    for (text, signal, status) in
        [("trial 1: ", "KILL", None), ("steps, waits", "TERM", Some(143)), ("goes on", "KILL", None)]
    {
        let mut program = folder.command(line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(program.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains(text)), "`{text}` was not said");
        let kill = format!("kill -{signal} {}", program.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        // Until nobody can say anything any more.
        said.for_each(drop);
        assert_eq!(program.wait().unwrap().code(), status);
        line = "search --out runs/search --resume";
    }
    folder.run(line).succeeds();
    assert_eq!(table(&folder, "runs/search"), table(&expected, "runs/search"));
    for (number, row) in table(&folder, "runs/search").iter().enumerate().filter(|(_, row)| row[1] == "complete") {
        let run = format!("runs/search/trials/{number:04}");
        assert!(weights(&folder, &run) == weights(&expected, &run), "{row:?}");
    }
    // More trials, and nothing that the trials so far depend on.
    folder.run("search --out runs/search --resume --trials 10").succeeds();
    assert_eq!(table(&folder, "runs/search")[..9], table(&expected, "runs/search")[..]);
    assert_eq!(table(&folder, "runs/search").len(), 10);
    folder
        .run("search --out runs/search --resume --set seed=1")
        .fails_with(&["cannot resume the search with another `seed`", "hint: `trials`, `jobs`"]);
}

/// Trials that run at once do not disturb each other, whatever they share.
#[test]
fn trials_at_once_have_the_bits_of_trials_one_by_one() {
    let folder = Folder::with_models();
    let model = "model.n_layers = { kind = \"integer\", low = 1, high = 2 }";
    let space = format!("trials = 4\n[sampler]\nkind = \"random\"\n[space]\n{RATE}\n{model}");
    write(&folder, &format!("pretrain --corpus corpus {SMALL} --steps 6 --seed 3"), &space);
    folder.run("search space.toml --out runs/one").succeeds();
    folder.run("search space.toml --out runs/four --jobs 4 --set threads=4 --set memory_gib=3").succeeds();
    assert_eq!(table(&folder, "runs/one"), table(&folder, "runs/four"));
    for number in 0..4 {
        let of = |search: &str| weights(&folder, &format!("runs/{search}/trials/{number:04}"));
        assert!(of("one") == of("four"));
    }
}

#[test]
fn translators_are_searched_too() {
    let folder = Folder::with_models();
    let command = "train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-tiny --set model.d_model=16 \
                   --set model.d_ff=16 --set train.micro_batch_tokens=128 --steps 4";
    write(&folder, command, &format!("trials = 2\n[space]\n{RATE}"));
    let report = folder.run("search space.toml --out runs/search --format json").succeeds().json();
    assert_eq!((&report["metric"], &report["maximize"]), (&Value::from("perplexity"), &Value::from(false)));
    let best = report["trials"][report["best"].as_u64().unwrap() as usize]["folder"].as_str().unwrap().to_owned();
    let text = folder.run("search --out runs/search --resume --set keep=best").succeeds().stdout;
    let kept = fs::read_dir(folder.path("runs/search/trials")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(kept.eq([folder.path(&best).file_name().unwrap()]), "{best}");
    assert!(
        text.contains("2 (2 complete, 0 pruned, 0 failed)") && text.contains("perplexity, less is better"),
        "{text}"
    );
}

/// Trials whose settings cannot work or diverge are told, and others go on.
#[test]
fn trials_that_fail_are_no_end() {
    let folder = Folder::with_models();
    let heads = "model.n_heads = { kind = \"choice\", values = [2, 3] }";
    let rate = "train.optimizer.learning_rate = { kind = \"choice\", values = [0.001, 1e30] }";
    let space = format!("trials = 8\n[sampler]\nkind = \"random\"\n[space]\n{heads}\n{rate}");
    write(&folder, &format!("pretrain --corpus corpus {SMALL} --steps 8 --set train.max_skipped_steps=1"), &space);
    let report = folder.run("search space.toml --out runs/search --set seed=5 --format json").succeeds().json();
    for trial in report["trials"].as_array().unwrap() {
        let settings = &trial["settings"];
        let (heads, rate) = (&settings["model.n_heads"], settings["train.optimizer.learning_rate"].as_f64().unwrap());
        let expected = match (heads.as_u64(), rate < 1.0) {
            (Some(2), true) => ("complete", ""),
            (Some(2), false) => ("pruned", "diverged"),
            _ => ("failed", "is not divisible by `model.n_heads` (3)"),
        };
        assert_eq!(trial["state"], expected.0, "{trial}");
        assert!(trial["error"].as_str().unwrap_or_default().contains(expected.1), "{trial}");
    }
    assert_eq!(report["trials"][report["best"].as_u64().unwrap() as usize]["state"], "complete");
}

#[test]
fn a_search_without_any_run_is_an_error() {
    let folder = Folder::with_models();
    let heads = "model.n_heads = { kind = \"choice\", values = [3] }";
    write(&folder, &format!("pretrain --corpus corpus {SMALL} --steps 8"), &format!("trials = 2\n[space]\n{heads}"));
    let said = ["is not divisible by `model.n_heads` (3)"];
    folder.run("search space.toml --out runs/search").fails_with(&said);
}

/// The first trial can be planned, and ends as its loss is not a number.
#[test]
fn a_search_whose_trials_all_end_early_is_an_error() {
    let folder = Folder::with_models();
    let rate = "train.optimizer.learning_rate = { kind = \"choice\", values = [1e30, 2e30] }";
    let command = format!("pretrain --corpus corpus {SMALL} --steps 8 --set train.max_skipped_steps=1");
    write(&folder, &command, &format!("trials = 2\n[space]\n{rate}"));
    folder.run("search space.toml --out runs/search").fails_with(&[
        "none of 2 trials",
        "the first of them",
        "diverged",
    ]);
}

#[test]
fn what_cannot_be_searched_is_refused_and_leaves_nothing_behind() {
    let folder = Folder::with_models();
    let check = |command: &str, rest: &str, said: &[&str]| {
        write(&folder, command, rest);
        folder.run("search space.toml --out runs/search").fails_with(said);
        assert!(!folder.path("runs/search").exists(), "{command}");
    };
    let space = format!("[space]\n{RATE}");
    check(FINETUNE, "", &["`space` has no parameter"]);
    check(FINETUNE, "[space]\ntrain.stepz = { kind = \"choice\", values = [1] }", &["the unknown key `train.stepz`"]);
    check(FINETUNE, "[space]\na = { kind = \"choice\" }", &["`space.a` is no parameter: missing field `values`"]);
    check(FINETUNE, &format!("[asha]\nrungs = 4\n{space}"), &["a run of 18 steps is too short for 4 comparisons"]);
    check(
        &format!("{FINETUNE} --set train.evaluate_every=9"),
        &format!("[asha]\n{space}"),
        &["set `train.evaluate_every` to at most 2"],
    );
    check(
        &format!("{FINETUNE} --learning-rate 0.5"),
        &space,
        &[
            "`train.optimizer.learning_rate` of the first trial is 0.5, not 0.0",
            "hint: leave out the flag of `command`",
        ],
    );
    check(
        "predict runs/mini x",
        &space,
        &["`command` is no command that trains", "hint: begin it with one of finetune, "],
    );
    check("finetune --trian x", &space, &["the setting `command` makes no sense: unexpected argument '--trian'"]);
    check(&format!("{FINETUNE} --out runs/x"), &space, &["`--out` cannot stand in `command`"]);
    check(&format!("{FINETUNE} --text-column 'a"), &space, &["`command` has a quotation mark without its other"]);
    folder.write("space.toml", &space);
    folder.run("search space.toml --out runs/search").fails_with(&["the setting `command` is missing"]);
    folder.run("search --out runs/search --resume").fails_with(&["it has no `search.toml`"]);
    folder.run("search space.toml --out runs/mini").fails_with(&["`runs/mini` holds other files"]);
}

#[test]
fn a_metric_that_is_not_measured_is_told_with_those_that_are() {
    let folder = Folder::with_models();
    write(&folder, FINETUNE, &format!("metric = \"bleu\"\n[space]\n{RATE}"));
    folder
        .run("search space.toml --out runs/search")
        .fails_with(&["the runs have no validation metric `bleu`", "hint: set `metric` to one of loss, "]);
}

#[test]
fn a_dry_run_shows_the_first_trial() {
    let folder = Folder::with_models();
    write(&folder, FINETUNE, &format!("[space]\n{RATE}"));
    let shown = folder.run("search space.toml --out runs/search --dry-run --trials 7").succeeds().stdout;
    for text in ["steps                18", "trials = 7", "log-uniform"] {
        assert!(shown.contains(text), "{shown}");
    }
    assert!(!folder.path("runs/search").exists());
}
