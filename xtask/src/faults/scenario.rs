//! The commands that write, on texts made here, with models so small that each takes about a second.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A command that writes.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// Run before it, so that there is something to replace.
    pub(super) before: Option<String>,
    pub(super) line: String,
    /// What continues the command when it was killed; without it, the command itself does.
    pub(super) resume: Option<String>,
    /// Whether what was there must stay until the new is complete.
    pub(super) replaces: bool,
    /// Number of processes of `mpirun` that do it together.
    pub(super) n_ranks: usize,
}

pub(crate) const MODEL: &str = "--set model.d_model=16 --set model.n_heads=2 --set model.d_ff=32 --set train.micro_batch_size=8 \
                     --set train.log_every=2 --set train.checkpoint_every=3 --set train.evaluate_every=4 --steps 8";
pub(crate) const LENGTHS: &str = "--set model.max_seq_length=32 --set data.samples.max_seq_length=24";

/// The commands that make what all scenarios start from, in the order in which they need each other.
pub(crate) fn base(device: &str) -> Vec<String> {
    vec![
        "tokenizer train --input texts --vocab-size 150 --out tokenizer".into(),
        "tokenizer train --input pairs.de --input-format text --kind word-level --out de".into(),
        "tokenizer train --input pairs.en --input-format text --kind word-level --out en".into(),
        "tokenizer train --input texts --kind byte-level-bpe --cased --vocab-size 300 --out bytes".into(),
        "data build --input texts --tokenizer tokenizer --out corpus".into(),
        "data build --input texts --tokenizer bytes --out byte-corpus".into(),
        "data build --input pairs.de --pair-input pairs.en --tokenizer de --pair-tokenizer en --out pairs".into(),
        format!("pretrain --corpus corpus {MODEL} {LENGTHS} --device {device} --out mini"),
        format!("{} --out de-en", seq2seq("", device)),
    ]
}

fn seq2seq(base: &str, device: &str) -> String {
    format!(
        "train-seq2seq --corpus {base}pairs --preset transformer-tiny --set model.d_model=16 --set model.d_ff=32 \
         --set train.micro_batch_size=8 --set train.keep_checkpoints=3 --set train.log_every=2 --set train.checkpoint_every=2 \
         --set train.evaluate_every=4 --steps 8 --device {device}"
    )
}

fn finetune(evaluate_every: u64) -> String {
    format!(
        "finetune --model ../base/mini --set train.micro_batch_size=8 --set train.log_every=2 --set train.checkpoint_every=3 \
         --set train.evaluate_every={evaluate_every} --steps 8 --max-seq-length 24"
    )
}

/// All scenarios; the base lies in `../base`.
pub(super) fn all(device: &str) -> Vec<Scenario> {
    let writes = |name, line: String| Scenario { name, before: None, line, resume: None, replaces: false, n_ranks: 1 };
    let replaces =
        |name, before: String, line: String| Scenario { before: Some(before), replaces: true, ..writes(name, line) };
    let trains = |name, line: String, command: &str| Scenario {
        resume: Some(format!("{command} --resume --device {device} --out out")),
        ..writes(name, format!("{line} --device {device} --out out"))
    };
    let build = |input: &str| format!("data build --input ../base/{input} --tokenizer ../base/tokenizer --out out");
    let embed = |text: &str| format!("embed ../base/mini {text} --device {device} --out out");
    let evaluate = |beam: u8| {
        let pairs = "--input ../base/pairs.de --pair-input ../base/pairs.en";
        format!("evaluate ../base/de-en {pairs} --beam {beam} --max-length 8 --device {device} --out out")
    };
    let finetune = finetune(4);
    vec![
        writes("tokenizer train", "tokenizer train --input ../base/texts --vocab-size 150 --out out".into()),
        writes("data build", build("texts")),
        replaces("data build, replacing", build("labelled.csv"), build("texts")),
        writes("data rust-docs", "data rust-docs --source-tree ../base/crate --out out".into()),
        writes("data split", "data split --input ../base/labelled.csv --test 0.2 --out out".into()),
        trains("pretrain", format!("pretrain --corpus ../base/corpus {MODEL} {LENGTHS}"), "pretrain"),
        Scenario {
            n_ranks: 3,
            ..trains(
                "pretrain, ranks",
                format!("pretrain --corpus ../base/corpus {MODEL} {LENGTHS} --set train.grad_accum_steps=4"),
                "pretrain",
            )
        },
        trains(
            "pretrain, causal-lm",
            format!("pretrain --objective causal-lm --corpus ../base/byte-corpus --preset gpt-tiny {MODEL} {LENGTHS}"),
            "pretrain",
        ),
        trains("finetune, texts", format!("{finetune} --train ../base/labelled.csv --label-column label"), "finetune"),
        trains(
            "finetune, averaged",
            format!(
                "{finetune} --train ../base/labelled.csv --label-column label --ema-decay 0.9 --unfreeze-every 3 \
                 --layer-decay 0.8"
            ),
            "finetune",
        ),
        trains(
            "finetune, seeds",
            format!("{finetune} --train ../base/labelled.csv --label-column label --seeds 2")
                .replace("--steps 8", "--steps 4"),
            "finetune",
        ),
        trains(
            "finetune, tokens",
            format!("{finetune} --task token-classification --train ../base/tags.conll"),
            "finetune",
        ),
        trains(
            "train-seq2seq",
            seq2seq("../base/", device).replace(&format!(" --device {device}"), ""),
            "train-seq2seq",
        ),
        Scenario {
            resume: Some("search --resume --out out".into()),
            ..writes("search", "search ../base/space.toml --out out".into())
        },
        writes("average", "average ../base/de-en --last 3 --out out".into()),
        writes("export", "export ../base/mini --out out".into()),
        replaces("embed, replacing", embed("boat"), embed("lamp")),
        replaces("evaluate, replacing", evaluate(1), evaluate(2)),
        writes(
            "translate, pictures",
            format!("translate ../base/de-en zwei --attention out --max-length 8 --device {device}"),
        ),
    ]
}

/// Writes the texts, and the space of a search for models on `device`.
pub(crate) fn write_texts(folder: &Path, device: &str) -> Result<()> {
    const THINGS: [&str; 5] = ["boat", "lamp", "kettle", "clock", "window"];
    const ACTS: [&str; 4] = ["drifted past the pier", "burned until morning", "sang in the kitchen", "stood still"];
    const NUMBERS: [(&str, &str); 5] =
        [("eins", "one"), ("zwei", "two"), ("drei", "three"), ("vier", "four"), ("fünf", "five")];

    let texts = folder.join("texts");
    fs::create_dir_all(&texts).with_context(|| format!("cannot create `{}`", texts.display()))?;
    let (mut table, mut tags) = ("text,label\n".to_owned(), String::new());
    let (mut german, mut english) = (String::new(), String::new());
    for n in 0..60 {
        let (thing, act) = (THINGS[n % 5], ACTS[n % 4]);
        let text =
            format!("The old {thing} {act}. Nobody had touched it for {n} years.\nThe {thing} was in his book.\n");
        fs::write(texts.join(format!("{n}.txt")), text)?;
        writeln!(table, "the {thing} number {n} {act},{}", if n % 3 == 0 { "good" } else { "bad" })?;
        writeln!(tags, "The O\nold O\n{thing} B-THING\nof O\nyear{n} B-YEAR\n")?;
        for (side, word) in [(&mut german, |n: usize| NUMBERS[n % 5].0), (&mut english, |n: usize| NUMBERS[n % 5].1)]
            as [(&mut String, fn(usize) -> &'static str); 2]
        {
            writeln!(side, "{} {} {}", word(n), word(n / 5), word(n / 3))?;
        }
    }
    const MANIFEST: &str =
        "[package]\nname = \"parcels\"\nversion = \"0.1.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n";
    const SOURCE: &str =
        "//! Parcels and their letters.\n\n/// Returns the weight of a parcel in grams.\npub fn weight() {}\n";
    let sources = folder.join("crate/src");
    fs::create_dir_all(&sources)?;
    fs::write(folder.join("crate/Cargo.toml"), MANIFEST)?;
    fs::write(sources.join("lib.rs"), SOURCE)?;
    for (name, content) in [("labelled.csv", table), ("tags.conll", tags), ("pairs.de", german), ("pairs.en", english)]
    {
        fs::write(folder.join(name), content)?;
    }
    let command = format!("{} --train ../base/labelled.csv --label-column label --device {device}", finetune(2));
    let space = format!(
        "command = \"{command}\"\ntrials = 4\n[asha]\nreduction = 2\n[sampler]\nkind = \"tpe\"\nstartup_trials = 2\n\
         [space]\ntrain.optimizer.learning_rate = {{ kind = \"log-uniform\", low = 1e-4, high = 1e-1 }}\n"
    );
    fs::write(folder.join("space.toml"), space)?;
    Ok(())
}
