//! Signals, sent while the program waits for more text from a named pipe.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::{Folder, PROGRAM};

/// The program at work: it has read some of its text.
struct Work {
    folder: Folder,
    program: Child,
    stderr: BufReader<ChildStderr>,
    text: File,
}

impl Work {
    fn start() -> Self {
        let folder = Folder::new();
        let pipe = folder.path("text.txt");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut program = folder
            .command("tokenizer train --input text.txt --out tokenizer")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Opening waits for the program to do so too.
        let mut text = OpenOptions::new().write(true).open(pipe).unwrap();
        text.write_all("the boat drifted past the pier\n".as_bytes()).unwrap();
        let stderr = BufReader::new(program.stderr.take().unwrap());
        Self { folder, program, stderr, text }
    }

    /// Sends a signal and waits until the program has said so.
    fn signal(&mut self, name: &str) -> String {
        self.send(name);
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        line
    }

    fn send(&self, name: &str) {
        let (signal, process) = (format!("-{name}"), self.program.id().to_string());
        assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
    }
}

#[test]
fn the_first_signal_stops_at_a_safe_point_and_leaves_nothing() {
    for (name, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut work = Work::start();
        assert_eq!(work.signal(name), "stopping at the next safe point; press Ctrl-C again to stop at once\n");
        // More than a piece of a document, so that the program comes back to look.
        let line = format!("{}\n", "the boat ".repeat(100));
        let _ = work.text.write_all(line.repeat(3000).as_bytes());
        drop(work.text);
        let ended = work.program.wait().unwrap();
        let mut rest = String::new();
        work.stderr.read_to_string(&mut rest).unwrap();
        assert_eq!((ended.code(), rest.as_str()), (Some(status), "interrupted\n"));
        assert_eq!(work.folder.names(), [work.folder.path("text.txt")]);
    }
}

#[test]
fn a_later_second_signal_ends_the_program_at_once() {
    for (first, second, number) in [("INT", "INT", 2), ("TERM", "TERM", 15), ("TERM", "INT", 2)] {
        let mut work = Work::start();
        work.signal(first);
        // Signals within a second are one.
        thread::sleep(Duration::from_millis(1500));
        assert_eq!(work.signal(second), "stopped at once by a second signal\n");
        let ended = work.program.wait().unwrap();
        assert_eq!(ended.signal(), Some(number), "{first}, {second}");
    }
}

#[test]
fn work_without_checkpoints_goes_on_when_asked_for_one() {
    let mut work = Work::start();
    let said = work.signal("USR1");
    assert_eq!(said, "SIGUSR1: training writes a checkpoint and goes on, other work goes on\n");
    drop(work.text);
    assert_eq!(work.program.wait().unwrap().code(), Some(0));
    assert!(work.folder.path("tokenizer/tokenizer.json").is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn a_hang_up_that_the_caller_ignores_is_ignored() {
    let folder = Folder::new();
    let pipe = folder.path("text.txt");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let line = format!("trap '' HUP; exec {PROGRAM} tokenizer train --input text.txt --out tokenizer -q");
    let mut program = Command::new("sh").args(["-c", &line]).current_dir(folder.path("")).spawn().unwrap();
    let mut text = OpenOptions::new().write(true).open(pipe).unwrap();
    assert!(Command::new("kill").args(["-HUP", &program.id().to_string()]).status().unwrap().success());
    text.write_all(b"the boat drifted past the pier\n").unwrap();
    drop(text);
    assert_eq!(program.wait().unwrap().code(), Some(0));
}
