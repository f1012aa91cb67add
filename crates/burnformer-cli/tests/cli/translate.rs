//! `burnformer train-seq2seq`, `average`, `translate`, `score`, and `evaluate` of what they made.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DEVICE, Folder, digits};

/// The pairs that the model of the tests has not seen.
fn unseen() -> Vec<(String, String)> {
    digits().into_iter().skip(3).step_by(7).collect()
}

fn text(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| line + "\n").collect()
}

#[test]
fn a_model_learns_to_translate_what_it_has_not_seen() {
    let folder = Folder::with_models();
    let report = folder.json("de-en.json");
    assert_eq!(report["stopped"], "all steps done");
    let perplexity = report["validation"]["metrics"]["perplexity"].as_f64().unwrap();
    assert!(perplexity < 1.5, "{perplexity}");
    assert!(!folder.read("de-en.log").contains("get no gradient"));
    let metrics = folder.rows("runs/de-en/metrics.jsonl");
    let shares = metrics.iter().filter_map(|row| row["padding"].as_f64());
    assert!(shares.clone().count() > 0 && shares.clone().all(|share| (0.0..0.2).contains(&share)));
    let card = folder.read("runs/de-en/README.md");
    assert!(card.contains("pipeline_tag: translation") && card.contains("| seed | 42 |"), "{card}");

    let (sources, targets): (Vec<_>, Vec<_>) = unseen().into_iter().unzip();
    let out = folder.run_on(&format!("translate runs/de-en {DEVICE}"), text(sources.iter().cloned()).as_bytes());
    let out = out.succeeds().stdout;
    let n_right = out.lines().zip(&targets).filter(|(line, target)| line == target).count();
    assert_eq!(out.lines().count(), targets.len());
    assert!(n_right * 10 >= targets.len() * 9, "{n_right} of {}", targets.len());
}

#[test]
fn lines_come_in_order_and_blank_ones_stay() {
    let folder = Folder::with_models();
    let run = |flags: &str, input: &str| {
        folder.run_on(&format!("translate runs/de-en {DEVICE} {flags}"), input.as_bytes()).succeeds().stdout
    };
    let input = "eins zwei drei\n\nzwei\n  \nsechs fünf";
    let out = run("", input);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!((lines.len(), lines[1], lines[3]), (5, "", ""));
    assert_eq!(run("--batch-size 1", input), out);
    assert_eq!(run("", "\nzwei\n\n \n").lines().collect::<Vec<_>>(), ["", lines[2], "", ""]);
    let greedy = run("--beam 1", input);
    assert_eq!(greedy.lines().count(), 5);
    let best = run("--n-best 2", "eins zwei drei\nzwei\n");
    let fields: Vec<Vec<_>> = best.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(fields.iter().map(|line| line[0]).collect::<Vec<_>>(), ["1", "1", "2", "2"]);
    assert_eq!(fields[0][2], lines[0]);
    assert!(fields[0][1].parse::<f64>().unwrap() >= fields[1][1].parse::<f64>().unwrap());
    let json: Value = serde_json::from_str(run("--format json", "zwei\n").trim()).unwrap();
    assert_eq!((&json["text"], &json["translations"][0]["text"]), (&"zwei".into(), &lines[2].into()));
    let drawn = |seed: u32| run(&format!("--temperature 5 --seed {seed}"), "eins zwei drei\n");
    assert_eq!(drawn(1), drawn(1));
    assert!((2..9).any(|seed| drawn(seed) != drawn(1)));
}

/// Who feeds the program line by line gets each answer before the next line.
#[test]
fn an_answer_does_not_wait_for_the_end_of_the_input() {
    let folder = Folder::with_models();
    let mut command = folder.command(&format!("translate runs/de-en {DEVICE}"));
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || BufReader::new(output).lines().try_for_each(|line| sender.send(line.unwrap())));
    for text in ["eins zwei", "zwei"] {
        writeln!(input, "{text}").unwrap();
        let answer = answers.recv_timeout(Duration::from_mins(1)).expect("an answer while the input is open");
        assert_eq!(
            answer,
            folder.run_with(&format!("translate runs/de-en {DEVICE}"), text).succeeds().stdout.trim_end()
        );
    }
    drop(input);
    assert!(answers.recv().is_err());
    assert!(program.wait().unwrap().success());
}

#[test]
fn input_that_is_no_text_costs_no_line_before_it() {
    let folder = Folder::with_models();
    let run = folder.run_on(&format!("translate runs/de-en {DEVICE}"), b"eins\nzwei\ndr\xffei\n");
    assert_eq!((run.status, run.stdout.lines().count()), (Some(2), 2));
    let said =
        "line 3 of `standard input` is not UTF-8 from byte 3 on, it looks like windows-1252, as which it reads `drÿei`";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

#[test]
fn a_text_that_is_too_long_is_said_to_be_cut() {
    let folder = Folder::with_models();
    let long = "eins ".repeat(600) + "\nzwei\n";
    let run =
        folder.run_on(&format!("translate runs/de-en {DEVICE} --beam 1 --format json"), long.as_bytes()).succeeds();
    let rows: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["is_cut"], &rows[1]["is_cut"]), (&true.into(), &false.into()));
    assert!(
        run.stderr.contains("text 1 has more than the 512 tokens that the model takes: the rest is cut off"),
        "{}",
        run.stderr
    );
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let folder = Folder::with_models();
    let translate = |rest: &str| folder.run(&format!("translate runs/de-en {DEVICE} {rest} eins"));
    translate("--n-best 5").fails_with(&["`--n-best 5`", "4 hypotheses", "hint: raise `--beam`"]);
    translate("--beam 2 --top-k 3")
        .fails_with(&["`--beam 2` cannot be combined with", "use either beam search or sampling"]);
    translate("--beam 1025").fails_with(&["1025 is not in 1..=1024"]);
    translate("--top-k 3 --n-best 1025").fails_with(&["1025 is not in 1..=1024"]);
    let evaluate = "evaluate runs/de-en --input test.de --pair-input test.en --out no/such/file";
    folder.run(&format!("{evaluate} {DEVICE}")).fails_with(&["the folder `no/such` of `--out` does not exist"]);
}

#[test]
fn flags_of_translation_are_refused_for_other_models() {
    let folder = Folder::with_models();
    let classify = "evaluate runs/intents --input test.csv --label-column category";
    let pretrained = "evaluate runs/mini --corpus corpus";
    for flags in [
        "--pair-input test.en",
        "--out a.txt",
        "--bleu-tokenizer 13a",
        "--lowercase",
        "--beam 3",
        "--length-penalty 1.0",
        "--min-length 0",
        "--max-length 9",
        "--repetition-penalty 1.0",
        "--no-repeat-ngram 2",
        "--temperature 0.5",
        "--top-k 2",
        "--top-p 0.5",
    ] {
        let flag = flags.split(' ').next().unwrap();
        let said = ["is not a translation model", &format!("leave out `{flag}`")];
        folder.run(&format!("{classify} {flags} {DEVICE}")).fails_with(&said);
        if !["--pair-input", "--out"].contains(&flag) {
            folder.run(&format!("{pretrained} {flags} {DEVICE}")).fails_with(&said);
        }
    }
    let translate = format!("evaluate runs/de-en --input test.tsv --pair-column b --label-column c {DEVICE}");
    folder.run(&translate).fails_with(&["holds a translation model", "leave out `--label-column`"]);
}

#[test]
fn negative_numbers_reach_the_check_of_their_range() {
    let folder = Folder::with_models();
    for (flags, said) in [
        ("--length-penalty -1", "`length_penalty` is -1, expected a finite value of at least 0"),
        ("--repetition-penalty -0.5", "`repetition_penalty` is -0.5, expected a finite value above 0"),
        ("--temperature -1", "temperature` is -1, expected a finite value above 0"),
        ("--top-p -1", "top_p` is -1, expected a value in (0, 1]"),
        ("--top-k -1", "invalid value '-1' for '--top-k <N>': -1 is not in 0.."),
        ("--beam -1", "invalid value '-1' for '--beam <N>': -1 is not in 1..=1024"),
    ] {
        folder.run(&format!("translate runs/de-en {DEVICE} {flags} eins")).fails_with(&[said]);
    }
    let train = |flags: &str| folder.run(&format!("train-seq2seq --corpus pairs --out runs/new {flags} {DEVICE}"));
    train("--learning-rate -1").fails_with(&["`train.optimizer.learning_rate` is -1, expected"]);
    train("--epochs -1").fails_with(&["`epochs` is -1, expected a finite value above 0"]);
    assert!(!folder.path("runs/new").exists());
}

#[test]
fn attention_is_written_as_pictures_and_numbers() {
    let folder = Folder::with_models();
    folder.run(&format!("translate runs/de-en {DEVICE} --attention maps eins zwei")).succeeds();
    let names = |ending: &str| ["00001", "00002"].map(|name| format!("maps/{name}.{ending}"));
    for name in names("svg") {
        assert!(folder.read(&name).starts_with("<svg"), "{name}");
    }
    let attention = folder.json(&names("json")[0]);
    assert_eq!(attention["source"], serde_json::json!(["eins", "<eos>"]));
    assert_eq!(attention["weights"].as_array().unwrap().len(), 2);
    let taken = folder.run(&format!("translate runs/de-en {DEVICE} --attention maps eins"));
    taken.fails_with(&["`maps` already exists"]);
    folder
        .run(&format!("translate nothing {DEVICE} --attention a/b/c eins"))
        .fails_with(&["`nothing`", "train-seq2seq"]);
    assert!(!folder.path("a").exists());
}

#[test]
fn an_evaluation_measures_the_translations_that_it_writes() {
    let folder = Folder::with_models();
    let line = format!("evaluate runs/de-en --input test.de --pair-input test.en --out out.txt {DEVICE} --format json");
    let report = folder.run(&line).succeeds().json();
    assert_eq!((report["pairs"].as_u64(), report["left_out"].as_u64()), (Some(unseen().len() as u64), Some(0)));
    let perplexity = report["perplexity"].as_f64().unwrap();
    assert!((1.0..1.5).contains(&perplexity), "{perplexity}");
    let scored = folder.run("score --hypotheses out.txt --references test.en --format json").succeeds().json();
    for key in ["bleu", "bleu_signature", "chrf", "chrf_signature"] {
        assert_eq!(scored[key], report[key], "{key}");
    }
    // There is no run of four words for BLEU.
    assert!(scored["chrf"]["score"].as_f64().unwrap() > 90.0, "{scored}");
    folder.write("long.de", &("eins ".repeat(600) + "\n"));
    folder.write("long.en", "one\n");
    let line = format!("evaluate runs/de-en --input long.de --pair-input long.en --beam 1 {DEVICE} --format json");
    let report = folder.run(&line).succeeds().json();
    assert_eq!((&report["left_out"], &report["perplexity"]), (&1.into(), &Value::Null));
    folder
        .run(&format!("evaluate runs/de-en --corpus corpus {DEVICE}"))
        .fails_with(&["cannot be evaluated on a corpus"]);
    folder.run(&format!("evaluate runs/de-en --input test.de {DEVICE}")).fails_with(&["--pair-input"]);
}

#[test]
fn two_systems_are_compared_on_the_same_texts() {
    let folder = Folder::with_models();
    folder.write("worse.en", &text(unseen().into_iter().map(|(_, target)| format!("{target} one one"))));
    let line = "score --hypotheses test.en --baseline worse.en --references test.en --format json";
    let report = folder.run(line).succeeds().json();
    let comparison = &report["comparison"]["chrf"];
    assert!((comparison["system"]["score"].as_f64().unwrap() - 100.0).abs() < 1e-9, "{report}");
    assert!(comparison["p_value"].as_f64().unwrap() < 0.01);
    assert_eq!(folder.run(line).succeeds().json(), report);
    let shown = folder.run(&line.replace("--format json", "")).succeeds().stdout;
    assert!(shown.contains("nrefs:1|case:mixed") && shown.contains("BLEU, difference"), "{shown}");
    folder.write("short.en", "one\n");
    folder.run("score --hypotheses short.en --references test.en").fails_with(&["`test.en` has", "`short.en` 1"]);
    folder
        .run("score --hypotheses test.en --references test.en --bleu-tokenizer x")
        .fails_with(&["13a, zh, intl, char"]);
}

#[test]
fn the_mean_of_checkpoints_is_a_model() {
    let folder = Folder::with_models();
    folder.run("average runs/de-en --last 3 --out mean").succeeds();
    let weights = |path: &str| fs::read(folder.path(&format!("{path}/model.safetensors"))).unwrap();
    assert_eq!(weights("mean").len(), weights("runs/de-en").len());
    assert_ne!(weights("mean"), weights("runs/de-en"));
    folder.run(&format!("translate mean {DEVICE} eins")).succeeds();
    folder.run("average runs/de-en --last 99 --out more").fails_with(&["has 5 checkpoints, 99 were requested"]);
    assert!(!folder.path("more").exists());
    folder.run("average mean --out more").fails_with(&["is not a run folder"]);
}

#[test]
fn the_best_model_can_be_chosen_by_its_translations() {
    let folder = Folder::with_models();
    let line = format!(
        "train-seq2seq --corpus pairs --validation pairs-dev --preset transformer-tiny --steps 4 \
         --set choose_by=bleu --set bleu_tokenizer=none --set train.evaluate_every=2 --out runs/bleu {DEVICE} --format json"
    );
    let report = folder.run(&line).succeeds().json();
    let names: Vec<_> = report["validation"]["metrics"].as_object().unwrap().keys().cloned().collect();
    assert!(names.contains(&"bleu".to_owned()), "{names:?}");
    let rows = folder.rows("runs/bleu/metrics.jsonl");
    assert!(rows.iter().filter(|row| row["split"] == "validation").all(|row| row["bleu"].is_number()));
}

#[test]
fn what_cannot_be_trained_on_is_said() {
    let folder = Folder::with_models();
    let train = |rest: &str| folder.run(&format!("train-seq2seq --out runs/new --steps 2 {rest} {DEVICE}"));
    train("--corpus corpus").fails_with(&["no samples", "holds no pairs of texts", "--pair-input"]);
    train("--corpus pairs --set choose_by=bleu --set data.split.validation=0").fails_with(&["`--validation`"]);
    train("--corpus pairs --validation corpus").fails_with(&["other tokenizers", "--pair-tokenizer"]);
    train("--corpus pairs --set label_smoothing=1").fails_with(&["label_smoothing"]);
    train("--corpus pairs --set data.samples.max_seq_length=9999").fails_with(&["model.max_seq_length"]);
    assert!(!folder.path("runs/new").exists());
    let single = "data build --input test.de --input-format text --tokenizer de --pair-tokenizer en --out x";
    folder.run(single).fails_with(&["`--pair-tokenizer` needs text pairs", "`--pair-input`"]);
    let parallel = "data build --input test.de --pair-input test.en --tokenizer de --text-column a --out x";
    folder.run(parallel).fails_with(&["`--text-column` cannot be combined with `--pair-input`"]);
}

/// A file of transformers, with settings that no model learns.
#[test]
fn settings_of_generation_in_the_folder_are_defaults() {
    let folder = Folder::with_models();
    let id = |token: &str| folder.json("runs/de-en/target_tokenizer.json")["model"]["vocab"][token].as_u64().unwrap();
    let [one, two] = ["one", "two"].map(id);
    let pad = folder.json("runs/de-en/config.json")["pad_token_id"].clone();
    let settings = |more: Value| {
        let mut settings = folder.json("runs/de-en/generation_config.json");
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        folder.write("runs/de-en/generation_config.json", &settings.to_string());
    };
    let translate = |flags: &str| folder.run(&format!("translate runs/de-en {DEVICE} {flags} drei"));
    let text = |flags: &str| translate(flags).succeeds().stdout;
    assert_eq!(text(""), "three\n");
    settings(json!({"forced_bos_token_id": one, "num_beams": 3, "bad_words_ids": [[pad], [two]], "my_key": 1}));
    assert!(text("").starts_with("one"), "{}", text(""));
    assert_eq!(text("--ignore-generation-config"), "three\n");
    let said = translate("--verbose --length-penalty 0.5").succeeds().stderr;
    for part in
        ["unknown keys in `runs/de-en/generation_config.json`: my_key\n", "n_beams = 3\n", "length_penalty = 0.5\n"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!translate("").succeeds().stderr.contains("my_key"));
    translate("--n-best 4").fails_with(&["`--n-best 4` asks for more than the 3 hypotheses"]);
    assert_eq!(text("--n-best 4 --beam 4").lines().count(), 4);
    // An evaluation translates in the same way.
    let evaluate = format!("evaluate runs/de-en --input test.de --pair-input test.en --out out.en {DEVICE}");
    folder.run(&evaluate).succeeds();
    assert!(folder.read("out.en").lines().all(|line| line.starts_with("one") && !line.contains("two")));

    settings(json!({"num_beam_groups": 3}));
    translate("").fails_with(&[
        "`num_beam_groups` in `runs/de-en/generation_config.json` is `3`, which is not supported",
        "hint: `--ignore-generation-config`",
    ]);
    assert!(translate("--beam 1").succeeds().stdout.starts_with("one"));
    folder.run(&format!("export runs/de-en --out exported {DEVICE}")).succeeds();
    assert_eq!(folder.json("exported/generation_config.json"), folder.json("runs/de-en/generation_config.json"));
}

#[test]
fn unknown_keys_of_a_model_are_listed_for_who_asks() {
    let folder = Folder::with_models();
    let mut config = folder.json("runs/de-en/config.json");
    config["my_key"] = 1.into();
    folder.write("runs/de-en/config.json", &config.to_string());
    let said = |flags: &str| folder.run(&format!("translate runs/de-en {DEVICE} {flags} drei")).succeeds().stderr;
    assert!(said("--verbose").contains("unknown keys in `runs/de-en/config.json`: my_key\n"), "{}", said("--verbose"));
    assert!(!said("").contains("my_key"));
    config["quantization_config"] = json!({"bits": 4});
    folder.write("runs/de-en/config.json", &config.to_string());
    folder.run(&format!("translate runs/de-en {DEVICE} drei")).fails_with(&["`quantization_config` in `"]);
}

#[test]
fn training_goes_on_from_a_model() {
    let folder = Folder::with_models();
    let line = "train-seq2seq --corpus pairs --validation pairs-dev --set train.micro_batch_tokens=256";
    let train = |rest: &str| folder.run(&format!("{line} {rest} {DEVICE}"));
    let before = folder.json("de-en.json")["validation"]["metrics"]["perplexity"].as_f64().unwrap();
    let report = train("--init runs/de-en --steps 4 --out runs/more --format json").succeeds().json();
    let after = report["validation"]["metrics"]["perplexity"].as_f64().unwrap();
    assert!(after < before.max(1.1) * 1.05, "{before}, {after}");
    assert!(folder.read("runs/more/README.md").contains("| initialised from | runs/de-en |"));
    assert_eq!(folder.json("runs/more/config.json"), folder.json("runs/de-en/config.json"));
    // A run that goes on needs the first model no more.
    fs::rename(folder.path("runs/de-en"), folder.path("first")).unwrap();
    folder.run(&format!("train-seq2seq --out runs/more --resume --steps 6 {DEVICE}")).succeeds();
    let last = folder.rows("runs/more/metrics.jsonl").pop().unwrap();
    assert_eq!(last["step"], 6);
    folder.run(&format!("translate runs/more {DEVICE} eins")).succeeds();

    train("--init first --set model.n_decoder_layers=1 --out x").fails_with(&["not those of the model in `first`"]);
    folder
        .run("data build --input test.de --pair-input test.en --tokenizer en --pair-tokenizer de --out turned")
        .succeeds();
    folder.run("data build --input test.de --pair-input test.en --tokenizer de --out shared").succeeds();
    let on = |corpus: &str| folder.run(&format!("train-seq2seq --corpus {corpus} --init first --out x {DEVICE}"));
    on("turned").fails_with(&["the corpus does not fit the model", "build the corpus with `--tokenizer first"]);
    on("shared").fails_with(&[
        "the second texts of the corpus do not fit the model",
        "`--tokenizer first --pair-tokenizer first/target_tokenizer.json`",
    ]);
    // What is advised works.
    let advised = "--tokenizer first --pair-tokenizer first/target_tokenizer.json --out fits";
    folder.run(&format!("data build --input test.de --pair-input test.en {advised}")).succeeds();
    on("fits --steps 2").succeeds();
}

/// A folder in the form of OPUS-MT, of fixtures of other crates: a corpus is built with its tokenizers, training goes on from its
/// weights and can be interrupted, and what comes out has the same form.
#[test]
fn a_model_of_opus_mt_is_fine_tuned() {
    let folder = Folder::new();
    for (from, names) in [
        (
            "burnformer-tasks/tests/fixtures/opus_mt",
            &["config.json", "generation_config.json", "model.safetensors"][..],
        ),
        (
            "burnformer-data/tests/fixtures/foreign/opus",
            &["source.spm", "target.spm", "vocab.json", "tokenizer_config.json"],
        ),
    ] {
        for name in names {
            let path = format!("{}/../{from}/{name}", env!("CARGO_MANIFEST_DIR"));
            folder.write_bytes(&format!("opus/{name}"), &fs::read(path).unwrap());
        }
    }
    let lines = |text: &str| (1..=40).map(|n| format!("{text} {n}\n")).collect::<String>();
    folder.write("a.en", &lines(">>fra<< the ship counted"));
    folder.write("a.fr", &lines("keeper of the tower"));
    folder.run("data build --input a.en --pair-input a.fr --tokenizer opus --out pairs").succeeds();
    let line = format!(
        "train-seq2seq --set train.micro_batch_tokens=256 --set train.schedule.warmup_steps=2 --set train.evaluate_every=20 \
         --set train.checkpoint_every=20 --learning-rate 0.02 --corpus pairs --init opus {DEVICE}"
    );
    folder.run(&format!("{line} --steps 40 --out whole")).succeeds();
    folder.run(&format!("{line} --steps 20 --out parts")).succeeds();
    folder.run(&format!("train-seq2seq --out parts --resume --steps 40 {DEVICE}")).succeeds();
    let weights = |run: &str| fs::read(folder.path(&format!("{run}/model.safetensors"))).unwrap();
    assert!(weights("whole") == weights("parts"));
    let evaluations = folder.rows("whole/metrics.jsonl");
    let perplexities: Vec<f64> = evaluations.iter().filter_map(|row| row["perplexity"].as_f64()).collect();
    assert!(perplexities.last().unwrap() * 1.3 < perplexities[0], "{perplexities:?}");
    let content =
        |folder_name: &str| folder.json(&format!("{folder_name}/generation_config.json"))["num_beams"].clone();
    assert_eq!(content("whole"), content("opus"));
    assert_eq!(folder.read("whole/vocab.json"), folder.read("opus/vocab.json"));
    let translate = |model: &str| folder.run(&format!("translate {model} {DEVICE} the")).succeeds().stdout;
    assert_ne!(translate("whole"), translate("opus"));
}

#[test]
fn missing_tokenizers_of_bleu_are_named_with_a_remedy() {
    let folder = Folder::new();
    let score = |name: &str| folder.run(&format!("score --hypotheses a --references b --bleu-tokenizer {name}"));
    for name in ["flores200", "ja-mecab"] {
        let run = score(name);
        assert_eq!(run.status, Some(2));
        assert!(run.stderr.contains("not implemented") && run.stderr.contains("`none`"), "{}", run.stderr);
    }
}

#[test]
fn a_model_that_translates_is_inspected() {
    let folder = Folder::with_models();
    let report = folder.run(&format!("inspect runs/de-en {DEVICE} --format json")).succeeds().json();
    assert_eq!((&report["architecture"], &report["config"]["n_decoder_layers"]), (&"MarianMTModel".into(), &2.into()));
    let parameters = report["blocks"].as_array().unwrap().iter().map(|block| block["parameters"].as_u64().unwrap());
    assert_eq!(Some(parameters.sum()), report["parameters"].as_u64());
    let shown = folder.run(&format!("inspect runs/de-en {DEVICE}")).succeeds().stdout;
    assert!(shown.contains("transformer.decoder.layers.1") && shown.contains("training history"), "{shown}");
    folder.run(&format!("inspect runs/de-en {DEVICE} --text eins")).fails_with(&["translate runs/de-en --attention"]);
}
