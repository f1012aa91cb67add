//! A recipe of the library writes the bytes that the program writes.

use std::fs;
use std::path::Path;

use burnformer::recipes::finetune::TextClassification;
use burnformer::recipes::{Context, Finetune, Pretrain, Recipe, reload};
use serde_json::Value;

use crate::support::{DEVICE, Folder, SMALL};

fn context() -> Context<'static> {
    let device = DEVICE.trim_start_matches("--device ").parse().unwrap();
    Context { device, ..Context::default() }
}

/// A file without the times in it, and without the name of the run's folder.
fn timeless(folder: &Path, name: &str) -> Vec<u8> {
    let bytes = fs::read(folder.join(name)).unwrap();
    let Ok(text) = String::from_utf8(bytes.clone()) else { return bytes };
    let text = text.replace(&*folder.to_string_lossy(), "FOLDER");
    if !name.ends_with(".jsonl") && !name.ends_with("state.json") {
        return text.into_bytes();
    }
    let without = |mut row: Value| {
        for place in ["/state", "/state/interval"] {
            if let Some(state) = row.pointer_mut(place).and_then(Value::as_object_mut) {
                state.remove("seconds");
            }
        }
        let map = row.as_object_mut().unwrap();
        // The checksum of a state is that of its times too.
        ["seconds", "tokens_per_s", "checksum"].into_iter().for_each(|time| drop(map.remove(time)));
        row.to_string()
    };
    let rows = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    rows.map(|row| without(row.unwrap())).collect::<String>().into_bytes()
}

/// Makes sure that two folders of runs have the same files. The picture of the curves has the times in it.
#[track_caller]
fn check_alike(folder: &Folder, program: &str, library: &str, step: u64) {
    let [program, library] = [program, library].map(|name| folder.path(name));
    let checkpoint = format!("checkpoints/step-{step}");
    for place in ["", checkpoint.as_str()] {
        let names = |run: &Path| {
            let entries = fs::read_dir(run.join(place)).unwrap().map(|entry| entry.unwrap().path());
            let files = entries.filter(|path| path.is_file() && !path.ends_with("learning_curves.svg"));
            let mut names: Vec<_> = files.map(|path| path.strip_prefix(run).unwrap().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&program), names(&library));
        for name in names(&program) {
            let name = name.to_str().unwrap();
            assert!(timeless(&program, name) == timeless(&library, name), "`{name}` differs");
        }
    }
}

#[test]
fn pretraining_by_the_library_is_that_of_the_program() {
    let folder = Folder::with_models();
    let [corpus, out] = ["corpus", "by-program/a"].map(|name| folder.path(name));
    fs::create_dir(folder.path("by-program")).unwrap();
    let (corpus, out_name) = (corpus.display(), out.display());
    folder.run(&format!("pretrain --corpus {corpus} {SMALL} --steps 3 --out {out_name} {DEVICE}")).succeeds();
    let recipe = Pretrain::new(reload(&out, &[]).unwrap()).unwrap();
    assert_eq!(recipe.plan(&context()).unwrap().steps, 3);
    let report = recipe.run(&folder.path("by-library/a"), &context()).unwrap();
    check_alike(&folder, "by-program/a", "by-library/a", report.run.steps);
}

#[test]
fn fine_tuning_by_the_library_is_that_of_the_program() {
    let folder = Folder::with_models();
    let [model, train, out] = ["runs/mini", "train.csv", "by-program/a"].map(|name| folder.path(name));
    fs::create_dir(folder.path("by-program")).unwrap();
    let line = format!(
        "finetune --model {} --train {} --label-column category --set train.micro_batch_size=8 --epochs 1 --out {} {DEVICE}",
        model.display(),
        train.display(),
        out.display()
    );
    folder.run(&line).succeeds();
    let recipe = Finetune::<TextClassification>::new(reload(&out, &[]).unwrap(), None, &context()).unwrap();
    let report = recipe.run(&folder.path("by-library/a"), &context()).unwrap();
    check_alike(&folder, "by-program/a", "by-library/a", report.run.steps);
}
