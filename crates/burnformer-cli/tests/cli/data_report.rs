//! The report on the data of a fine-tuning run: before the first step, in the run folder and in the model card.

use crate::support::{DEVICE, Folder};

const FINETUNE: &str = "finetune --model runs/mini --label-column category --set train.micro_batch_size=8 --steps 1";

#[test]
fn what_is_in_the_data_is_told_before_the_first_step() {
    let folder = Folder::with_models();
    let row = |text: &str, class: &str| format!("{text},{class}\n");
    let train: String =
        (0..30).map(|n| row(&format!("The boat number {n} drifted past"), ["good", "bad"][n % 3 % 2])).collect();
    let long = "the old lamp ".repeat(20);
    // A text twice, one with both classes, and a row without a class.
    let extra = [
        row("The boat number 1 drifted past", "bad"),
        row("The boat number 2 drifted past", "bad"),
        row(&long, "bad"),
        row("x", ""),
    ];
    folder.write("train.csv", &format!("text,category\n{train}{}", extra.concat()));
    folder.write(
        "dev.csv",
        &format!("text,category\n{}{}", row("The boat number 3 drifted past", "good"), row("a new text", "bad")),
    );
    folder.write("test.csv", &format!("text,category\n{}", row(&long, "good")));
    let line = format!(
        "{FINETUNE} --train train.csv --validation dev.csv --test test.csv --max-seq-length 16 --on-bad-row skip {DEVICE}"
    );
    let plan = folder.run(&format!("{line} --out new --dry-run")).succeeds().stdout;
    for told in [
        "\ndata\ntexts                33 training, 2 validation, 1 test\n",
        "skipped rows         1 (empty values 1) training\n",
        "labels               2, from `good` (",
        "tokens               median ",
        "longest 16\n",
        "cut at 16 tokens     1 (3.03 %) training, 1 (100.00 %) test\n",
        "repeated texts       2 rows with the text of an earlier one, of 33 that were read\n",
        "contradictions       1 text with different labels\n",
        "also in training     1 validation\n",
        "also in training     1 test\n",
    ] {
        assert!(plan.contains(told), "{told} in {plan}");
    }
    let run = folder.run(&format!("{line} --out runs/report --format json")).succeeds();
    assert!(run.stderr.contains("cut at 16 tokens     1 (3.03 %) training"), "{}", run.stderr);
    let report = folder.json("runs/report/data_report.json");
    assert_eq!((&report["training"]["rows"], &report["training"]["skipped_rows"]), (&33.into(), &1.into()));
    assert_eq!((&report["training"]["lengths"]["max"], &report["test"]["cut"]), (&16.into(), &1.into()));
    assert_eq!((&report["repeated"]["conflicts"], &report["repeated"]["test_in_training"]), (&1.into(), &1.into()));
    assert_eq!(report["contradictions"][0]["labels"], serde_json::json!(["bad", "good"]));
    assert_eq!(report["labels"].as_array().unwrap().len(), 2);
    let plan = folder.run(&format!("{line} --out new --dry-run --format json")).succeeds().json();
    assert_eq!(plan["data"], report);
    let card = folder.read("runs/report/README.md");
    assert!(
        card.contains("## Data\n") && card.contains("| cut at 16 tokens | 1 (3.03 %) training, 1 (100.00 %) test |"),
        "{card}"
    );
}
