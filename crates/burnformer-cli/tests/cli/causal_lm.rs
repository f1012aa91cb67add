//! `burnformer pretrain --objective causal-lm`, `generate`, and `evaluate` of a causal language model.

use std::fs;

use serde_json::{Value, json};

use crate::support::{DEVICE, Folder, SMALL};

/// A folder with models, and with a causal language model `runs/gpt` on the corpus `bytes` of a byte-level tokenizer; its
/// report is in `gpt.json`.
pub(crate) fn with_gpt() -> Folder {
    let folder = Folder::with_models();
    let tokenizer = "tokenizer train --input harbour.jsonl --kind byte-level-bpe --vocab-size 300 --out bpe";
    folder.run(tokenizer).succeeds();
    folder.run("data build --input harbour.jsonl --tokenizer bpe --out bytes").succeeds();
    let run = format!(
        "pretrain --objective causal-lm --corpus bytes --steps 12 {SMALL} --learning-rate 0.01 \
         --set train.checkpoint_every=6 --set train.keep_checkpoints=3 --out runs/gpt --format json {DEVICE}"
    );
    let run = folder.run(&run).succeeds();
    folder.write("gpt.json", &run.stdout);
    folder
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn pretraining_leaves_a_language_model_and_how_it_came_about() {
    let folder = with_gpt();
    let report = folder.json("gpt.json");
    assert_eq!((&report["folder"], &report["steps"]), (&"runs/gpt".into(), &12.into()));
    let validation = &report["validation"];
    let of = |name: &str| validation["metrics"][name].as_f64().unwrap();
    assert!((of("perplexity") / of("loss").exp() - 1.0).abs() < 1e-6, "{report}");
    let rows = folder.rows("runs/gpt/metrics.jsonl");
    let perplexities: Vec<f64> =
        rows.iter().filter(|row| row["split"] == "validation").map(|row| row["perplexity"].as_f64().unwrap()).collect();
    // 300 tokens in a row would be guesses.
    assert!(perplexities.last() < perplexities.first() && of("perplexity") < 300.0, "{perplexities:?}");
    // A document has some 170 bytes in fewer tokens, each of at least 0 bits.
    let bits = validation["bits_per_byte"].as_f64().unwrap();
    assert!(bits > 0.0 && bits < of("loss") / std::f64::consts::LN_2, "{report}");

    let settings = folder.read("runs/gpt/run.toml");
    for line in ["objective = \"causal-lm\"\n", "seed = 42\n", "corpus = \"bytes\"\n", "d_model = 16\n", "eos_id = 2\n"]
    {
        assert!(settings.contains(line), "{settings}");
    }
    let card = folder.read("runs/gpt/README.md");
    for part in ["pipeline_tag: text-generation\n", "\n# gpt\n", "| perplexity | ", "| bits per byte | "] {
        assert!(card.contains(part), "{card}");
    }
    assert_eq!(folder.json("runs/gpt/config.json")["architectures"], json!(["GPT2LMHeadModel"]));
    assert_eq!(folder.json("runs/gpt/generation_config.json")["eos_token_id"], 2);
    let text = folder.run("inspect runs/gpt").succeeds().stdout;
    assert!(text.contains("GPT2LMHeadModel"), "{text}");
}

#[test]
fn a_run_that_goes_on_gives_the_same_numbers() {
    let folder = with_gpt();
    let weights = fs::read(folder.path("runs/gpt/model.safetensors")).unwrap();
    let metrics = folder.read("runs/gpt/metrics.jsonl");
    // As if it had been stopped behind its tenth step.
    for step in [11, 12] {
        fs::remove_dir_all(folder.path(&format!("runs/gpt/checkpoints/step-{step}"))).unwrap();
    }
    let run = folder.run(&format!("pretrain --out runs/gpt --resume --format json {DEVICE}")).succeeds();
    assert_eq!(fs::read(folder.path("runs/gpt/model.safetensors")).unwrap(), weights);
    let numbers = |text: &str| -> Vec<Value> {
        let without_time = |mut row: Value| {
            let row = row.as_object_mut().unwrap();
            row.retain(|name, _| name != "tokens_per_s" && name != "seconds");
            json!(row)
        };
        lines(text).into_iter().map(without_time).collect()
    };
    assert_eq!(numbers(&folder.read("runs/gpt/metrics.jsonl")), numbers(&metrics));
    assert_eq!(run.json()["validation"], folder.json("gpt.json")["validation"]);
}

#[test]
fn evaluation_measures_what_the_run_did() {
    let folder = with_gpt();
    let evaluate = |flags: &str| {
        folder.run(&format!("evaluate runs/gpt --corpus bytes --format json {flags} {DEVICE}")).succeeds().json()
    };
    let (found, expected) = (evaluate(""), &folder.json("gpt.json")["validation"]);
    assert_eq!((&found["samples"], &found["tokens"]), (&expected["samples"], &expected["tokens"]));
    for of in [&found["metrics"]["loss"], &found["bits_per_byte"]] {
        assert!(of.is_f64(), "{found}");
    }
    let loss = |scores: &Value| scores["metrics"]["loss"].as_f64().unwrap();
    assert!((loss(&found) - loss(expected)).abs() < 1e-5, "{found} {expected}");
    assert!(evaluate("--part all")["tokens"].as_u64() > found["tokens"].as_u64());
    let text = folder.run(&format!("evaluate runs/gpt --corpus bytes {DEVICE}")).succeeds().stdout;
    assert!(text.contains("\nperplexity           ") && text.contains("\nbits per byte        "), "{text}");
}

#[test]
fn a_trained_model_is_fine_tuned() {
    let folder = with_gpt();
    let first = |run: &str| folder.rows(&format!("{run}/metrics.jsonl"))[0]["loss"].as_f64().unwrap();
    let small = "--steps 3 --set train.micro_batch_size=8";
    let line = format!("pretrain --objective causal-lm --corpus bytes --init runs/gpt {small} {DEVICE}");
    let report = folder.run(&format!("{line} --out more --format json")).succeeds().json();
    assert!(first("more") < first("runs/gpt") - 0.1, "{} {}", first("more"), first("runs/gpt"));
    let perplexity = |report: &Value| report["validation"]["metrics"]["perplexity"].as_f64().unwrap();
    assert!(perplexity(&report) <= perplexity(&folder.json("gpt.json")) * 1.01, "{report}");
    // With what is below its last layer as it was.
    folder.run(&format!("{line} --freeze 1 --ema-decay 0.9 --out frozen")).succeeds();
    let weights = |run: &str| fs::read(folder.path(&format!("{run}/model.safetensors"))).unwrap();
    assert!(weights("frozen") != weights("runs/gpt") && weights("frozen") != weights("more"));
    let text =
        folder.run_with(&format!("generate frozen --max-new-tokens 3 {DEVICE}"), "The old boat").succeeds().stdout;
    assert!(text.starts_with("The old boat"), "{text}");
}

#[test]
fn prompts_are_continued() {
    let folder = with_gpt();
    let line = format!("generate runs/gpt --max-new-tokens 5 {DEVICE}");
    let greedy = folder.run_with(&line, "The old boat").succeeds().stdout;
    assert!(greedy.starts_with("The old boat") && greedy.lines().count() >= 1, "{greedy}");
    let json = folder.run_with(&format!("{line} --format json"), "The old boat").succeeds().json();
    let best = &json["continuations"][0];
    assert_eq!(json["prompt"], "The old boat");
    assert_eq!(greedy.trim_end_matches('\n'), format!("The old boat{}", best["text"].as_str().unwrap()));
    let n_tokens = best["tokens"].as_array().unwrap().len();
    assert!(n_tokens <= 5 && (n_tokens < 5) == best["is_finished"].as_bool().unwrap(), "{json}");

    // Line by line, as many answers as prompts, the same as alone.
    let input = "The old boat\n\nThen the\n";
    let found = lines(&folder.run_on(&format!("{line} --format json"), input.as_bytes()).succeeds().stdout);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["continuations"][0]["tokens"], best["tokens"]);
    assert_eq!(found[1]["prompt"], "Then the");

    let beam = folder.run_with(&format!("{line} --beam 3 --n-best 2 --format json"), "The").succeeds().json();
    let scores: Vec<f64> =
        beam["continuations"].as_array().unwrap().iter().map(|it| it["score"].as_f64().unwrap()).collect();
    assert_eq!(scores.len(), 2, "{beam}");
    let sample = |seed: u64| {
        let flags = format!("--temperature 1.5 --top-k 50 --n-best 3 --seed {seed} --format json");
        folder.run_with(&format!("{line} {flags}"), "The").succeeds().stdout
    };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    assert_eq!(lines(&sample(1))[0]["continuations"].as_array().unwrap().len(), 3);
}

#[test]
fn what_cannot_be_is_said() {
    let folder = with_gpt();
    for (line, said) in [
        ("generate runs/mini The", "holds a model for masked language modelling, expected one for text generation"),
        ("generate runs/gpt --beam 2 --temperature 1 The", "`--beam 2` cannot be combined with `--temperature`"),
        ("generate runs/gpt --n-best 3 The", "`--n-best 3` asks for more than the 1 hypotheses of the beam"),
        ("generate runs/gpt --top-p 2 The", "`sampling.top_p` is 2, expected a value in (0, 1]"),
        ("generate no-such-folder The", "`no-such-folder` is not a model folder"),
        ("predict runs/gpt The", "hint: continue prompts with it by `burnformer generate`"),
        ("fill-mask runs/gpt The", "holds a model for text generation, expected one for masked language modelling"),
        ("evaluate runs/gpt --input train.csv --label-column category", "which cannot be evaluated on labels"),
        ("evaluate runs/gpt --corpus corpus", "tokenizer"),
        (
            "pretrain --objective causal-lm --corpus bytes --preset bert-mini --out new",
            "there is no preset `bert-mini`",
        ),
        ("pretrain --corpus bytes --preset gpt-mini --out new", "; `gpt-mini` is one for `--objective causal-lm`"),
        (
            "pretrain --objective causal-lm --corpus bytes --init runs/mini --out new",
            "which is not pretrained with the objective `causal-lm`",
        ),
        (
            "pretrain --objective causal-lm --corpus corpus --init runs/gpt --out new",
            "the corpus does not fit the model",
        ),
        ("pretrain --objective causal-lm --corpus bytes --out new --set objective=masked-lm", "expected `causal-lm`"),
    ] {
        folder.run(line).fails_with(&[said]);
    }
    let long = "the harbour ".repeat(40);
    folder
        .run_with("generate runs/gpt", &long)
        .fails_with(&["a prompt has more than 31 tokens", "shorten `the harbour"]);
    let conflict = folder.run("pretrain --objective causal-lm --out runs/gpt --resume");
    assert_eq!(conflict.status, Some(2));
    assert!(conflict.stderr.contains("--objective") && conflict.stderr.contains("--resume"), "{conflict:?}");
    assert!(!folder.path("new").exists());
}
