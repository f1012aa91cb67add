//! Where `--out` points: what was there stays until the new is complete, and what is no file is written to.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{DEVICE, Folder};

/// Starts to train a tokenizer on a named pipe; it waits for text once the pipe is open.
fn waiting(folder: &Folder, out: &str) -> (Child, fs::File) {
    let pipe = folder.path(&format!("{out}.txt"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = folder.command(&format!("tokenizer train --input {out}.txt --out {out} -q"));
    let program = command.stdout(Stdio::null()).spawn().unwrap();
    // Opening waits for the program to do so too, which has begun its folder by then.
    let text = OpenOptions::new().write(true).open(pipe).unwrap();
    (program, text)
}

fn unfinished(folder: &Folder) -> usize {
    let is_unfinished =
        |path: &&std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(".unfinished-");
    folder.names().iter().filter(is_unfinished).count()
}

#[test]
fn what_a_killed_command_left_goes_and_what_a_living_one_writes_stays() {
    let folder = Folder::with_text();
    let (mut killed, _text) = waiting(&folder, "killed");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (mut living, mut text) = waiting(&folder, "living");
    // The leftover went when this one began.
    assert_eq!(unfinished(&folder), 1);
    folder.run("tokenizer train --input texts --out third").succeeds();
    assert_eq!(unfinished(&folder), 1);
    text.write_all(b"the boat drifted past the pier\n").unwrap();
    drop(text);
    assert!(living.wait().unwrap().success());
    assert!(folder.path("living/tokenizer.json").is_file());
    assert_eq!(unfinished(&folder), 0);
}

#[test]
fn vectors_go_to_files_devices_pipes_and_the_standard_output() {
    let folder = Folder::with_models();
    let embed = format!("embed runs/mini {DEVICE} -q --out");
    folder.run_with(&format!("{embed} a.npy"), "The boat.").succeeds();
    let expected = fs::read(folder.path("a.npy")).unwrap();

    for out in ["-", "/dev/stdout"] {
        let output = folder.command(&format!("{embed} {out}")).arg("The boat.").output().unwrap();
        assert!(output.status.success() && output.stdout == expected, "{out}");
    }
    assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
    let program = folder.command(&format!("{embed} pipe")).arg("The boat.").spawn().unwrap();
    assert!(fs::read(folder.path("pipe")).unwrap() == expected);
    assert!(program.wait_with_output().unwrap().status.success());
    assert!(fs::metadata(folder.path("pipe")).unwrap().file_type().is_fifo());
    folder.run_with(&format!("{embed} /dev/null"), "The boat.").succeeds();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_file_stays_until_its_replacement_is_complete() {
    let folder = Folder::with_models();
    folder.write("a.npy", "years of work");
    let embed = format!("embed runs/mini {DEVICE} --out a.npy --input texts/1.txt");
    folder.run(&format!("{embed} missing.txt")).fails_with(&["missing.txt"]);
    folder.run(&embed.replace("runs/mini", "tokenizer")).fails_with(&["error: "]);
    assert_eq!(folder.read("a.npy"), "years of work");
    assert_eq!(unfinished(&folder), 0);
    folder.run(&embed).succeeds();
    assert!(fs::read(folder.path("a.npy")).unwrap().starts_with(b"\x93NUMPY"));
}

#[test]
fn a_name_that_cannot_be_written_is_refused_before_the_work() {
    let folder = Folder::new();
    let embed = "embed no-such-model The-boat --out";
    folder.run(&format!("{embed} .")).fails_with(&["`.` is a folder, expected the name of a file"]);
    folder.run(&format!("{embed} missing/a.npy")).fails_with(&["cannot write `missing/a.npy`"]);
    let evaluate = "evaluate no-such-model --input a --pair-input b --out";
    let line = format!("{evaluate} .");
    let folder = Folder::with_models();
    folder
        .run(
            &line
                .replace("no-such-model", "runs/de-en")
                .replace("--input a", "--input test.de")
                .replace(" b ", " test.en "),
        )
        .fails_with(&["`.` is a folder, expected the name of a file"]);
}

#[test]
fn a_build_that_fails_or_is_killed_leaves_the_old_corpus() {
    let folder = Folder::with_tokenizer();
    let build = |input: &str| format!("data build --input {input} --tokenizer tokenizer --out corpus");
    folder.run(&build("texts")).succeeds();
    let content = |folder: &Folder| {
        let path = |name: &str| folder.path(&format!("corpus/{name}"));
        ["corpus.json", "shard-00000.bin"].map(|name| fs::read(path(name)).unwrap())
    };
    let old = content(&folder);

    folder.write("rows.jsonl", "{\"text\": \"The old boat.\"}\n{\"txt\": \"A lamp.\"}\n");
    folder.run(&build("rows.jsonl")).fails_with(&["line 2 of `rows.jsonl` has no `text`"]);
    assert!(content(&folder) == old);

    assert!(Command::new("mkfifo").arg(folder.path("more.txt")).status().unwrap().success());
    let mut program = folder.command(&build("more.txt")).stdout(Stdio::null()).spawn().unwrap();
    let text = OpenOptions::new().write(true).open(folder.path("more.txt")).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    drop(text);
    assert!(content(&folder) == old);
    folder.run("data stats corpus").succeeds();

    folder.run(&build("texts/1.txt")).succeeds();
    assert!(content(&folder) != old);
    assert!(!Path::new(&folder.path(".corpus.building")).exists());
}
