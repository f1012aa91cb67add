//! Several processes of `mpirun` that evaluate, answer and build: what they write is, byte for byte, what one process writes.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::causal_lm::with_gpt;
use crate::ranks::{on_ranks, run};
use crate::support::{DEVICE, Folder, Run};

/// 700 texts of different lengths, of which some are blank: three groups.
fn texts() -> String {
    let words = "harbour ship the tide a crane waits for morning and nobody sees it".split(' ').cycle();
    (0..700).map(|n| words.clone().skip(n % 12).take(n * 7 % 13).collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// Makes sure that the result of `line` on two and three processes is that on one, after `shown`, and the standard input goes to
/// the first.
fn check_shown(folder: &Folder, line: &str, stdin: Option<&str>, shown: impl Fn(&str) -> String) {
    let run = |n: usize| {
        let mut command = match n {
            1 => folder.command(line),
            n => on_ranks(folder, n, line)?,
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that fails reads nothing.
        let _ = child.stdin.take().unwrap().write_all(stdin.unwrap_or_default().as_bytes());
        Some(Run::of(child.wait_with_output().unwrap()))
    };
    let alone = run(1).unwrap().succeeds();
    assert!(!alone.stdout.is_empty(), "{line}");
    for n in [2, 3] {
        let Some(found) = run(n) else { return };
        let found = found.succeeds();
        assert!(
            shown(&found.stdout) == shown(&alone.stdout),
            "{n} ranks of `{line}`:\n{}\n{}",
            found.stdout,
            alone.stdout
        );
        let warnings =
            |run: &Run| run.stderr.lines().filter(|line| line.starts_with("warning: ")).collect::<Vec<_>>().join("\n");
        assert_eq!(warnings(&found), warnings(&alone), "{n} ranks of `{line}`");
    }
}

fn check(folder: &Folder, line: &str, stdin: Option<&str>) {
    check_shown(folder, line, stdin, str::to_owned);
}

/// Makes sure that `line`, in which the file or folder that it writes is called `OUT`, writes the same on one to three processes.
fn check_written(folder: &Folder, name: &str, line: &str) {
    folder.run(&line.replace("OUT", &format!("{name}-1"))).succeeds();
    let files = |n: usize| {
        let path = folder.path(&format!("{name}-{n}"));
        let names =
            folder.names().into_iter().filter(|it| it.starts_with(&path) && it.is_file() && !it.ends_with(".lock"));
        names.map(|it| (it.strip_prefix(&path).unwrap().to_owned(), fs::read(&it).unwrap())).collect::<Vec<_>>()
    };
    assert!(!files(1).is_empty(), "{line}");
    for n in [2, 3] {
        let Some(run) = run(folder, n, &line.replace("OUT", &format!("{name}-{n}"))) else { return };
        run.succeeds();
        assert!(files(n) == files(1), "{n} ranks of `{line}`");
    }
}

#[test]
fn evaluations_are_those_of_one_process() {
    let folder = Folder::with_models();
    check(
        &folder,
        &format!(
            "evaluate runs/intents --input test.csv --label-column category --batch-size 2 --format json {DEVICE}"
        ),
        None,
    );
    check(&folder, &format!("evaluate runs/mini --corpus corpus --batch-size 3 --format json {DEVICE}"), None);
    let without_seconds = |json: &str| json.lines().filter(|line| !line.contains("\"seconds\"")).collect();
    let line = "evaluate runs/de-en --input test.de --pair-input test.en --batch-size 4 --format json";
    check_shown(&folder, &format!("{line} {DEVICE}"), None, without_seconds);
    check_written(&folder, "translations-on", &format!("{line} --out OUT {DEVICE}"));
    let Some(run) = run(&folder, 2, &format!("evaluate runs/intents --input - --label-column category {DEVICE}"))
    else {
        return;
    };
    run.fails_with(&["several processes cannot evaluate on standard input", "write it to a file"]);
}

#[test]
fn answers_are_those_of_one_process() {
    let folder = Folder::with_models();
    folder.write("texts.txt", &texts());
    for (line, stdin) in [
        ("predict runs/intents --input texts.txt --format json", None),
        ("predict runs/intents --top-k 2", Some(texts())),
        ("fill-mask runs/mini", Some("a [MASK] waits\n".repeat(300) + "the [MASK]\n")),
        ("embed runs/intents --input texts.txt", None),
        ("translate runs/de-en --batch-size 8", Some("eins zwei\n\nvier\n".repeat(400))),
        ("translate runs/de-en --n-best 2 --beam 2 --format json eins drei", None),
    ] {
        check(&folder, &format!("{line} {DEVICE}"), stdin.as_deref());
    }
    check_written(&folder, "vectors-on", &format!("embed runs/intents --input texts.txt --out OUT {DEVICE}"));
    check_written(&folder, "pictures-on", &format!("translate runs/de-en --attention OUT {DEVICE} eins drei vier"));
    let gpt = with_gpt();
    let line = format!("generate runs/gpt --batch-size 4 --temperature 1 --max-new-tokens 8 --seed 3 {DEVICE}");
    check(&gpt, &line, Some(&"a ship\nthe tide\n".repeat(10)));
    check(&gpt, &format!("evaluate runs/gpt --corpus bytes --batch-size 3 --format json {DEVICE}"), None);
}

#[test]
fn a_corpus_is_that_of_one_process() {
    let folder = Folder::with_models();
    // Enough for several pieces of work.
    folder.write("long.txt", &texts().repeat(80));
    check_written(&folder, "corpus-on", "data build --input long.txt --tokenizer tokenizer --out OUT");
    check_written(
        &folder,
        "pairs-on",
        "data build --input train.de --pair-input train.en --tokenizer de --pair-tokenizer en --out OUT",
    );
    let lines =
        ["data build --input none.txt --tokenizer tokenizer --out x", "embed runs/intents --input none.txt --out x"];
    for line in lines {
        let Some(run) = run(&folder, 3, line) else { return };
        let alone = folder.run(line);
        assert_eq!(run.status, alone.status);
        assert!(
            run.stderr.contains(alone.stderr.lines().next().unwrap().trim_start_matches("error: ")),
            "{}",
            run.stderr
        );
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{}", run.stderr);
        assert!(!folder.path("x").exists());
    }
}

/// Makes sure that `line` in so many stages has the result of one process.
fn check_in_stages(folder: &Folder, line: &str, n_stages: usize) {
    let alone = folder.run(line).succeeds();
    let line = format!("{line} --pipeline-stages {n_stages}");
    let Some(found) = run(folder, n_stages, &line) else { return };
    assert_eq!(found.succeeds().stdout, alone.stdout, "{line}");
}

#[test]
fn stages_answer_as_one_process() {
    let folder = with_gpt();
    let json = format!("--format json {DEVICE}");
    check_in_stages(&folder, &format!("evaluate runs/mini --corpus corpus {json}"), 2);
    check_in_stages(&folder, &format!("evaluate runs/gpt --corpus bytes {json}"), 2);
    check_in_stages(&folder, &format!("evaluate runs/intents --input test.csv --label-column category {json}"), 2);
    check_in_stages(&folder, &format!("generate runs/gpt --max-new-tokens 5 {json} The harbour"), 2);
    check_in_stages(
        &folder,
        &format!("generate runs/gpt --temperature 1 --n-best 2 --batch-size 1 {json} The harbour"),
        2,
    );
    let refused = folder.run("generate runs/gpt --pipeline-stages 2 The");
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("2 stages need a multiple of 2 processes, found 1"), "{}", refused.stderr);
    for line in ["generate runs/gpt The", "evaluate runs/mini --corpus corpus"] {
        let refused = folder.run(&format!("{line} --dtype int8 --pipeline-stages 2"));
        assert_eq!(refused.status, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains("leave out `--dtype` or `--pipeline-stages`"), "{}", refused.stderr);
    }
    let refused = folder.run("evaluate runs/de-en --input test.de --pair-input test.en --pipeline-stages 2");
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("leave out `--pipeline-stages`"), "{}", refused.stderr);
}
