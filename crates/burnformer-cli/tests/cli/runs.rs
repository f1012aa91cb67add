//! `burnformer runs`.

use burnformer::core::lock::FolderLock;
use serde_json::{Value, json};

use crate::support::Folder;

/// The contents of all files.
fn contents(folder: &Folder) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = folder.names().into_iter().filter(|path| path.is_file());
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// The entry of a run.
fn entry<'a>(report: &'a Value, run: &str) -> &'a Value {
    report["runs"].as_array().unwrap().iter().find(|it| it["folder"] == run).unwrap()
}

#[test]
fn runs_are_listed_and_nothing_is_changed() {
    let folder = Folder::with_models();
    // A run with more steps to do.
    folder.write("runs/mini/run.toml", &folder.read("runs/mini/run.toml").replace("\nsteps = 12\n", "\nsteps = 20\n"));
    let lock = FolderLock::acquire(&folder.path("runs/intents")).unwrap();
    let before = contents(&folder);
    let text = folder.run("runs").succeeds().stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("run "), "{text}");
    for (run, parts) in [
        ("runs/de-en", ["train-seq2seq", "finished", "400 of 400", "perplexity 1."]),
        ("runs/intents", ["finetune", "running", " of ", "macro_f1 0."]),
        ("runs/mini", ["pretrain", "interrupted", "12 of 20", "loss "]),
    ] {
        let line = lines.iter().find(|line| line.starts_with(run)).unwrap();
        assert!(parts.iter().all(|part| line.contains(part)) && line.ends_with(" ago"), "{line}");
    }
    let report = folder.run("runs --format json").succeeds().json();
    let mini = entry(&report, "runs/mini");
    assert_eq!((&mini["step"], &mini["steps"], &mini["state"]), (&12.into(), &20.into(), &"interrupted".into()));
    let chosen_by = ["runs/de-en", "runs/intents", "runs/mini"].map(|run| &entry(&report, run)["best"]["chosen_by"]);
    assert_eq!(chosen_by, ["perplexity", "macro_f1", "loss"]);
    // The best evaluation is that of the model in the folder.
    let trained = folder.json("mini.json");
    assert_eq!(mini["best"]["step"], trained["best_step"]);
    let losses =
        [&mini["best"]["metrics"]["loss"], &trained["validation"]["metrics"]["loss"]].map(|it| it.as_f64().unwrap());
    assert!((losses[0] - losses[1]).abs() < 1e-5, "{losses:?}");
    assert_eq!(report["damaged"], json!([]));
    assert!(contents(&folder) == before);
    drop(lock);
    let report = folder.run("runs runs/intents --format json").succeeds().json();
    assert_eq!(entry(&report, "runs/intents")["state"], "finished");
}

#[test]
fn damaged_folders_are_named_and_do_not_hide_the_others() {
    let folder = Folder::with_models();
    folder.write("runs/bad/run.toml", "seed = \n");
    folder.write("runs/other/run.toml", "title = \"no run\"\n");
    folder.write("runs/de-en/metrics.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
    let said = folder.run("runs nowhere runs texts").succeeds().stdout;
    for part in [
        "damaged: nowhere: cannot be listed: ",
        "damaged: texts: found no run folder in it",
        "damaged: runs/bad: `runs/bad/run.toml` line 1 is not valid TOML",
        "damaged: runs/other: `runs/other/run.toml` has no `train.steps`",
        "damaged: runs/de-en: line 1 of `runs/de-en/metrics.jsonl` is not an entry",
        "\nruns/intents ",
        "\nruns/mini ",
    ] {
        assert!(said.contains(part), "`{part}` is not said in:\n{said}");
    }
    folder.run("runs texts").fails_with(&["found no run folder in `texts`", "hint: a run folder has a `run.toml`"]);
    folder.run("runs runs --compare --metric colour").fails_with(&["no run has a metric `colour`", "hint: ", "loss"]);
}

#[test]
fn runs_are_compared_by_settings_and_curves() {
    let folder = Folder::with_models();
    let line =
        "pretrain --corpus corpus --init runs/mini --steps 6 --set train.micro_batch_size=8 --seed 7 --out runs/more";
    folder.run(&format!("{line} {}", crate::support::DEVICE)).succeeds();
    let command = "runs runs/mini runs/more --compare --plot curves.svg";
    let text = folder.run(command).succeeds().stdout;
    for part in
        ["\na  runs/mini\nb  runs/more\n", "\nseed ", "\ninit ", "\nbest loss ", "\nloss (validation)\n", " +---"]
    {
        assert!(text.contains(part), "`{part}` is not said in:\n{text}");
    }
    assert!(!text.contains("\nmodel.d_model ") && !text.contains("\ncorpus "), "{text}");
    let picture = folder.read("curves.svg");
    assert!(picture.starts_with("<svg") && picture.contains("\nruns/more\n"), "{picture}");

    let report = folder.run(&format!("{command} --format json")).succeeds().json();
    let settings = report["comparison"]["settings"].as_array().unwrap();
    let row = |key: &str| settings.iter().find(|row| row["key"] == key).map(|row| row["values"].clone());
    assert_eq!((row("seed"), row("init")), (Some(json!(["42", "7"])), Some(json!([null, "runs/mini"]))));
    assert_eq!(row("train.steps"), Some(json!(["12", "6"])));
    let curves = report["comparison"]["curves"].as_array().unwrap();
    let expected: Vec<_> = folder.rows("runs/mini/metrics.jsonl");
    let expected: Vec<_> = expected.iter().filter(|row| row["split"] == "validation").collect();
    let points = curves[0]["points"].as_array().unwrap();
    assert_eq!((curves.len(), points.len()), (2, expected.len()));
    assert!(points.iter().zip(expected).all(|(point, row)| (&point[0], &point[1]) == (&row["step"], &row["loss"])));
}
