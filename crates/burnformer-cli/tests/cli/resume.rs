//! What a resumed run asks of its data and of its settings.

use std::fs::{self, File};
use std::time::SystemTime;

use crate::support::{DEVICE, Folder, Run};

/// Fine-tunes on from the end of the run.
const RESUME: &str = "finetune --out runs/intents --resume --steps 19";

#[track_caller]
fn resumes(folder: &Folder, line: &str) -> Run {
    folder.run(&format!("{line} {DEVICE}")).succeeds()
}

fn weights(folder: &Folder) -> Vec<u8> {
    fs::read(folder.path("runs/intents/model.safetensors")).unwrap()
}

/// The weights that the run has when nothing has changed.
fn expected() -> Vec<u8> {
    let folder = Folder::with_models();
    resumes(&folder, RESUME);
    weights(&folder)
}

/// Replaces text in a file, which keeps its time of modification.
fn replace(folder: &Folder, name: &str, from: &str, to: &str) {
    let modified = fs::metadata(folder.path(name)).unwrap().modified().unwrap();
    let text = folder.read(name);
    assert!(text.contains(from), "{text}");
    folder.write(name, &text.replace(from, to));
    File::options().write(true).open(folder.path(name)).unwrap().set_modified(modified).unwrap();
}

#[test]
fn files_that_were_touched_or_moved_are_the_same_data() {
    let expected = expected();
    let folder = Folder::with_models();
    File::options().write(true).open(folder.path("train.csv")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    resumes(&folder, RESUME);
    assert!(weights(&folder) == expected);

    let folder = Folder::with_models();
    fs::create_dir(folder.path("new")).unwrap();
    fs::rename(folder.path("train.csv"), folder.path("new/train.csv")).unwrap();
    folder.run(RESUME).fails_with(&[
        "found nothing at `train.csv`, the `data.paths` of the run",
        "hint: if it was moved, name its new place with `--set 'data.paths=[\"NEW\"]'`",
    ]);
    let said = resumes(&folder, &format!("{RESUME} --set data.paths=[\"new/train.csv\"]")).stderr;
    assert!(said.contains("`data.paths` was [\"train.csv\"], is now [\"new/train.csv\"]\n"), "{said}");
    assert!(weights(&folder) == expected);
    // The place is remembered.
    resumes(&folder, RESUME);
}

#[test]
fn other_text_of_the_same_size_and_time_is_other_data() {
    let folder = Folder::with_models();
    replace(&folder, "train.csv", "Kettle number 1 ", "Cattle number 1 ");
    folder.run(RESUME).fails_with(&["cannot resume the run with another `data`"]);

    let folder = Folder::with_models();
    let line = "finetune --model runs/mini --train train.csv --validation test.csv --label-column category \
                --set train.micro_batch_size=8 --steps 2 --out runs/more";
    resumes(&folder, line);
    replace(&folder, "test.csv", "Kettle number 50 ", "Cattle number 50 ");
    folder
        .run("finetune --out runs/more --resume --steps 3")
        .fails_with(&["cannot resume the run with another `data`", "hint: restore what has changed"]);
}

#[test]
fn a_corpus_is_built_of_content() {
    let folder = Folder::with_models();
    let build = "data build --tokenizer tokenizer --out corpus --format json --input";
    let before = folder.json("corpus/corpus.json")["build"].clone();
    fs::rename(folder.path("harbour.jsonl"), folder.path("moved.jsonl")).unwrap();
    let again = folder.run(&format!("{build} moved.jsonl")).succeeds().json();
    assert_eq!((&again["reused"], &again["build"]), (&true.into(), &before));
    replace(&folder, "moved.jsonl", "burned until", "turned until");
    assert_eq!(folder.run(&format!("{build} moved.jsonl")).succeeds().json()["reused"], false);

    // The columns are a part of what is built.
    folder.write("two.jsonl", "{\"text\": \"The boat.\", \"title\": \"A lamp.\"}\n");
    let build = "data build --tokenizer tokenizer --out two --format json --input two.jsonl";
    folder.run(build).succeeds();
    assert_eq!(folder.run(&format!("{build} --text-column title")).succeeds().json()["reused"], false);
}

#[test]
fn a_corpus_that_was_moved_is_named_anew() {
    let folder = Folder::with_models();
    fs::rename(folder.path("corpus"), folder.path("elsewhere")).unwrap();
    let resume = "pretrain --out runs/mini --resume --steps 14";
    folder.run(resume).fails_with(&[
        "found nothing at `corpus`, the `corpus` of the run",
        "hint: if it was moved, name its new place with `--set 'corpus=NEW'`",
    ]);
    resumes(&folder, &format!("{resume} --set corpus=elsewhere"));
    folder
        .run("train-seq2seq --out runs/de-en --resume --steps 401 --set validation=nowhere")
        .fails_with(&["found nothing at `nowhere`, the `validation` of the run", "'validation=NEW'"]);
}

#[test]
fn the_base_model_may_go_once_training_has_begun() {
    let expected = expected();
    let folder = Folder::with_models();
    fs::remove_dir_all(folder.path("runs/mini")).unwrap();
    resumes(&folder, RESUME);
    assert!(weights(&folder) == expected);
}

#[test]
fn a_finished_run_does_not_take_settings_that_it_was_not_trained_with() {
    let folder = Folder::with_models();
    let (settings, card) = (folder.read("runs/intents/run.toml"), folder.read("runs/intents/README.md"));
    let resume = format!("finetune --out runs/intents --resume {DEVICE}");
    for (set, said) in [
        ("--set model=runs/intents", "cannot resume the run in `runs/intents` with other settings: `model` was"),
        ("--steps 1", "which leaves none for other settings: `train.steps` was"),
        ("--learning-rate 0.5", "which leaves none for other settings: `train.optimizer.learning_rate` was"),
    ] {
        folder.run(&format!("{resume} {set}")).fails_with(&[said, "hint: "]);
        assert!(folder.read("runs/intents/run.toml") == settings && folder.read("runs/intents/README.md") == card);
    }
}

#[test]
fn an_edited_file_of_settings_is_applied_or_refused_key_by_key() {
    let folder = Folder::with_models();
    let file = "runs/mini/run.toml";
    let resume = "pretrain --out runs/mini --resume";
    replace(&folder, file, "\nsteps = 12\n", "\nsteps = 14\n");
    let said = resumes(&folder, resume).stderr;
    assert!(said.contains("changed setting      `train.steps` was 12, is now 14\n"), "{said}");
    assert_eq!(folder.rows("runs/mini/metrics.jsonl").last().unwrap()["step"], 14);
    assert!(!resumes(&folder, resume).stderr.contains("changed setting"));

    for (from, to, said) in [
        ("seed = 42\n", "seed = 43\n", "`seed` was 42, is now 43"),
        ("\nd_model = 16\n", "\nd_model = 32\n", "`model.d_model` was 16, is now 32"),
        ("\nmax_seq_length = 24\n", "\nmax_seq_length = 20\n", "`data.samples.max_seq_length` was 24, is now 20"),
        ("\nvalidation = 0.", "\nvalidation = 0.1", "`data.split.validation` was 0."),
        ("\nmicro_batch_size = 8\n", "\nmicro_batch_size = 4\n", "`train.micro_batch_size` was 8, is now 4"),
        ("\nsteps = 14\n", "\nsteps = 14\nstpes = 14\n", "unknown key `train.stpes`"),
    ] {
        let before = folder.read(file);
        replace(&folder, file, from, to);
        let edited = folder.read(file);
        folder.run(resume).fails_with(&[said]);
        assert_eq!(folder.read(file), edited);
        folder.write(file, &before);
    }
    resumes(&folder, resume);
}

#[test]
fn a_late_error_keeps_the_settings_that_the_run_was_resumed_with() {
    let folder = Folder::with_models();
    fs::remove_file(folder.path("runs/mini/README.md")).unwrap();
    folder.write("runs/mini/README.md/file", "");
    let resume = "pretrain --out runs/mini --resume";
    folder.run(&format!("{resume} --steps 14 {DEVICE}")).fails_with(&["README.md"]);
    assert!(folder.read("runs/mini/run.toml").contains("\nsteps = 14\n"));
    fs::remove_dir_all(folder.path("runs/mini/README.md")).unwrap();
    assert!(!resumes(&folder, resume).stderr.contains("changed setting"));
}

#[test]
fn event_files_hold_what_the_history_holds_also_after_a_resumption() {
    let folder = Folder::with_models();
    let files = || {
        let is_file = |path: &std::path::PathBuf| path.to_string_lossy().contains("/runs/mini/events.out.tfevents.");
        folder.names().into_iter().filter(is_file).collect::<Vec<_>>()
    };
    /// The number of records, by the lengths in front of them.
    fn records(path: &std::path::Path) -> usize {
        let (bytes, mut at, mut n) = (fs::read(path).unwrap(), 0, 0);
        while at < bytes.len() {
            at += 16 + u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
            n += 1;
        }
        assert_eq!(at, bytes.len());
        n
    }
    assert_eq!(files(), [""; 0].map(std::path::PathBuf::from));
    let resume = "pretrain --out runs/mini --resume";
    let mut before = Vec::new();
    for steps in [14, 16] {
        let flag = if steps == 14 { "--tensorboard" } else { "" };
        resumes(&folder, &format!("{resume} --steps {steps} {flag}"));
        let (now, n_entries) = (files(), folder.rows("runs/mini/metrics.jsonl").len());
        assert!(now.len() == 1 && now > before, "{now:?}");
        // Two records say what the file is and that others are void.
        assert_eq!(records(&now[0]), n_entries + 2);
        before = now;
    }
}
