//! Help and completions.

use crate::questions::squad;
use crate::support::{Folder, table};
use crate::tokens::conll;

/// Every command, and what its examples need to be there.
const COMMANDS: &[(&str, &[&str])] = &[
    ("", &[]),
    ("tokenizer", &[]),
    ("tokenizer train", &[]),
    ("data", &[]),
    ("data build", &[TRAIN, GERMAN, ENGLISH]),
    ("data stats", &[TRAIN, BUILD]),
    ("data split", &[]),
    ("data rust-docs", &[]),
    ("pretrain", &[MORE]),
    #[cfg(feature = "fetch")]
    ("fetch", &[]),
    ("finetune", &[]),
    ("train-seq2seq", &[]),
    ("search", &[]),
    ("runs", &[]),
    ("average", &[]),
    ("evaluate", &[NER, QA]),
    ("predict", &[NER, QA]),
    ("rank", &[]),
    ("fill-mask", &[]),
    ("generate", &[GPT]),
    ("translate", &[]),
    ("score", &[]),
    ("embed", &[]),
    ("similarity", &[]),
    ("export", &[]),
    ("inspect", &[]),
    ("devices", &[]),
    ("completions", &[]),
];
const TRAIN: &str = "tokenizer train --input texts --vocab-size 150 --out tokenizer";
/// With models the tokenizer is there.
const MORE: &str = "data build --input harbour.jsonl --tokenizer tokenizer --out more-text";
const GPT: &str = "pretrain --objective causal-lm --corpus corpus --steps 1 --set model.d_model=64 --out runs/gpt";
const NER: &str = "finetune --model runs/mini --task token-classification --train train.conll --steps 1 \
                   --set train.micro_batch_size=8 --out runs/ner";
const QA: &str = "finetune --model runs/mini --task question-answering --train train-v2.0.json --steps 1 \
                  --set train.micro_batch_size=8 --out runs/qa";
/// Those that need models, and those whose examples would take hours.
const WITH_MODELS: [&str; 18] = [
    "pretrain",
    "fetch",
    "finetune",
    "train-seq2seq",
    "search",
    "runs",
    "average",
    "evaluate",
    "predict",
    "rank",
    "fill-mask",
    "generate",
    "translate",
    "score",
    "embed",
    "similarity",
    "export",
    "inspect",
];
const TRAINING: [&str; 3] = ["pretrain", "finetune", "train-seq2seq"];
const GERMAN: &str = "tokenizer train --input pairs.tsv --text-column de --out de";
const ENGLISH: &str = "tokenizer train --input pairs.tsv --text-column en --out en";
/// A search of short runs.
const SPACE: &str = "trials = 2
command = \"finetune --model runs/mini --train train.csv --label-column category --steps 2 --set train.micro_batch_size=8\"
[space]
train.optimizer.learning_rate = { kind = \"log-uniform\", low = 1e-4, high = 1e-2 }
";
const BUILD: &str = "data build --input texts --tokenizer tokenizer --out corpus";

/// The examples in the help of `command`.
fn examples(folder: &Folder, command: &str) -> Vec<String> {
    let help = folder.run(&format!("{command} --help")).succeeds();
    assert!(help.stdout.contains(&format!("Usage: burnformer {command}")), "{}", help.stdout);
    let (_, examples) = help.stdout.split_once("Examples:\n").unwrap();
    examples.lines().map(|line| line.trim().to_owned()).collect()
}

/// Rows of texts with labels, as JSON lines.
fn labelled(rows: std::ops::Range<usize>) -> String {
    let label = |n: usize| if n.is_multiple_of(2) { "bad" } else { "good" };
    let row = |n: usize| serde_json::json!({"text": format!("Kettle {n}."), "label": label(n)});
    rows.map(|n| format!("{}\n", row(n))).collect()
}

#[cfg(unix)]
#[test]
fn every_example_in_the_help_works() {
    use std::process::Command;

    use crate::support::{PROGRAM, Run};

    let programs = std::path::Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    #[cfg(feature = "fetch")]
    let hub = {
        let (hub, models) = (crate::hub::Hub::new(), Folder::with_models());
        for name in ["sentence-transformers/all-MiniLM-L6-v2", "google-bert/bert-base-uncased"] {
            hub.add_folder(name, &models.path("runs/mini"));
        }
        hub
    };
    let check = |folder: &Folder, example: &str| {
        let mut shell = Command::new("sh");
        #[cfg(feature = "fetch")]
        hub.lead(&mut shell, &folder.path("home/huggingface"));
        shell.args(["-c", example]).current_dir(folder.path("project")).env("PATH", &path);
        if example.contains("completions") {
            shell.env("HOME", folder.path("home"));
        }
        let run = Run::of(shell.output().unwrap());
        assert_eq!(run.status, Some(0), "`{example}`: {run:?}");
    };
    for &(command, preparations) in COMMANDS {
        let folder = Folder::new();
        let prepared = if WITH_MODELS.contains(&command) { Folder::with_models() } else { Folder::with_text() };
        for path in prepared.names().iter().filter(|path| path.is_file()) {
            let name = prepared.relative(path).to_str().unwrap();
            folder.write_bytes(&format!("project/{name}"), &std::fs::read(path).unwrap());
        }
        folder.write("project/train.tsv", &table(0..48, "label").replace("\",", "\"\t").replace("text,", "text\t"));
        folder.write("project/train.jsonl", &labelled(0..48));
        folder.write("project/test.jsonl", &labelled(48..60));
        folder.write("project/train.conll", &conll(0..48));
        folder.write("project/test.conll", &conll(48..60));
        folder.write("project/train-v2.0.json", &squad(0..24));
        folder.write("project/dev-v2.0.json", &squad(24..28));
        let topics = |n: usize| format!("Kettle {n}.,{}\n", ["", "steam", "steam; iron"][n % 3]);
        folder.write("project/topics.csv", &format!("text,topics\n{}", (0..48).map(topics).collect::<String>()));
        let score = |n: usize| format!("Kettle {n}.\tKettle {}.\t{}.5\n", n % 3, n % 3);
        folder.write("project/scores.tsv", &format!("text\tpair\tscore\n{}", (0..48).map(score).collect::<String>()));
        folder.write("project/masked.txt", "The [MASK] leaks.\nA kettle [MASK].\n");
        folder.write("project/pairs.tsv", "de\ten\nein Hund\ta dog\neine Katze\ta cat\n");
        for (name, text) in [("train.de", "ein Hund\n"), ("train.en", "a dog\n"), ("test.de", "ein Hund\n")] {
            folder.write(&format!("project/{name}"), text);
        }
        for name in ["test.en", "out.en", "other.en"] {
            folder.write(&format!("project/{name}"), "There is a dog in the house.\n");
        }
        for name in ["test.zh", "out.zh"] {
            folder.write(&format!("project/{name}"), "房子里有一只狗。\n");
        }
        folder.write("project/space.toml", SPACE);
        let pairs: String = (0..48).map(|n| format!("What is {n}?,A kettle {n}.\n")).collect();
        folder.write("project/pairs.csv", &format!("query,answer\n{pairs}"));
        folder.write("project/questions.txt", "Does it leak?\nDoes it hold?\n");
        crate::rust_docs::write_crate(&folder, "boat");
        crate::rust_docs::write_project(&folder, "project", "../boat");
        for place in [".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions"] {
            folder.write(&format!("home/{place}/old"), "");
        }
        for preparation in preparations {
            check(&folder, &format!("burnformer {preparation}"));
        }
        for example in examples(&folder, command) {
            if TRAINING.contains(&command) {
                // Where a run begins there must be none.
                let out = if example.contains("--resume") { "--out runs" } else { "--out new" };
                check(&folder, &format!("{} --dry-run", example.replace(" --dry-run", "").replace("--out runs", out)));
            } else {
                check(&folder, &example);
            }
        }
    }
}

#[test]
fn the_program_alone_shows_its_commands() {
    let run = Folder::new().run("");
    assert_eq!(run.status, Some(2));
    for &(command, _) in COMMANDS {
        assert!(command.contains(' ') || run.stderr.contains(command), "{}", run.stderr);
    }
}

#[test]
fn shells_learn_every_command_and_flag() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&format!("completions {shell}")).succeeds().stdout;
        for word in [
            "tokenizer",
            "rust-docs",
            "devices",
            "vocab-size",
            "byte-level-bpe",
            "source-tree",
            "fill-mask",
            "bert-mini",
            "max-per-class",
            "train-seq2seq",
            "transformer-base",
            "no-repeat-ngram",
        ] {
            assert!(script.contains(word), "`{word}` is not in the script for {shell}");
        }
    }
}

#[test]
fn the_short_help_of_finetune_fits_on_a_screen() {
    let folder = Folder::new();
    let [short, long] = ["finetune -h", "finetune --help"].map(|line| folder.run(line).succeeds().stdout);
    let n_lines = short.lines().count();
    assert!(n_lines <= 60, "{n_lines} lines:\n{short}");
    for flag in ["--model", "--task", "--train", "--label-column", "--seeds", "--out", "--resume"] {
        assert!(short.contains(flag), "{flag}:\n{short}");
    }
    for flag in ["--delimiter", "--ema-decay", "--r-drop", "--highest-score"] {
        assert!(!short.contains(flag) && long.contains(flag), "{flag}");
    }
}
