//! Sizes, threads and files that a computer does not have.

use crate::support::{DEVICE, Folder, SMALL};

#[test]
fn a_model_of_a_million_layers_is_refused() {
    let folder = Folder::with_models();
    let pretrain = format!("pretrain --corpus corpus --out new {SMALL} {DEVICE} --dry-run");
    let run = folder.run(&format!("{pretrain} --set model.n_layers=1000000"));
    run.fails_with(&["the override `model.n_layers=1000000`", "`model.n_layers` is 1000000, expected at most 4,096"]);
    let run = folder.run(&format!("{pretrain} --set model.d_ff=1000000000"));
    run.fails_with(&["`model.d_ff` is 1000000000, expected at most 1,048,576"]);

    let mut config = folder.json("runs/mini/config.json");
    config["num_hidden_layers"] = 1_000_000.into();
    folder.write("runs/mini/config.json", &config.to_string());
    for command in ["inspect runs/mini", "fill-mask runs/mini [MASK]", "embed runs/mini text"] {
        let run = folder.run(&format!("{command} {DEVICE}"));
        run.fails_with(&["`num_hidden_layers` in `runs/mini/config.json` is `1000000`, expected at most 4,096"]);
    }
}

/// A pipe would be waited for, for ever.
#[cfg(unix)]
#[test]
fn settings_come_from_files() {
    let folder = Folder::with_models();
    assert!(std::process::Command::new("mkfifo").arg(folder.path("pipe.toml")).status().unwrap().success());
    for (name, kind) in [("pipe.toml", "pipe"), ("/dev/zero", "device"), ("texts", "folder")] {
        let run = folder.run(&format!("pretrain --corpus corpus --out new {SMALL} {DEVICE} --config {name}"));
        let said = format!("it is a {kind}, expected a regular file: write the content to a file and name that");
        run.fails_with(&[&format!("cannot read the settings `{name}`"), &said]);
    }
}

/// No system has a stack of that size for a thread.
#[cfg(target_os = "linux")]
#[test]
fn no_thread_to_be_had_is_an_error() {
    let folder = Folder::with_text();
    let mut command = folder.command("tokenizer train --input texts --vocab-size 150 --out tokenizer");
    let output = command.env("RUST_MIN_STACK", (1_u64 << 46).to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("error: cannot ") && !said.contains("panicked"), "{said}");
}
