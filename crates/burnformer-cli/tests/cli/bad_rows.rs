//! Rows that fine-tuning cannot use: file, line and what to do about it, or their number.

use crate::support::{DEVICE, Folder};

const FINETUNE: &str = "finetune --model runs/mini --set train.micro_batch_size=8 --steps 1";

fn rows(n: usize) -> String {
    (0..n).map(|n| format!("The boat number {n} drifted past,{}\n", ["good", "bad"][n % 2])).collect()
}

#[test]
fn a_bad_row_is_an_error_with_its_place_or_is_counted() {
    let folder = Folder::with_models();
    folder.write("dev.csv", &format!("text,category\n{}", rows(4)));
    for (row, said) in [
        (",good\n", "line 12 of `train.csv` has an empty `text`"),
        ("A lamp.,\n", "line 12 of `train.csv` has an empty `category`"),
        ("A lamp.\n", "line 12 of `train.csv` has 1 field, expected 2 as in the first row"),
        ("A lamp, a clock,good\n", "line 12 of `train.csv` has 3 fields, expected 2 as in the first row"),
    ] {
        folder.write("train.csv", &format!("text,category\n{}{row}", rows(10)));
        let line =
            format!("{FINETUNE} --train train.csv --validation dev.csv --label-column category --dry-run {DEVICE}");
        folder.run(&format!("{line} --out new")).fails_with(&[said, "`--on-bad-row skip`"]);
        let plan = folder.run(&format!("{line} --out new --on-bad-row skip --format json")).succeeds();
        assert_eq!(plan.json()["data"]["training"]["skipped_rows"], 1, "{plan:?}");
        assert!(plan.stderr.contains(said), "{plan:?}");
    }
}

#[test]
fn a_label_that_the_model_does_not_know_is_an_error_with_its_place_or_is_counted() {
    let folder = Folder::with_models();
    folder.write("train.csv", &format!("text,category\n{}", rows(10)));
    let line = format!("{FINETUNE} --train train.csv --validation dev.csv --label-column category --dry-run {DEVICE}");
    for (row, said) in [
        ("A lamp.,fair\n", "line 6 of `dev.csv` has the unknown class `fair`, known are `bad`, `good`"),
        (
            "A lamp.,Good\n",
            "line 6 of `dev.csv` has the unknown class `Good`, which differs from the known class `good` only",
        ),
    ] {
        folder.write("dev.csv", &format!("text,category\n{}{row}", rows(4)));
        folder.run(&format!("{line} --out new")).fails_with(&[said, "`--on-bad-row skip`"]);
        let plan = folder.run(&format!("{line} --out new --on-bad-row skip --format json")).succeeds();
        assert_eq!(plan.json()["data"]["validation"]["skipped_rows"], 1, "{plan:?}");
        assert_eq!(plan.json()["data"]["validation"]["rows"], 4, "{plan:?}");
    }
    folder.write("dev.csv", "text,category\nA lamp.,fair\n");
    let said = ["no row is left: 1 were skipped", "line 2 of `dev.csv` has the unknown class `fair`"];
    folder.run(&format!("{line} --out new --on-bad-row skip")).fails_with(&said);
}

#[test]
fn a_wrong_column_is_answered_with_those_there_are() {
    let folder = Folder::with_models();
    folder.write("train.csv", &format!("text,category\n{}", rows(10)));
    folder.write(
        "train.jsonl",
        "{\"text\": \"A lamp.\", \"category\": \"good\"}\n{\"text\": \"A clock.\", \"category\": \"bad\"}\n",
    );
    let fails =
        |flags: &str, said: &[&str]| folder.run(&format!("{FINETUNE} {flags} --out new {DEVICE}")).fails_with(said);
    fails("--train train.csv --label-column class", &["`train.csv` has no column `class`, it has `text`, `category`"]);
    fails(
        "--train train.jsonl --label-column class",
        &["line 1 of `train.jsonl` has no `class`, it has `category`, `text`"],
    );
    for file in ["train.csv", "train.jsonl"] {
        let said = [
            &format!("no column of labels is named for `{file}`, found the columns `")[..],
            "hint: name the column of the label with `--label-column`",
        ];
        fails(&format!("--train {file}"), &said);
    }
}
