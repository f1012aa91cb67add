//! What cannot work with models is refused with a message, and leaves nothing behind.

use crate::support::{DEVICE, Folder, Run, SMALL};

const FINETUNE: &str = "finetune --model runs/mini --train train.csv --label-column category --out new";

/// A folder and what is in it.
struct Untouched {
    folder: Folder,
    content: Vec<(String, Vec<u8>)>,
}

impl Untouched {
    fn new(prepare: impl FnOnce(&Folder)) -> Self {
        let folder = Folder::with_models();
        prepare(&folder);
        let content = Self::content(&folder);
        Self { folder, content }
    }

    /// Every file and folder; locks, which stay where they are, have no content.
    fn content(folder: &Folder) -> Vec<(String, Vec<u8>)> {
        let name = |path: &std::path::Path| folder.relative(path).to_str().unwrap().to_owned();
        folder.names().iter().map(|path| (name(path), std::fs::read(path).unwrap_or_default())).collect()
    }

    /// Runs `line` and makes sure that it fails, says `said`, and changes nothing.
    #[track_caller]
    fn check(&self, line: &str, said: &[&str]) {
        self.ended(line, &self.folder.run(&format!("{line} {DEVICE}")), said);
    }

    #[track_caller]
    fn ended(&self, line: &str, run: &Run, said: &[&str]) {
        run.fails_with(said);
        let now = Self::content(&self.folder);
        let changed = now.iter().filter(|file| !self.content.contains(file)).map(|(name, _)| name).collect::<Vec<_>>();
        assert!(changed.is_empty() && now.len() == self.content.len(), "`{line}` left {changed:?}");
    }
}

#[test]
fn runs_that_cannot_begin() {
    let here = Untouched::new(|folder| {
        folder.write("one.jsonl", "{\"text\": \"The boat. The lamp.\"}\n");
        folder.run("data build --input one.jsonl --tokenizer tokenizer --out one").succeeds();
        folder.run("tokenizer train --input texts --vocab-size 120 --out other").succeeds();
        folder.run("data build --input harbour.jsonl --tokenizer other --out other-corpus").succeeds();
    });
    let pretrain = format!("pretrain --corpus corpus --out new {SMALL}");
    for (flags, said) in [
        (
            "--set train.micro_batch_size=512",
            &["samples for training, but a step takes 512", "`train.micro_batch_size`"][..],
        ),
        ("--set train.micro_batch_size=512 --dry-run", &["samples for training, but a step takes 512"]),
        ("--set model.vocab_size=100", &["has 150 tokens, the model only 100", "hint: raise `model.vocab_size`"]),
        ("--set model.d_modle=8", &["unknown key `model.d_modle`, did you mean `model.d_model`?"]),
        (
            "--set model.n_heads=3",
            &["the override `model.n_heads=3`", "(16) is not divisible", "choose `model.n_heads` from 1, 2, 4"],
        ),
        ("--steps 0", &["`train.steps` is 0, expected at least 1"]),
        ("--learning-rate=-1", &["`train.optimizer.learning_rate` is -1, expected a finite value above 0"]),
        ("--set data.samples.max_seq_length=64", &["is 64, expected at most `model.max_seq_length`"]),
        (
            "--set data.split.validation=0.01",
            &[
                "the validation part of the corpus `corpus` gives no samples",
                "at least two documents",
                "hint: set `--set data.samples.next_sentence=false`",
            ],
        ),
        (
            "--init runs/mini --set model.n_layers=1",
            &["below `model` are not those of the model in `runs/mini`", "hint: remove"],
        ),
        ("--init texts", &["`texts` is not a model folder: it has no `config.json`", "hint: `burnformer pretrain`,"]),
        ("--config nowhere.toml", &["cannot read the settings `nowhere.toml`\n  caused by: "]),
        ("--preset bert-mini --init runs/mini", &["cannot be used with"]),
    ] {
        here.check(&format!("{pretrain} {flags}"), said);
    }
    here.check(
        "pretrain --corpus nowhere --out new",
        &["`nowhere` is not a corpus", "hint: build a corpus with `burnformer data build`"],
    );
    here.check("pretrain --corpus texts --out new", &["`texts` is not a corpus"]);
    here.check("pretrain --out new", &["--corpus <FOLDER>"]);
    here.check(
        "pretrain --corpus one --out new",
        &["cannot split the corpus `one`", "hint: set the shares `data.split.validation`"],
    );
    let line = "pretrain --corpus other-corpus --init runs/mini --set train.micro_batch_size=8 --out new";
    here.check(
        line,
        &["does not fit the model", "with another tokenizer", "hint: build the corpus with `--tokenizer runs/mini`"],
    );
}

#[test]
fn places_that_are_taken_or_cannot_be_written() {
    let here = Untouched::new(|_| {});
    for line in [format!("pretrain --corpus corpus {SMALL}"), FINETUNE.replace(" --out new", "")] {
        let line = format!("{line} --set train.micro_batch_size=8 --out");
        here.check(
            &format!("{line} runs/mini"),
            &["`runs/mini` already holds a run", "hint: continue the run with `--resume`"],
        );
        here.check(&format!("{line} texts"), &["`texts` holds other files (`", "choose an empty or a new folder"]);
        here.check(&format!("{line} train.csv/new"), &["cannot create `train.csv/new/checkpoints`\n  caused by: "]);
        here.check(&format!("{line} train.csv"), &["cannot create `train.csv/checkpoints`\n  caused by: "]);
    }
}

#[test]
fn runs_that_cannot_go_on() {
    let here = Untouched::new(|_| {});
    for command in ["pretrain", "finetune"] {
        let resume = |flags: &str| format!("{command} --resume --out runs/{flags}");
        here.check(
            &resume("nowhere"),
            &[
                "`runs/nowhere` is not a run folder",
                "hint: start a run with `burnformer pretrain`, `finetune` or `train-seq2seq`, without `--resume`",
            ],
        );
        here.check(&format!("{command} --resume --out texts"), &["`texts` is not a run folder: it has no `run.toml`"]);
        let run = if command == "pretrain" { "mini" } else { "intents" };
        let resume = |flags: &str| resume(&format!("{run} {flags}"));
        here.check(&resume("--seed 3"), &["`--seed` cannot be combined with `--resume`", "hint: ", "`run.toml`"]);
        here.check(&resume("--config a.toml"), &["`--config` cannot be combined with `--resume`"]);
        here.check(
            &resume("--set seed=3"),
            &["with other settings: `seed` was ", ", is now 3\n", "hint: restore these"],
        );
        here.check(&resume("--set train.stpes=3"), &["unknown key `train.stpes`, did you mean `train.steps`?"]);
        here.check(&resume("--set train.steps=0"), &["`train.steps` is 0"]);
        let larger = resume("--set train.micro_batch_size=512");
        here.check(&larger, &["with other settings: `train.micro_batch_size` was 8, is now 512\n"]);
    }
    here.check("pretrain --resume --out runs/mini --corpus corpus", &["'--resume' cannot be used with '--corpus"]);
    let resume = "finetune --resume --out runs/intents";
    for flag in
        ["--epochs 4", "--max-seq-length 9", "--max-per-class 3", "--from-scratch", "--text-column a", "--train a.csv"]
    {
        here.check(&format!("{resume} {flag}"), &["'--resume' cannot be used with", flag.split(' ').next().unwrap()]);
    }
    for (command, run, right) in [
        ("pretrain", "intents", "finetune"),
        ("train-seq2seq", "intents", "finetune"),
        ("finetune", "mini", "pretrain"),
        ("train-seq2seq", "mini", "pretrain"),
        ("pretrain", "de-en", "train-seq2seq"),
        ("finetune", "de-en", "train-seq2seq"),
    ] {
        let line = format!("--out runs/{run} --resume");
        let holds = format!("`runs/{run}` holds a run of `{right}`, not of `{command}`");
        here.check(
            &format!("{command} {line}"),
            &[&holds, &format!("hint: resume it with `burnformer {right} {line}`")],
        );
    }
}

#[test]
fn texts_that_teach_nothing() {
    let here = Untouched::new(|folder| {
        folder.write("odd.csv", "text,category\n\"A kettle.\",odd\n");
        folder.write("header.csv", "text,category\n");
        folder.write("bad.csv", "text,category\na,bad\nb,bad\n");
        folder.write("two.csv", "text,category\na,bad\nb,good\n");
        folder.write("unlabelled.jsonl", "{\"text\": \"A kettle.\", \"category\": null}\n");
    });
    let with = |flag: &str| format!("{FINETUNE} {flag} --set train.micro_batch_size=8");
    for flag in ["--test odd.csv", "--validation odd.csv"] {
        here.check(&with(flag), &["`odd.csv` has the unknown class `odd`, known are `bad`, `good`", "hint: "]);
    }
    here.check(
        &with("--text-column body"),
        &["`train.csv` has no column `body`", "hint: name the columns with `--text-column`"],
    );
    here.check(&with("--test nowhere.csv"), &["`nowhere.csv` matches no file"]);
    here.check(&with("--epochs=-1"), &["`epochs` is -1, expected a finite value above 0"]);
    here.check(&with("--epochs nan"), &["`epochs` is NaN"]);
    here.check(&with("--max-seq-length 0"), &["error: `max_seq_length` is 0, expected at least 1"]);
    here.check(&with("--max-seq-length 2"), &["no room beside 2 special tokens", "hint: raise `--max-seq-length`"]);
    here.check(&with("--max-per-class 0"), &["error: `max_per_class` is 0, expected at least 1"]);
    here.check(&with("--max-train-samples 0"), &["error: `max_train_samples` is 0, expected at least 1"]);
    here.check(&with("--max-train-samples 3"), &["there are 3 samples for training, but a step takes 8"]);
    here.check(&with("--max-per-class 1"), &["there are 2 samples for training, but a step takes 8"]);
    here.check(&with("--set validation_share=1"), &["`validation_share` is 1, expected a value in [0, 1)"]);
    here.check(&with("--baseline"), &["--test <PATH>"]);
    here.check(&FINETUNE.replace("runs/mini", "texts"), &["`texts` is not a model folder"]);
    let of = |texts: &str| FINETUNE.replace("train.csv", texts);
    here.check(&of("header.csv"), &["there is no text with a class"]);
    here.check(&of("bad.csv"), &["every text has the class `bad`, expected at least two classes"]);
    here.check(&of("two.csv"), &["because no class has two texts", "hint: name validation data with `--validation`"]);
    here.check(&of("unlabelled.jsonl"), &["line 1 of `unlabelled.jsonl`", "hint: "]);
    here.check(
        &FINETUNE.replace("--label-column category", ""),
        &[
            "no column of labels is named for `train.csv`, found the columns `text`, `category`",
            "hint: name the column of the label with `--label-column`",
        ],
    );
}

#[test]
fn models_that_are_none_or_for_something_else() {
    let here = Untouched::new(|folder| folder.write("odd.csv", "text,category\n\"A kettle.\",odd\n"));
    for (line, argument) in [
        ("evaluate FOLDER --input test.csv --label-column category", None),
        ("evaluate FOLDER --corpus corpus", None),
        ("predict FOLDER", Some("A kettle.")),
        ("fill-mask FOLDER", Some("A [MASK].")),
        ("inspect FOLDER", None),
    ] {
        for folder in ["nowhere", "texts", "test.csv"] {
            let line = format!("{} {DEVICE}", line.replace("FOLDER", folder));
            let run = argument.map_or_else(|| here.folder.run(&line), |argument| here.folder.run_with(&line, argument));
            let said = format!("`{folder}` is not a model folder: it has no `config.json`");
            here.ended(
                &line,
                &run,
                &[&said, "hint: `burnformer pretrain`, `finetune`, `train-seq2seq` and `average` make model folders"],
            );
        }
    }
    let evaluate = "evaluate runs/intents --input";
    here.check("evaluate runs/intents --corpus corpus", &["`runs/intents` holds a classifier", "hint: ", "`--input`"]);
    here.check(
        "evaluate runs/mini --input test.csv",
        &["`runs/mini` holds a pretrained model", "hint: ", "`--corpus`"],
    );
    here.check("evaluate runs/mini --corpus texts", &["`texts` is not a corpus"]);
    here.check("evaluate runs/mini", &["--input <PATH>"]);
    here.check("evaluate runs/mini --corpus corpus --label-column a", &["cannot be used with"]);
    here.check(&format!("{evaluate} test.csv --part test"), &["cannot be used with"]);
    here.check(
        &format!("{evaluate} test.csv"),
        &["has no class", "hint: name the column of the label with `--label-column`"],
    );
    here.check(&format!("{evaluate} odd.csv --label-column category"), &["the unknown class `odd`", "hint: "]);
    here.check(&format!("{evaluate} test.csv --label-column category --batch-size 0"), &["0 is not in 1..=65536"]);
    here.check(
        "predict runs/mini kettle",
        &["for masked language modelling", "hint: train a classifier from it with `burnformer finetune`"],
    );
    here.check(
        "predict runs/intents --input test.csv --text-column body",
        &["`test.csv` has no column `body`", "hint: "],
    );
    here.check("predict runs/intents kettle --input test.csv", &["cannot be used with"]);
    here.check("predict runs/intents kettle --top-k 0", &["0 is not in 1.."]);
    let input = here.folder.run_on(&format!("predict runs/intents {DEVICE}"), &[0xff, b'\n']);
    here.ended(
        "predict",
        &input,
        &["line 1 of `standard input` is not UTF-8 from byte 1 on", "hint: `--encoding windows-1252`"],
    );
    here.check(
        "fill-mask runs/intents [MASK]",
        &["for text classification", "hint: classify texts with it by `burnformer predict`"],
    );
    here.check("predict runs/de-en kettle", &["hint: translate with it by `burnformer translate`"]);
    here.check("fill-mask runs/mini boat", &["`boat` has no `[MASK]`: write it where"]);
    here.check("embed texts kettle", &["`texts` is not a model folder"]);
    here.check("embed runs/mini kettle --out no/such/a.npy", &["cannot write `no/such/a.npy`"]);
    here.check("embed runs/mini kettle --pooling middle", &["[possible values: mean, cls, "]);
    here.check("similarity runs/mini kettle", &["expected at least two texts", "found 1", "hint: give them"]);
    here.check("fill-mask runs/mini [MASK] --top-k 0", &["0 is not in 1.."]);
    let far = format!("{} [MASK]", "the ".repeat(40));
    let run = here.folder.run_with(&format!("fill-mask runs/mini {DEVICE}"), &far);
    here.ended("fill-mask", &run, &["every `[MASK]` in `the the ", " lies behind the first 32 tokens"]);
    here.check(
        "inspect runs/mini --text boat --head 3",
        &["`runs/mini` has no head 3", "hint: set `--head` to 1 to 2"],
    );
    here.check("inspect runs/mini --text boat --head 0", &["0 is not in 1.."]);
    here.check("inspect runs/mini --head 1", &["--text <TEXT>"]);
}

#[test]
fn a_device_that_is_not_there() {
    let here = Untouched::new(|_| {});
    for line in
        [format!("pretrain --corpus corpus {SMALL} --out new"), FINETUNE.to_owned(), "inspect runs/mini".to_owned()]
    {
        here.ended(&line, &here.folder.run(&format!("{line} --device wgpu:99")), &["device `wgpu:99` "]);
        here.ended(
            &line,
            &here.folder.run(&format!("{line} --device cuda")),
            &["unknown device `cuda`, expected `auto`"],
        );
    }
}

#[test]
fn weights_that_are_damaged() {
    let here = Untouched::new(|folder| {
        let path = folder.path("runs/mini/model.safetensors");
        let weights = std::fs::read(&path).unwrap();
        std::fs::write(path, &weights[..weights.len() / 2]).unwrap();
    });
    for line in [
        "inspect runs/mini",
        "fill-mask runs/mini [MASK]",
        "pretrain --corpus corpus --init runs/mini --out new",
        FINETUNE,
    ] {
        let batch = if line.contains("--out") { "--set train.micro_batch_size=8" } else { "" };
        here.check(&format!("{line} {batch}"), &["`runs/mini/model.safetensors` has ", "it is cut off or damaged"]);
    }
}
