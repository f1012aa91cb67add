//! `burnformer pretrain` and `burnformer finetune`.

use std::fs;

use serde_json::{Value, json};

use crate::support::{DEVICE, Folder, Run, SMALL};

const FINETUNE: &str =
    "finetune --model runs/mini --train train.csv --label-column category --set train.micro_batch_size=8";

/// Runs a command that trains on the device of the tests.
#[track_caller]
fn run(folder: &Folder, line: &str) -> Run {
    folder.run(&format!("{line} {DEVICE}")).succeeds()
}

fn weights(folder: &Folder, run: &str) -> Vec<u8> {
    fs::read(folder.path(&format!("{run}/model.safetensors"))).unwrap()
}

#[test]
fn pretraining_leaves_a_model_and_how_it_came_about() {
    let folder = Folder::with_models();
    let report = folder.json("mini.json");
    assert_eq!((&report["folder"], &report["steps"]), (&"runs/mini".into(), &12.into()));
    assert_eq!(report["stopped"], "all steps done");
    let metrics = folder.rows("runs/mini/metrics.jsonl");
    let of = |split: &str| metrics.iter().filter(|row| row["split"] == split).collect::<Vec<_>>();
    assert_eq!((of("train").len(), of("validation").len()), (12, 12));
    // What is reported is the best model, and that was measured in the run too.
    let best = of("validation").into_iter().find(|row| row["step"] == report["best_step"]).unwrap();
    let losses = [&best["loss"], &report["validation"]["metrics"]["loss"]].map(|loss| loss.as_f64().unwrap());
    assert!((losses[0] - losses[1]).abs() < 1e-5, "{losses:?}");
    assert!(of("validation").iter().all(|row| row["loss"].as_f64() >= best["loss"].as_f64()));

    let settings = folder.read("runs/mini/run.toml");
    for line in ["seed = 42\n", "corpus = \"corpus\"\n", "d_model = 16\n", "steps = 12\n", "max_seq_length = 24\n"] {
        assert!(settings.contains(line), "{settings}");
    }
    let card = folder.read("runs/mini/README.md");
    let shown = format!("| loss | {:.4} |", losses[1]);
    for part in ["pipeline_tag: fill-mask\n", "\n# mini\n", "| seed | 42 |", shown.as_str()] {
        assert!(card.contains(part), "{card}");
    }
    assert!(folder.read("runs/mini/learning_curves.svg").starts_with("<svg"));
    assert_eq!(folder.json("runs/mini/config.json")["architectures"], json!(["BertForPreTraining"]));
    assert_eq!(folder.read("runs/mini/tokenizer.json"), folder.read("tokenizer/tokenizer.json"));

    let log = folder.read("mini.log");
    for part in ["parameters           ", "tokens per step      ", "unigram entropy      ", "step 12 validation: loss "]
    {
        assert!(log.contains(part), "{log}");
    }
}

#[test]
fn pretraining_goes_on_from_any_encoder() {
    let folder = Folder::with_models();
    let small = "--steps 2 --set train.micro_batch_size=8";
    // A classifier of texts: its head is of no use, and those of pretraining are new.
    let done = run(&folder, &format!("pretrain --corpus corpus --init runs/intents {small} --out from-classifier"));
    let fresh = "fresh weights        mlm.dense.weight, mlm.dense.bias, mlm.norm.weight, mlm.norm.bias, mlm.bias, \
                 next_sentence.weight, next_sentence.bias\n";
    for part in [fresh, "unused weights       classifier.bias, classifier.weight\n"] {
        let found = done.stderr.replace("classifier.weight, classifier.bias", "classifier.bias, classifier.weight");
        assert!(found.contains(part), "{done:?}");
    }

    // A RoBERTa has no head for next sentences.
    let roberta =
        format!("pretrain --corpus corpus {SMALL} --steps 2 --set model.variant=roberta --set model.n_segments=1");
    let line = format!("{roberta} --out roberta {DEVICE}");
    folder.run(&line).fails_with(&["`data.samples.next_sentence` is true, expected `false`, as only a model with"]);
    run(&folder, &format!("{roberta} --set data.samples.next_sentence=false --out roberta"));
    assert_eq!(folder.json("roberta/config.json")["architectures"], json!(["RobertaForMaskedLM"]));
    assert!(!folder.read("roberta/README.md").contains("next-sentence"));
    let scores = run(&folder, "evaluate roberta --corpus corpus --format json").stdout;
    assert!(scores.contains("mlm_loss") && !scores.contains("nsp_loss"), "{scores}");
    let done = run(&folder, &format!("pretrain --corpus corpus --init roberta {small} --out more"));
    assert!(!done.stderr.contains("fresh weights") && !done.stderr.contains("unused weights"), "{done:?}");
    let settings = folder.read("more/run.toml");
    assert!(settings.contains("variant = \"roberta\"\n") && settings.contains("next_sentence = false\n"), "{settings}");
    run(&folder, "pretrain --out more --resume --steps 3");
    let line = "pretrain --objective causal-lm --corpus corpus --init runs/mini --out gpt";
    folder.run(line).fails_with(&["holds a model of type `bert`, which is not", "hint: set `--objective masked-lm`"]);
    assert_eq!(folder.rows("more/metrics.jsonl").iter().filter(|row| row["split"] == "train").count(), 3);
}

#[test]
fn fine_tuning_on_the_same_classes_keeps_the_head() {
    let folder = Folder::with_models();
    let done =
        run(&folder, "finetune --model runs/intents --train train.csv --label-column category --steps 1 --out more");
    let expected = "fresh weights        none, as the model has a head for the same classes\n";
    assert!(done.stderr.contains(expected), "{done:?}");
    assert!(!done.stderr.contains("unused weights"), "{done:?}");
}

#[test]
fn fine_tuning_measures_and_compares_on_texts_that_nothing_was_chosen_by() {
    let folder = Folder::with_models();
    let report = folder.json("intents.json");
    let test = &report["test"];
    assert_eq!((&test["texts"], &test["labels"]), (&12.into(), &json!(["bad", "good"])));
    // A tenth of 16 bad texts and of 32 good ones, rounded.
    assert_eq!((&report["training_texts"], &report["validation"]["texts"]), (&43.into(), &5.into()));
    let [majority, words] = report["baselines"].as_array().unwrap().as_slice() else { panic!("{report}") };
    // Every third text is bad.
    assert_eq!((&majority["name"], &majority["confusion"]), (&"majority class".into(), &json!([[0, 4], [0, 8]])));
    assert_eq!((&words["name"], &words["accuracy"]), (&"bag of words".into(), &1.0.into()));

    assert!(folder.read("intents.log").contains("fresh weights        classifier.weight, classifier.bias\n"));
    let card = folder.read("runs/intents/README.md");
    for part in ["| initialised from | runs/mini |", "| classes | bad, good |", "| seed | 7 |", "| test accuracy | "] {
        assert!(card.contains(part), "{card}");
    }
    assert!(folder.read("runs/intents/run.toml").contains("max_seq_length = 12\n"));
    for picture in ["learning_curves.svg", "confusion_matrix.svg", "reliability.svg"] {
        assert!(folder.read(&format!("runs/intents/{picture}")).starts_with("<svg"), "{picture}");
    }
}

#[test]
fn a_run_for_people_has_every_part_of_the_report() {
    let folder = Folder::with_models();
    let text = run(&folder, &format!("{FINETUNE} --epochs 1 --test test.csv --baseline --out out")).stdout;
    for part in
        ["best model after", "\nvalidation\n", "\ntest\n", "\ntest, bag of words\n", "truth \\ predicted", " ± "]
    {
        assert!(text.contains(part), "{text}");
    }
    let text = run(&folder, &format!("pretrain --corpus corpus {SMALL} --steps 1 --out more")).stdout;
    for part in ["run                  more\n", "steps                1 (", "nats (unigram entropy ", "95 % interval"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let folder = Folder::with_models();
    let before = folder.names();
    let pretrain = format!("pretrain --corpus corpus {SMALL} --steps 90 --out new --dry-run");
    let resume = "pretrain --out runs/mini --resume --steps 90 --dry-run".to_owned();
    for (line, parameters) in
        [(pretrain, 8184), (resume, 8184), (format!("{FINETUNE} --steps 90 --out new --dry-run"), 7730)]
    {
        let text = run(&folder, &line);
        assert!(
            text.stdout.contains("steps                90 (") && text.stdout.contains("\n[train]\nsteps = 90\n"),
            "{text:?}"
        );
        let json = run(&folder, &format!("{line} --format json"));
        assert_eq!((json.stderr.as_str(), &json.json()["steps"]), ("", &90.into()), "{line}");
        assert_eq!(json.json()["parameters"], parameters, "{line}");
        assert_eq!(json.json()["device"], DEVICE.replace("--device ", ""), "{line}");
        assert_eq!(folder.names(), before, "{line}");
    }
    assert!(folder.read("runs/mini/run.toml").contains("\nsteps = 12\n"));
    let big = run(&folder, "pretrain --corpus corpus --preset bert-mini --out new --dry-run --format json").json();
    assert!(big["parameters"].as_u64().unwrap() > 3_000_000, "{big}");
}

#[test]
fn the_seed_decides_on_the_weights() {
    let folder = Folder::with_models();
    for (out, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        run(&folder, &format!("pretrain --corpus corpus {SMALL} --steps 2 --seed {seed} --out {out}"));
    }
    assert!(weights(&folder, "a") == weights(&folder, "b"));
    assert!(weights(&folder, "a") != weights(&folder, "c"));
}

#[test]
fn pretraining_goes_on_from_another_model_and_from_its_own() {
    let folder = Folder::with_models();
    // The first loss of a fresh model is higher.
    let first = |name: &str| folder.rows(&format!("{name}/metrics.jsonl"))[0]["mlm_loss"].as_f64().unwrap();
    run(&folder, "pretrain --corpus corpus --init runs/mini --steps 2 --set train.micro_batch_size=8 --out more");
    assert!(first("more") < first("runs/mini"), "{} {}", first("more"), first("runs/mini"));
    let settings = folder.read("more/run.toml");
    assert!(settings.contains("init = \"runs/mini\"\n") && settings.contains("d_model = 16\n"), "{settings}");

    let report = run(&folder, "pretrain --out runs/mini --resume --steps 14 --format json").json();
    assert_eq!(report["steps"], 14);
    assert!(folder.read("runs/mini/run.toml").contains("\nsteps = 14\n"));
    let steps = folder.rows("runs/mini/metrics.jsonl").last().unwrap()["step"].clone();
    assert_eq!(steps, 14);
}

#[test]
fn a_run_that_cannot_go_on_keeps_its_settings() {
    let folder = Folder::with_models();
    let before = folder.read("runs/mini/run.toml");
    let line = "pretrain --out runs/mini --resume --set train.micro_batch_size=4";
    folder.run(line).fails_with(&["`train.micro_batch_size` was 8, is now 4", "hint: restore these settings in `"]);
    assert_eq!(folder.read("runs/mini/run.toml"), before);
}

#[test]
fn fine_tuning_can_do_without_pretrained_weights_with_few_texts_and_with_texts_to_choose_by() {
    let folder = Folder::with_models();
    let line =
        format!("{FINETUNE} --from-scratch --max-per-class 4 --epochs 2 --validation test.csv --out few --format json");
    let done = run(&folder, &line);
    let report = done.json();
    assert_eq!(
        (&report["training_texts"], &report["validation"]["texts"], &report["steps"]),
        (&8.into(), &12.into(), &2.into())
    );
    assert_eq!(report.get("test"), None);
    assert!(!done.stderr.contains("fresh weights"), "{done:?}");
    assert!(folder.read("few/README.md").contains("| initialised from | fresh weights |"));

    // A classifier is a model too, and may have had other classes.
    let other = folder.read("train.csv").replace("\",good", "\",fine").replace(" number 1", "\",worse\n\"");
    folder.write("other.csv", &other);
    let line =
        "finetune --model runs/intents --train other.csv --label-column category --epochs 1 --out other --format json";
    let report = run(&folder, &format!("{line} --set train.micro_batch_size=8")).json();
    assert_eq!(report["validation"]["labels"], json!(["bad", "fine", "worse"]));
}

#[test]
fn fine_tuning_that_is_done_can_be_measured_again() {
    let folder = Folder::with_models();
    let before = weights(&folder, "runs/intents");
    let report = run(&folder, "finetune --out runs/intents --resume --test test.csv --baseline --format json").json();
    let strip = |mut report: Value| {
        // What the machine decides.
        report.as_object_mut().unwrap().retain(|key, _| !["seconds", "peak_memory_bytes"].contains(&key.as_str()));
        report
    };
    assert_eq!(strip(report), strip(folder.json("intents.json")));
    assert!(weights(&folder, "runs/intents") == before);
}

#[test]
fn flags_and_settings_come_to_the_same() {
    let folder = Folder::with_models();
    folder.write("small.toml", "[train]\nsteps = 3\n[train.optimizer]\nlearning_rate = 0.25\n");
    let line = format!("pretrain --corpus corpus {SMALL} --config small.toml --dry-run --format json --out new");
    let settings = |flags: &str| run(&folder, &format!("{line} {flags}")).json()["settings"].clone();
    let text = settings("").as_str().unwrap().to_owned();
    assert!(text.contains("steps = 3\n") && text.contains("learning_rate = 0.25\n"), "{text}");
    let flags = "--steps 5 --learning-rate 1e20";
    let sets = "--set train.steps=5 --set train.optimizer.learning_rate=1e20";
    assert_eq!(settings(flags), settings(sets));
    assert_eq!(settings(&format!("{flags} --set train.steps=7")), settings(sets));
}

#[test]
fn quiet_training_says_its_result_only() {
    let folder = Folder::with_models();
    let done = run(&folder, &format!("-q {FINETUNE} --epochs 1 --out out --format json"));
    assert_eq!((done.stderr.as_str(), &done.json()["folder"]), ("", &"out".into()));
}

/// Forty texts, each fifteen times, with labels that do not depend on them.
fn repeated_texts() -> String {
    let row = |n: usize| format!("Kettle number {} of the harbour.,{}\n", n % 40, ["good", "bad"][n * n % 7 % 2]);
    format!("text,category\n{}", (0..600).map(row).collect::<String>())
}

#[test]
fn no_text_is_both_trained_on_and_validated_on() {
    let folder = Folder::with_models();
    folder.write("leak.csv", &repeated_texts());
    let line = "finetune --model runs/mini --train leak.csv --label-column category --steps 2 \
                --set train.micro_batch_size=8 --format json --out";
    let said = run(&folder, &format!("{line} runs/a"));
    let repeated = &said.json()["repeated"];
    assert_eq!((&repeated["rows"], &repeated["conflicts"]), (&560.into(), &40.into()));
    assert_eq!((&repeated["validation_in_training"], &said.json()["training_texts"]), (&0.into(), &540.into()));
    for told in
        ["repeated texts       560 of 600 rows", "texts with different labels: 40, ", "`bad` and `good`: 40 texts"]
    {
        assert!(said.stderr.contains(told), "{}", said.stderr);
    }
    assert!(folder.read("runs/a/run.toml").contains("split_by_text = true\n"));

    // As runs of version 0.1.0 have it.
    let said = run(&folder, &format!("{line} runs/b --set split_by_text=false"));
    assert!(said.json()["repeated"]["validation_in_training"].as_u64() > Some(30), "{said:?}");
    assert!(said.stderr.contains("validation texts are training texts too"), "{}", said.stderr);
    let file = folder.read("runs/b/run.toml");
    folder.write("runs/b/run.toml", &file.replace("split_by_text = false\n", ""));
    run(&folder, "finetune --out runs/b --resume");
    let other = folder.run(&format!("finetune --out runs/b --resume --set split_by_text=true {DEVICE}"));
    other.fails_with(&["`split_by_text` was false, is now true"]);
}

#[test]
fn given_parts_that_share_texts_are_told_and_left_as_they_are() {
    let folder = Folder::with_models();
    folder.write(
        "some.csv",
        &folder.read("train.csv").lines().take(10).map(|line| format!("{line}\n")).collect::<String>(),
    );
    let line = format!("{FINETUNE} --validation some.csv --test some.csv --steps 2 --out runs/a");
    let said = run(&folder, &line);
    for told in [
        "warning: 9 of 9 validation texts are training texts too",
        "9 of 9 test texts are training texts too",
        "9 of 9 test texts are validation texts too",
    ] {
        assert!(said.stderr.contains(told), "{}", said.stderr);
    }
    assert!(said.stdout.contains("also in training     9\n"), "{}", said.stdout);
    assert!(said.stdout.contains("also in validation   9\n"), "{}", said.stdout);
    assert!(folder.read("runs/a/README.md").contains("| test also in training | 9 |"));

    // No model is right more often than always.
    let good = |line: &&str| !line.ends_with(",bad");
    let good: String = folder.read("test.csv").lines().filter(good).map(|line| format!("{line}\n")).collect();
    folder.write("good.csv", &good);
    let said = run(&folder, &format!("{FINETUNE} --validation good.csv --steps 2 --out runs/b --format json"));
    assert_eq!(said.json()["majority_accuracy"], 1.0);
    assert!(said.stderr.contains("warning: the best model has learned little: it was chosen by macro_f1 "), "{said:?}");
    assert!(said.stderr.contains("that of always answering `good` 1.0000"), "{said:?}");

    folder.write("tags.conll", &"Anna\tB-PER\nsings\tO\n\nrain\tO\n\n".repeat(10));
    let line = "finetune --model runs/mini --task token-classification --train tags.conll --test tags.conll --steps 2 \
                --set train.micro_batch_size=8";
    let said = run(&folder, &format!("{line} --format json --out runs/ner"));
    let repeated = &said.json()["repeated"];
    assert_eq!((&repeated["rows"], &repeated["validation_in_training"]), (&18.into(), &0.into()));
    assert_eq!((&repeated["test_in_training"], &repeated["test_in_validation"]), (&10.into(), &10.into()));
}

#[test]
fn classes_that_were_not_meant_are_refused_or_told() {
    let folder = Folder::with_models();
    let table = |label: &dyn Fn(usize) -> String| {
        let rows = (0..60).map(|n| format!("Kettle number {n} of the harbour.,{}\n", label(n)));
        format!("text,category\n{}", rows.collect::<String>())
    };
    folder.write("scores.csv", &table(&|n| format!("{:.1}", n as f64 / 10.0)));
    folder.write("gaps.csv", &table(&|n| ["0.0", "1.0", "nan"][n % 3].to_owned()));
    folder.write("blanks.csv", &table(&|n| ["good", "Good ", "bad", "None"][n % 4].to_owned()));
    folder.write("numbers.csv", &table(&|n| (n / 2 * 2 + n % 2 * usize::from(n > 9)).to_string()));
    let line = |data: &str| {
        format!(
            "finetune --model runs/mini --train {data}.csv --label-column category --steps 1 --set train.micro_batch_size=8 \
             --out {data} {DEVICE}"
        )
    };
    let scores =
        ["the 60 classes are numbers with fractions such as `0.1`", "hint: set `--task regression` for scores"];
    folder.run(&line("scores")).fails_with(&scores);
    folder
        .run(&line("gaps"))
        .fails_with(&["line 4 of `gaps.csv` has the class `nan`, which stands for a missing value"]);
    assert!(!folder.path("gaps").exists());

    let said = folder.run(&line("blanks")).succeeds().stderr;
    for told in [
        "warning: classes that differ only in blanks, case",
        "`Good ` (15), `good` (15)",
        "missing values: `None` (15)",
    ] {
        assert!(said.contains(told), "{said}");
    }
    let said = folder.run(&line("numbers")).succeeds().stderr;
    assert!(said.contains("55 classes for 60 texts: most have one text only"), "{said}");

    let evaluate = format!("evaluate runs/intents --input other.csv --label-column category {DEVICE}");
    folder.write("other.csv", "text,category\nA kettle.,Good\n");
    folder
        .run(&evaluate)
        .fails_with(&["which differs from the known class `good` only in", "hint: write the class as the known one"]);
    let split = folder.run("data split --input blanks.csv --label-column category --by label --out parts").succeeds();
    assert!(split.stderr.contains("`Good ` (15), `good` (15)"), "{}", split.stderr);
}

#[test]
fn a_longest_text_beyond_that_of_the_model_is_told() {
    let folder = Folder::with_models();
    let line = "finetune --model runs/mini --train train.csv --label-column category --out new --dry-run";
    let told = |flags: &str| folder.run(&format!("{line} {flags} {DEVICE}")).succeeds().stderr;
    let said = "the most that the model takes, not 5000";
    assert!(told("--max-seq-length 5000").contains(said));
    for flags in ["--max-seq-length 8", ""] {
        assert!(!told(flags).contains("the most that the model takes"));
    }
}

#[test]
fn a_run_whose_last_loss_is_not_finite_is_told_to_have_diverged() {
    let folder = Folder::with_models();
    let line = "finetune --model runs/mini --train train.csv --validation test.csv --label-column category --steps 1 \
                --set train.schedule={kind=\"constant\"} --learning-rate 1e30 --out runs/wild";
    let said = run(&folder, line).stderr;
    assert!(
        said.contains("warning: the run has diverged: its validation loss at step 1 is not finite; lower"),
        "{said}"
    );
    assert!(!said.contains("has learned little"), "{said}");
}
