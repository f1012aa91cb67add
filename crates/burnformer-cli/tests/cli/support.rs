//! A folder to work in, the program, and text that it works on.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_burnformer");

/// The device of tests that train: a processor if there is a backend for it.
pub(crate) const DEVICE: &str = if cfg!(feature = "flex") {
    "--device flex"
} else if cfg!(feature = "ndarray") {
    "--device ndarray"
} else {
    "--device wgpu"
};
/// The settings of a model that trains in no time.
pub(crate) const SMALL: &str = "--set model.d_model=16 --set model.n_heads=2 --set model.d_ff=32 \
    --set model.max_seq_length=32 --set data.samples.max_seq_length=24 --set train.micro_batch_size=8";

/// A folder that the program runs in.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with documents in `texts` and rows in `reviews.csv`.
    pub(crate) fn with_text() -> Self {
        let folder = Self::new();
        for (number, text) in documents().iter().enumerate() {
            folder.write(&format!("texts/{number}.txt"), text);
        }
        folder.write("reviews.csv", &reviews());
        folder
    }

    /// A folder with text, and a tokenizer trained on it.
    pub(crate) fn with_tokenizer() -> Self {
        let folder = Self::with_text();
        folder.run("tokenizer train --input texts --vocab-size 150 --out tokenizer").succeeds();
        folder
    }

    /// A folder with text and tokenizer, and besides:
    ///
    /// - `corpus` of `harbour.jsonl`, a hundred documents, and a model `runs/mini` pretrained on it, with what the program
    ///   said and reported in `mini.log` and `mini.json`
    /// - `train.csv` and `test.csv` with columns `text` and `category`, and a classifier `runs/intents`, with `intents.log`
    ///   and `intents.json`
    /// - `train.de` and `train.en`, `test.de` and `test.en` with numbers, of which the second have the digits the other way
    ///   round; tokenizers `de` and `en`, corpora `pairs` and `pairs-dev`, and a model `runs/de-en` with five checkpoints,
    ///   with `de-en.log` and `de-en.json`
    pub(crate) fn with_models() -> Self {
        // Trained once. What is kept is their content, so that no test sees what another does to them.
        static FILES: OnceLock<Vec<(PathBuf, Vec<u8>)>> = OnceLock::new();
        let files = FILES.get_or_init(|| {
            let folder = Self::with_tokenizer();
            folder.write("harbour.jsonl", &(0..100).map(|n| json_line(&document(n))).collect::<String>());
            folder.write("train.csv", &table(0..48, "category"));
            folder.write("test.csv", &table(48..60, "category"));
            folder.run("data build --input harbour.jsonl --tokenizer tokenizer --out corpus").succeeds();
            let pretrain = format!("pretrain --corpus corpus --steps 12 {SMALL} --out runs/mini");
            let finetune = "finetune --model runs/mini --train train.csv --label-column category --test test.csv --baseline \
                            --set train.micro_batch_size=8 --seed 7 --max-seq-length 12 --out runs/intents";
            folder.write_digits();
            for (name, texts) in [("pairs", "train"), ("pairs-dev", "test")] {
                let pairs = format!("--input {texts}.de --pair-input {texts}.en");
                let build = format!("data build {pairs} --tokenizer de --pair-tokenizer en --out {name}");
                folder.run(&build).succeeds();
            }
            let translation = "train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-tiny \
                               --set model.d_model=32 --set model.d_ff=64 --set model.dropout=0 \
                               --set train.micro_batch_tokens=256 --set train.keep_checkpoints=5 \
                               --set train.checkpoint_every=50 --steps 400 --learning-rate 0.005 --out runs/de-en";
            for (name, line) in [("mini", pretrain.as_str()), ("intents", finetune), ("de-en", translation)] {
                let run = folder.run(&format!("{line} {DEVICE} --format json")).succeeds();
                folder.write(&format!("{name}.json"), &run.stdout);
                folder.write(&format!("{name}.log"), &run.stderr);
            }
            let files = folder.names().into_iter().filter(|path| path.is_file());
            files.map(|path| (folder.relative(&path).to_owned(), fs::read(&path).unwrap())).collect()
        });
        let folder = Self::new();
        for (name, content) in files {
            folder.write_bytes(name.to_str().unwrap(), content);
        }
        folder
    }

    /// Texts of numbers, and tokenizers for them.
    pub(crate) fn write_digits(&self) {
        let (mut files, numbers) = ([const { String::new() }; 4], digits());
        for (n, (source, target)) in numbers.into_iter().enumerate() {
            let first = if n % 7 == 3 { 2 } else { 0 };
            files[first] += &(source + "\n");
            files[first + 1] += &(target + "\n");
        }
        for (name, content) in ["train.de", "train.en", "test.de", "test.en"].into_iter().zip(files) {
            self.write(name, &content);
        }
        for side in ["de", "en"] {
            let kind = "--kind word-level --set strip_accents=false";
            let line = format!("tokenizer train --input train.{side} --input-format text {kind} --out {side}");
            self.run(&line).succeeds();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The name of a path below.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(self.0.path()).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        self.write_bytes(name, content.as_bytes());
    }

    pub(crate) fn write_bytes(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The objects in a file of JSON lines.
    pub(crate) fn rows(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every file and folder below, hidden ones too.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        fn below(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    below(&path, found);
                }
                found.push(path);
            }
        }
        let mut found = Vec::new();
        below(self.0.path(), &mut found);
        found.sort();
        found
    }

    /// The program with the words of `line` as arguments, ready to run here.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(line.split_whitespace()).current_dir(self.0.path());
        // Graphics drivers complain about its absence on the standard error.
        command.env("XDG_RUNTIME_DIR", self.0.path());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, line: &str) -> Run {
        Run::of(self.command(line).output().unwrap())
    }

    /// Runs the program with one more argument, whatever is in it.
    pub(crate) fn run_with(&self, line: &str, argument: &str) -> Run {
        Run::of(self.command(line).arg(argument).output().unwrap())
    }

    /// Runs the program with `text` on its standard input.
    pub(crate) fn run_on(&self, line: &str, text: &[u8]) -> Run {
        let pipes = (Stdio::piped(), Stdio::piped(), Stdio::piped());
        let mut program = self.command(line).stdin(pipes.0).stdout(pipes.1).stderr(pipes.2).spawn().unwrap();
        program.stdin.take().unwrap().write_all(text).unwrap();
        Run::of(program.wait_with_output().unwrap())
    }
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// `None` if a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Makes sure that the work was done.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// Makes sure that the work could not be done, and that all of `said` is told.
    #[track_caller]
    pub(crate) fn fails_with(&self, said: &[&str]) {
        assert_eq!(self.status, Some(2), "{self:?}");
        assert!(self.stderr.lines().any(|line| line.starts_with("error: ")), "{}", self.stderr);
        for said in said {
            assert!(self.stderr.contains(said), "`{said}` is not said in:\n{}", self.stderr);
        }
        assert_eq!(self.stdout, "");
    }

    /// The result as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Numbers of one to three digits in words, and the same in English, the last digit first.
pub(crate) fn digits() -> Vec<(String, String)> {
    let german = ["eins", "zwei", "drei", "vier", "fünf", "sechs"];
    let english = ["one", "two", "three", "four", "five", "six"];
    let words = |number: usize, n_digits: u32| (0..n_digits).map(move |digit| number / 6_usize.pow(digit) % 6);
    let numbers = (1..=3).flat_map(|n_digits| (0..6_usize.pow(n_digits)).map(move |number| (number, n_digits)));
    let pair = |(number, n_digits)| {
        let digits: Vec<usize> = words(number, n_digits).collect();
        let text =
            |names: [&str; 6], digits: &[usize]| digits.iter().map(|&it| names[it]).collect::<Vec<_>>().join(" ");
        let reversed: Vec<usize> = digits.iter().rev().copied().collect();
        (text(german, &digits), text(english, &reversed))
    };
    numbers.map(pair).collect()
}

/// Twelve documents.
fn documents() -> Vec<String> {
    (0..12).map(document).collect()
}

/// A document of four sentences.
fn document(n: usize) -> String {
    let what = ["boat", "lamp", "kettle", "clock"];
    let does = ["drifted past the pier", "burned until morning", "sang in the kitchen"];
    let (thing, act) = (what[n % 4], does[n % 3]);
    format!(
        "The old {thing} {act}. Nobody had touched it for {n} years.\nThen the harbour master came by. He wrote the word \
         {thing} into his book.\n"
    )
}

fn json_line(text: &str) -> String {
    format!("{}\n", serde_json::json!({ "text": text }))
}

/// Rows of texts of two classes as CSV.
pub(crate) fn table(rows: std::ops::Range<usize>, label: &str) -> String {
    let row = |n: usize| {
        let (label, text) = if n.is_multiple_of(3) { ("bad", "leaks, and drips") } else { ("good", "holds water") };
        format!("\"Kettle number {n} of the old harbour {text}.\",{label}\n")
    };
    format!("text,{label}\n{}", rows.map(row).collect::<String>())
}

/// Sixty rows: two labels, six authors, no text twice but the last, which has the text of the first.
fn reviews() -> String {
    let row = |n: usize| {
        let (label, word) = if n.is_multiple_of(3) { ("bad", "leaks") } else { ("good", "holds") };
        format!("\"Kettle number {}, it {word} water.\",{label},author-{}\n", n % 59, n % 6)
    };
    let rows: String = (0..59).map(row).collect();
    format!("text,label,author\n{rows}\"Kettle number 0, it leaks water.\",bad,author-0\n")
}
