//! Sentence embeddings: `finetune --task sentence-embedding`, and what the model is then good for.

use std::fs;
use std::ops::Range;

use serde_json::Value;

use crate::support::{DEVICE, Folder};

const THINGS: [&str; 4] = ["boat", "lamp", "kettle", "clock"];
const PLACES: [&str; 5] = ["pier", "kitchen", "harbour", "book", "water"];

/// Pairs of texts about one thing at one place, as CSV: with a text about another thing, and with a score of 4 for the same
/// thing and of 0 for another.
fn rows(range: Range<usize>) -> (String, String) {
    let (mut triplets, mut scored) = ("query,answer,other\n".to_owned(), "query,answer,score\n".to_owned());
    for n in range {
        let (thing, place) = (THINGS[n % 4], PLACES[n / 4 % 5]);
        let (other, round) = (THINGS[(n + 1 + n / 20 % 3) % 4], n / 20);
        let query = format!("the {thing} {round} in the {place}");
        triplets +=
            &format!("{query},Nobody had touched the {thing} {round} in the {place}.,the {other} {round} sang\n");
        let (answer, score) = if n.is_multiple_of(2) { (thing, "4") } else { (other, "0") };
        scored += &format!("{query},the {answer} {round} in the {place} burned,{score}\n");
    }
    (triplets, scored)
}

fn folder() -> Folder {
    let folder = Folder::with_models();
    for (name, range) in [("train", 0..100), ("test", 100..140)] {
        let (triplets, scored) = rows(range);
        folder.write(&format!("{name}.triplets.csv"), &triplets);
        folder.write(&format!("{name}.scored.csv"), &scored);
    }
    folder
}

const COLUMNS: &str = "--text-column query --pair-column answer";
const TRAIN: &str = "finetune --model runs/mini --task sentence-embedding --text-column query --pair-column answer \
                     --set train.micro_batch_size=10 --max-seq-length 24 --format json";

#[test]
fn a_model_trained_on_pairs_finds_the_answers() {
    let folder = folder();
    let files = "--train train.triplets.csv --test test.triplets.csv --negative-column other";
    let line = format!("{TRAIN} {files} --epochs 6 --learning-rate 0.003 --out runs/search {DEVICE}");
    let report = folder.run(&line).succeeds().json();
    let test = &report["test"];
    assert_eq!((test["pairs"].as_u64(), test["retrieval"]["queries"].as_u64()), (Some(40), Some(40)));
    assert!(test["retrieval"]["mrr_at_10"].as_f64().unwrap() > 0.5, "{test}");
    assert!(test["triplet_accuracy"].as_f64().unwrap() > 0.8, "{test}");
    let metrics = folder.rows("runs/search/metrics.jsonl");
    let validation = metrics.iter().rev().find(|row| row["phase"] == "validation" || row["mrr"].is_number()).unwrap();
    assert!(validation["mrr"].is_number(), "{validation}");
    // A folder of sentence-transformers.
    for name in ["modules.json", "1_Pooling/config.json", "2_Normalize", "sentence_bert_config.json"] {
        assert!(folder.path("runs/search").join(name).exists() || name == "2_Normalize", "{name}");
    }
    assert_eq!(folder.json("runs/search/sentence_bert_config.json")["max_seq_length"], 24);
    let card = folder.read("runs/search/README.md");
    assert!(card.contains("pipeline_tag: sentence-similarity") && card.contains("multiple negatives"), "{card}");
    // What it is good for.
    let evaluate = format!("evaluate runs/search --input test.triplets.csv {COLUMNS} --negative-column other");
    let again = folder.run(&format!("{evaluate} --format json {DEVICE}")).succeeds().json();
    for name in ["mrr_at_10", "ndcg_at_10", "map_at_100", "recall_at_10"] {
        assert_eq!(again["retrieval"][name], test["retrieval"][name], "{name}");
    }
    let said = folder.run(&format!("{evaluate} {DEVICE}")).succeeds().stdout;
    assert!(said.contains("NDCG@10") && said.contains("triplet accuracy"), "{said}");
    let scored = folder.run(&format!(
        "evaluate runs/search --input test.scored.csv {COLUMNS} --label-column score --format json {DEVICE}"
    ));
    assert!(scored.succeeds().json()["spearman"].as_f64().unwrap() > 0.3);
    let embedded = folder.run(&format!("embed runs/search kettle {DEVICE}")).succeeds();
    assert!(embedded.stdout.contains("embedding"));
    let told = folder.run(&format!("runs runs {DEVICE}").replace(DEVICE, "")).succeeds().stdout;
    assert!(told.contains("mrr"), "{told}");
}

#[test]
fn a_model_trained_on_scores_agrees_with_them() {
    let folder = folder();
    let files = "--train train.scored.csv --test test.scored.csv --label-column score";
    for (loss, more) in [("", ""), ("--loss cosine", "--highest-score 4"), ("--pooling max", "")] {
        let line = format!("{TRAIN} {files} {loss} {more} --epochs 8 --learning-rate 0.003 --out runs/scored {DEVICE}");
        let report = folder.run(&line).succeeds().json();
        let spearman = report["test"]["spearman"].as_f64().unwrap();
        assert!(spearman > 0.5, "{loss}: {report}");
        fs::remove_dir_all(folder.path("runs/scored")).unwrap();
    }
}

#[test]
fn an_interrupted_run_ends_as_one_that_was_not() {
    let weights = |resumes: bool| {
        let folder = folder();
        let files = "--train train.triplets.csv --negative-column other --pooling cls";
        let steps = |n: usize| format!("--steps {n} --set train.schedule.kind=constant");
        let line = |n: usize| format!("{TRAIN} {files} {} --out runs/search {DEVICE}", steps(n));
        if resumes {
            folder.run(&line(7)).succeeds();
            folder.run(&format!("finetune --out runs/search --resume --steps 12 {DEVICE}")).succeeds();
        } else {
            folder.run(&line(12)).succeeds();
        }
        let last = folder.path("runs/search/checkpoints/step-12");
        assert_eq!(folder.json("runs/search/1_Pooling/config.json")["pooling_mode_cls_token"], true);
        ["model.safetensors", "optimizer.safetensors"].map(|name| fs::read(last.join(name)).unwrap())
    };
    assert!(weights(true) == weights(false));
}

#[test]
fn data_that_teach_nothing_are_refused_with_what_to_do() {
    let folder = folder();
    let fails = |more: &str, said: &[&str]| {
        folder.run(&format!("{TRAIN} {more} --out runs/none {DEVICE}")).fails_with(said);
        assert!(!folder.path("runs/none").exists());
    };
    let triplets = "--train train.triplets.csv";
    let scored = "--train train.scored.csv --label-column score";
    fails(
        &format!("{triplets} --loss triplet"),
        &["the loss `triplet` needs negatives for each pair", "`--negative-column`"],
    );
    fails(
        &format!("{triplets} --loss cosent"),
        &["needs a score for each pair, found pairs without scores", "`--label-column`"],
    );
    fails(&format!("{scored} --loss multiple-negatives"), &["needs pairs without scores, found scores"]);
    fails(&format!("{scored} --loss cosine"), &["cosines from -1 to 1, found scores from 0 to 4", "`--highest-score`"]);
    fails(&format!("{scored} --loss cosent --margin 1"), &["`sentence_embedding.margin` is 1, expected none"]);
    fails("--train train.triplets.csv --label-column answer", &["expected a finite number"]);
    fails("--train train.triplets.csv --negative-column others", &["others"]);
    let flags = "--train train.csv --label-column category --out runs/none";
    folder
        .run(&format!("finetune --model runs/mini {flags} --scale 20 {DEVICE}"))
        .fails_with(&["`--scale` cannot be used for text classification", "it is for sentence embedding"]);
    let line = format!("finetune --model runs/mini --task sentence-embedding {flags} {DEVICE}");
    folder.run(&line.replace("--label-column category", "")).fails_with(&[
        "no column of second texts",
        "found the columns `text`, `category`",
        "`--pair-column`",
    ]);
    folder
        .run(&format!("evaluate runs/intents --input test.csv --label-column category --negative-column x {DEVICE}"))
        .fails_with(&["does not embed texts", "leave out `--negative-column`"]);
}

#[test]
fn rows_without_a_score_are_counted_if_asked() {
    let folder = folder();
    let broken = folder.read("train.scored.csv").replacen(",4\n", ",high\n", 2);
    folder.write("broken.csv", &broken);
    let line = format!("{TRAIN} --train broken.csv --label-column score --steps 2 --out runs/some {DEVICE}");
    folder.run(&line).fails_with(&["line 2 of `broken.csv` has the score `high`"]);
    let said = folder.run(&format!("{line} --on-bad-row skip")).succeeds().stderr;
    assert!(said.contains("skipped rows: 2"), "{said}");
    let report: Value = folder.json("runs/some/config.json");
    assert_eq!(report["architectures"][0], "BertModel");
}
