//! Labels, texts and names that would command a terminal or a page.

use crate::support::{DEVICE, Folder, Run, table};

/// Copies text to the clipboard, clears the screen in the way of eight bits, turns the order of what follows, runs a script.
const EVIL: &str = "bad\u{1b}]52;c;aGk=\u{7}\u{9b}2J\u{202e}<script>alert(1)</script>";
/// The same, as it is shown.
const SHOWN: &str = r"bad\u001b]52;c;aGk=\u0007\u009b2J\u202e<script>alert(1)</script>";

/// Makes sure that nothing of what the program says commands a terminal.
#[track_caller]
fn check(run: &Run) {
    let is_command = |character: char| character.is_control() && !['\n', '\t'].contains(&character);
    for text in [&run.stdout, &run.stderr] {
        assert!(!text.contains(is_command) && !text.contains('\u{202e}'), "{text:?}");
    }
}

#[test]
fn what_others_wrote_commands_neither_a_terminal_nor_a_page() {
    let folder = Folder::with_models();
    for (name, rows) in [("train.csv", 0..48), ("test.csv", 48..60)] {
        folder.write(name, &table(rows, "category").replace(",bad", &format!(",{EVIL}")));
    }
    let line = "finetune --model runs/mini --train train.csv --label-column category --test test.csv --steps 2 \
                --set train.micro_batch_size=8 --max-seq-length 12 --out runs/evil";
    let trained = folder.run(&format!("{line} {DEVICE}")).succeeds();
    check(&trained);
    assert!(trained.stdout.contains(r"bad\u001b]52;c;aGk=\u00…"), "{}", trained.stdout);
    let card = folder.read("runs/evil/README.md");
    assert!(card.contains(
        r"| classes | bad\\u001b\]52;c;aGk=\\u0007\\u009b2J\\u202e&lt;script&gt;alert(1)&lt;/script&gt;, good |"
    ));
    assert!(!card.contains(['<', '\u{1b}']), "{card}");

    let commands = [
        "inspect runs/evil",
        "evaluate runs/evil --input test.csv --label-column category",
        "predict runs/evil --top-k 2 --format json Kettle",
        "evaluate runs/evil --input test.csv --label-column category --format json",
        "evaluate runs/intents --input test.csv --label-column category",
    ];
    for line in commands {
        let device = if line.starts_with("inspect") { "" } else { DEVICE };
        check(&folder.run(&format!("{line} {device}")));
    }
    let json = folder.run(&format!("predict runs/evil --top-k 2 --format json Kettle {DEVICE}")).succeeds().json();
    let labels = json["classes"].as_array().unwrap().iter().map(|class| class["label"].as_str().unwrap());
    assert!(labels.collect::<Vec<_>>().contains(&EVIL), "{json}");
    let told = folder.run_with(&format!("predict runs/evil {DEVICE}"), EVIL).succeeds();
    check(&told);
    assert!(told.stdout.ends_with(&format!("\t{SHOWN}\n")), "{}", told.stdout);

    // Names of files, and arguments that make no sense.
    for line in ["inspect", "data stats", "inspect --format", "predict --top-k", "fill-mask --device"] {
        let refused = folder.run_with(line, EVIL);
        check(&refused);
        refused.fails_with(&["error: ", r"\u001b]52;c;aGk=\u0007"]);
    }
}
