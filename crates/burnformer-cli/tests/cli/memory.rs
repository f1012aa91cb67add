//! The memory of runs: its estimate, and what is said if there is too little. A GPU has its own memory, and only Linux says how much
//! a process has.

use crate::support::{DEVICE, Folder};

/// Runs of a step or two, of which all batches are as large as they can be; without the data, the part that varies.
fn runs(folder: &Folder) -> [(&'static str, String); 5] {
    let model = "--set model.d_model=128 --set model.n_heads=2 --set model.d_ff=512 --set model.n_layers=4";
    let text = "harbour lamp kettle clock boat pier kitchen morning ".repeat(12);
    let rows = |n: usize| (0..n).map(|n| format!("\"{text} {n}\",{}\n", ["good", "bad"][n % 2])).collect::<String>();
    folder.write("long.csv", &format!("text,label\n{}", rows(160)));
    let word = |word: usize| format!("word{} {}\n", word % 40, if word.is_multiple_of(40) { "B-LOC" } else { "O" });
    let sentence = |n: usize| (n..n + 90).map(word).collect::<String>() + "\n";
    folder.write("long.conll", &(0..160).map(sentence).collect::<String>());
    // No line twice: one would be left out.
    let lines = |words: [&str; 6]| {
        let word =
            |n: usize, place: u32| words[if place < 3 { n / 6_usize.pow(place) % 6 } else { place as usize % 6 }];
        let line = |n: usize| (0..30).map(|place| word(n, place)).collect::<Vec<_>>().join(" ") + "\n";
        (0..200).map(line).collect::<String>()
    };
    folder.write("long.de", &lines(["eins", "zwei", "drei", "vier", "fünf", "sechs"]));
    folder.write("long.en", &lines(["one", "two", "three", "four", "five", "six"]));
    folder
        .run("data build --input long.de --pair-input long.en --tokenizer de --pair-tokenizer en --out long")
        .succeeds();
    folder.run("tokenizer train --input harbour.jsonl --kind byte-level-bpe --vocab-size 300 --out bpe").succeeds();
    folder.run("data build --input harbour.jsonl --tokenizer bpe --out bytes").succeeds();
    let finetune = "finetune --model runs/wide --max-seq-length 96 --epochs 1 --set train.micro_batch_size=64";
    let corpus = "--set data.samples.max_seq_length=48 --set train.micro_batch_size=64 --steps 2";
    [
        ("wide", format!("pretrain --corpus corpus {model} {corpus}")),
        ("gpt", format!("pretrain --objective causal-lm --corpus bytes {model} {corpus}")),
        ("texts", format!("{finetune} --train long.csv --label-column label")),
        ("tokens", format!("{finetune} --task token-classification --train long.conll")),
        (
            "pairs",
            "train-seq2seq --corpus long --preset transformer-tiny --set model.d_model=128 --set model.d_ff=512 \
             --set train.micro_batch_tokens=4096 --set data.samples.max_seq_length=64 --steps 2"
                .to_owned(),
        ),
    ]
}

#[test]
fn a_run_takes_the_memory_that_was_estimated() {
    let folder = Folder::with_models();
    for (out, line) in runs(&folder) {
        let line = format!("{line} --set train.workers=1 --out runs/{out} --format json {DEVICE}");
        let plan = folder.run(&format!("{line} --dry-run")).succeeds().json();
        let report = folder.run(&line).succeeds().json();
        let bytes = |value: &serde_json::Value| value.as_f64().unwrap() / f64::from(1 << 20);
        let (estimate, peak) = (bytes(&plan["memory_bytes"]), bytes(&report["peak_memory_bytes"]));
        assert!((estimate / peak - 1.0).abs() < 0.15, "{out}: estimated {estimate:.0} MiB, took {peak:.0} MiB");
    }
}

#[test]
fn too_large_a_run_is_refused_before_its_first_step_with_settings_that_fit() {
    let folder = Folder::with_models();
    // More than a thousand GiB: no machine of today.
    let huge = "pretrain --corpus corpus --preset bert-small --set model.n_layers=64 --set train.micro_batch_tokens=1048576 \
                --steps 2 --out huge";
    let refused = folder.run(&format!("{huge} {DEVICE}"));
    let said = ["the run takes about ", " are available: set `train.", "`train.memory_check = false`"];
    refused.fails_with(&said);
    assert!(!folder.path("huge").exists());
    let warned = folder.run(&format!("{huge} --dry-run {DEVICE}")).succeeds();
    assert!(said.iter().all(|said| warned.stderr.contains(said)), "{warned:?}");
}
