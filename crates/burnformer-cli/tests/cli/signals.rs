//! Ctrl-C and SIGTERM, sent while the program waits for more text from a named pipe.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::support::Folder;

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
    for (name, status) in [("INT", 130), ("TERM", 143)] {
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
fn the_second_signal_ends_the_program_at_once() {
    let mut work = Work::start();
    work.signal("INT");
    work.send("INT");
    let ended = work.program.wait().unwrap();
    assert_eq!(ended.signal(), Some(2));
}
