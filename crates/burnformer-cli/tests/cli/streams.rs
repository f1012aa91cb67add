//! Results on one stream, everything else on the other.

use std::io;

use crate::support::{Folder, Run};

#[test]
fn a_closed_pipe_is_no_error() {
    let folder = Folder::with_tokenizer();
    for line in ["completions bash", "devices", "data build --input texts --tokenizer tokenizer --out corpus"] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let run = Run::of(folder.command(line).stdout(writer).output().unwrap()).succeeds();
        assert_eq!(run.stderr, "", "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_the_standard_output_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Run::of(Folder::new().command("devices").stdout(full).output().unwrap());
    run.fails_with(&["error: cannot write to standard output\n  caused by: "]);
}

#[test]
fn quiet_leaves_results_and_errors() {
    let folder = Folder::with_text();
    let train = "tokenizer train --input texts --kind word-level";
    let run = folder.run(&format!("{train} --out quiet -q --format json")).succeeds();
    assert_eq!((run.stderr.as_str(), &run.json()["folder"]), ("", &"quiet".into()));
    folder.run(&format!("{train} --out quiet --quiet")).fails_with(&["`quiet` already exists"]);
}

#[test]
fn verbose_shows_the_settings_as_they_turned_out() {
    let run = Folder::with_text().run("-v tokenizer train --input texts --vocab-size 99 --out t").succeeds();
    assert!(run.stderr.contains("vocab_size = 99\n") && run.stderr.contains("limit_alphabet = 6000\n"), "{run:?}");
}

#[test]
fn nothing_is_coloured_for_a_file() {
    let folder = Folder::new();
    for line in ["data stats nowhere", "devices --device wgpu:99", "data --help", "nonsense"] {
        let run = folder.run(line);
        assert!(!run.stderr.contains('\u{1b}') && !run.stdout.contains('\u{1b}'), "{run:?}");
    }
}
