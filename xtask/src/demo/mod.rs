//! `cargo xtask demo`: the main job from text to answers, by the program that users run.
//!
//! Every stage is a command line of `burnformer`, printed before it runs, whose result is read as JSON.

mod closing;
mod plan;
mod quick_text;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burnformer_reports::{FinetuneReport, PretrainReport};
use clap::Args;
use serde::de::DeserializeOwned;

use crate::backend::Backend;
use crate::invocation::{Invocation, Runner};
use crate::program;
use closing::{Closing, Rows};
use plan::Plan;

/// Train, fine-tune, evaluate and use a BERT, in minutes.
///
/// Reads the documentation of the crates that this project depends on, trains a tokenizer, pretrains a small BERT with masked
/// language modelling and next-sentence prediction, and fine-tunes it to classify which kind of item a sentence documents:
/// function, struct, enum, trait, field or variant. No repository is in both training and test data. Prints the result beside
/// three baselines: the same model without pretraining, a bag of words, and the most frequent kind.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask demo
  cargo xtask demo --quick
  cargo xtask demo --corpus 'texts/*.txt' --steps 3000")]
pub(crate) struct DemoArgs {
    /// Run every stage on a few hundred sentences, in half a minute, as a smoke test
    #[arg(long, conflicts_with_all = ["corpus", "steps", "preset"])]
    quick: bool,

    /// Pretrain on these files, folders or glob patterns instead; each file is a document, each line a paragraph
    #[arg(long, value_name = "PATH", num_args = 1..)]
    corpus: Vec<String>,

    /// Number of pretraining steps [default: 2500]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,

    /// Model size [default: bert-tiny]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,

    /// Backend to build and train on
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "flex")]
    device: Backend,

    /// Output folder; the output of an earlier demonstration in it is removed
    #[arg(long, value_name = "FOLDER", default_value = "target/demo")]
    out: PathBuf,
}

/// The file by which a folder of an earlier demonstration is known.
const MARK: &str = "made-by-cargo-xtask-demo";

pub(crate) fn run(runner: &Runner, args: &DemoArgs) -> Result<()> {
    let program = program::build_small(runner, "burnformer-cli", "burnformer", args.device)?;
    demonstrate(runner, args, &program)
}

/// The quick demonstration behind the tests, with the program as they have built it for `backends`.
pub(crate) fn quick(runner: &Runner, backends: &[Backend]) -> Result<()> {
    let fastest = [Backend::Flex, Backend::Ndarray].into_iter().find(|backend| backends.contains(backend));
    let args = DemoArgs {
        quick: true,
        corpus: Vec::new(),
        steps: None,
        preset: None,
        device: fastest.unwrap_or(Backend::Wgpu),
        out: PathBuf::from("target/demo-quick"),
    };
    demonstrate(runner, &args, &program::path("burnformer"))
}

fn demonstrate(runner: &Runner, args: &DemoArgs, program: &str) -> Result<()> {
    let start = Instant::now();
    let out = runner.root().join(&args.out);
    let demo = Demo { runner, program, out: args.out.display().to_string(), device: args.device.feature() };
    let plan = Plan::new(args.quick, args.steps, args.preset.as_deref());
    if !runner.is_dry_run() {
        clear(&out)?;
    }

    let items = format!("{}/documentation/items.jsonl", demo.out);
    let mut documents = vec![format!("{}/documentation/documents.jsonl", demo.out)];
    if args.quick {
        if !runner.is_dry_run() {
            quick_text::write(&out.join("documentation"))?;
        }
    } else {
        let kinds = "fn,struct,enum,trait,field,variant";
        let folder = demo.at("documentation");
        demo.shown(
            "read the documentation",
            &["data", "rust-docs", "--project", ".", "--kinds", kinds, "--out", &folder],
        )?;
    }
    let own = !args.corpus.is_empty();
    if own {
        documents.clone_from(&args.corpus);
    }
    let documents: Vec<&str> = documents.iter().map(String::as_str).collect();

    let (tokenizer, corpus, pretrained) = (demo.at("tokenizer"), demo.at("corpus"), demo.at("pretrained"));
    let vocab_size = plan.vocab_size.to_string();
    let input = [&["--input"], documents.as_slice()].concat();
    let train = ["tokenizer", "train", "--vocab-size", &vocab_size, "--out", &tokenizer];
    demo.shown("train a tokenizer", &[&train[..], &input].concat())?;
    let build = ["data", "build", "--tokenizer", &tokenizer, "--out", &corpus];
    demo.shown("build a corpus", &[&build[..], &input].concat())?;

    let steps = plan.pretrain_steps.to_string();
    let mut pretrain = vec![
        "pretrain",
        "--corpus",
        &corpus,
        "--preset",
        plan.preset.as_str(),
        "--steps",
        &steps,
        "--out",
        &pretrained,
    ];
    pretrain.extend(plan.pretrain_sets.iter().flat_map(|set| ["--set", *set]));
    let pretraining: Option<PretrainReport> = demo.json("pretrain", &pretrain, true)?;

    let parts = demo.at("items");
    let split =
        ["data", "split", "--input", &items, "--label-column", "label", "--group-column", "group", "--by", "group"];
    let shares = ["--validation", plan.validation, "--test", plan.test, "--out", &parts];
    demo.shown("divide the items by repository", &[&split[..], &shares].concat())?;

    let mut rows = Rows::default();
    for size in &plan.sizes {
        for from_scratch in [false, true] {
            let name = format!("{}-{}", if from_scratch { "unpretrained" } else { "fine-tuned" }, size.name);
            let finetuned = demo.finetune(&plan, size, from_scratch, &pretrained, &parts, &name)?;
            rows.add(size, from_scratch, finetuned, demo.at(&name));
        }
    }

    let mut fills = Vec::new();
    for sentence in plan.sentences {
        let fill: Option<closing::Filled> =
            demo.json("fill a mask", &["fill-mask", &pretrained, sentence, "--top-k", "5"], true)?;
        fills.extend(fill);
    }
    let (Some(pretraining), false) = (pretraining, runner.is_dry_run()) else { return Ok(()) };
    let closing = Closing { pretraining, rows, fills, seconds: start.elapsed().as_secs_f64(), pretrained };
    println!("{closing}");
    if args.quick || own { Ok(()) } else { closing.check() }
}

/// Empties the folder of an earlier demonstration, or makes a new one.
fn clear(out: &Path) -> Result<()> {
    if out.exists() {
        if !out.join(MARK).exists() {
            bail!("`{}` is not the folder of a demonstration, choose another by `--out`", out.display());
        }
        fs::remove_dir_all(out).with_context(|| format!("cannot remove `{}`", out.display()))?;
    }
    fs::create_dir_all(out).with_context(|| format!("cannot create `{}`", out.display()))?;
    fs::write(out.join(MARK), "").with_context(|| format!("cannot write into `{}`", out.display()))
}

/// The stages' surroundings.
struct Demo<'a> {
    runner: &'a Runner,
    program: &'a str,
    out: String,
    device: &'static str,
}

impl Demo<'_> {
    /// The path of something that the demonstration makes.
    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.out)
    }

    /// Runs a stage whose result is for people.
    fn shown(&self, title: &str, args: &[&str]) -> Result<()> {
        eprintln!("\n== {title}");
        self.runner.run(&Invocation::new(self.program, args.iter().copied()))
    }

    /// Runs a stage and reads its result; nothing in a dry run.
    fn json<T: DeserializeOwned>(&self, title: &str, args: &[&str], on_device: bool) -> Result<Option<T>> {
        eprintln!("\n== {title}");
        let device = if on_device { vec!["--device", self.device] } else { Vec::new() };
        let invocation = Invocation::new(self.program, args.iter().copied()).args(device).args(["--format", "json"]);
        if self.runner.is_dry_run() {
            self.runner.run(&invocation)?;
            return Ok(None);
        }
        let text = self.runner.output(&invocation)?;
        let result = serde_json::from_str(&text).with_context(|| format!("`{}` wrote: {text}", invocation.line()))?;
        Ok(Some(result))
    }

    fn finetune(
        &self,
        plan: &Plan,
        size: &plan::Size,
        from_scratch: bool,
        pretrained: &str,
        parts: &str,
        name: &str,
    ) -> Result<Option<FinetuneReport>> {
        let part = |name: &str| format!("{parts}/{name}.jsonl");
        let (train, validation, test) = (part("train"), part("validation"), part("test"));
        let (out, epochs) = (self.at(name), size.epochs.to_string());
        let mut args = vec!["finetune", "--model", pretrained, "--train", &train, "--validation", &validation];
        args.extend(["--test", &test, "--label-column", "label", "--max-seq-length", "64", "--epochs", &epochs]);
        let n = size.per_class.map(|n| n.to_string());
        args.extend(n.iter().flat_map(|n| ["--max-per-class", n.as_str()]));
        args.extend(plan.finetune_sets.iter().flat_map(|set| ["--set", *set]));
        args.push(if from_scratch { "--from-scratch" } else { "--baseline" });
        args.extend(["--out", &out]);
        self.json(&format!("{name}: what kind of item does a sentence document?"), &args, true)
    }
}
