//! Files as people have them: other encodings, compressions, separators, the standard input, rows that cannot be used.

use crate::support::Folder;

const SPLIT: &str = "data split --validation 0 --test 0 --out parts --input";

/// The texts of all rows that a split writes.
fn texts(folder: &Folder) -> Vec<String> {
    let rows = folder.rows("parts/train.jsonl");
    std::fs::remove_dir_all(folder.path("parts")).unwrap();
    rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn an_encoding_is_named_and_the_advice_reads_the_file() {
    let folder = Folder::new();
    let text = "text,label\ncafé “noir” 5 €,x\n";
    folder.write_bytes("a.csv", b"text,label\ncaf\xe9 \x93noir\x94 5 \x80,x\n");
    folder.write_bytes("b.csv", &utf_16(text));
    folder.write_bytes("c.csv", &text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect::<Vec<_>>());
    for (name, encoding) in [("a.csv", "windows-1252"), ("b.csv", "utf-16le"), ("c.csv", "utf-32be")] {
        let flag = format!("--encoding {encoding}");
        folder.run(&format!("{SPLIT} {name}")).fails_with(&["hint: ", &flag]);
        folder.run(&format!("{SPLIT} {name} {flag}")).succeeds();
        assert_eq!(texts(&folder), ["café “noir” 5 €"]);
    }
    folder.write_bytes("d.csv", &[&b"\xff\xfe"[..], &utf_16(text)].concat());
    folder.run(&format!("{SPLIT} d.csv")).succeeds();
    assert_eq!(texts(&folder), ["café “noir” 5 €"]);
    // Behind text that is UTF-8 another encoding would garble that.
    folder.write_bytes("e.csv", b"text\nna\xc3\xafve\ncaf\xe9\n");
    let run = folder.run(&format!("{SPLIT} e.csv"));
    run.fails_with(&["line 3 of `e.csv` is not UTF-8 from byte 4 on", "--on-bad-row skip"]);
    assert!(!run.stderr.contains("encoding"), "{}", run.stderr);
    folder.run(&format!("{SPLIT} a.csv --encoding utf-7")).fails_with(&["`utf-7` is no known encoding"]);
}

#[test]
fn another_separator_is_named_and_the_advice_reads_the_file() {
    let folder = Folder::new();
    for (separator, shown) in [(";", ";"), ("\t", "\\t"), ("|", "|")] {
        folder.write("a.csv", &format!("text{separator}label\nrain{separator}wet\n"));
        folder.run(&format!("{SPLIT} a.csv")).fails_with(&[&format!("--delimiter '{shown}'")]);
        folder.run(&format!("{SPLIT} a.csv --delimiter {shown}")).succeeds();
        assert_eq!(texts(&folder), ["rain"]);
    }
}

#[test]
fn skipped_rows_are_counted_as_many_as_are_lost() {
    let folder = Folder::new();
    let rows: String = (0..50).map(|n| format!("{}row {n},x\n", if n == 20 { "\"" } else { "" })).collect();
    folder.write("a.csv", &format!("text,label\n{rows}"));
    let run = folder.run(&format!("{SPLIT} a.csv --on-bad-row skip")).succeeds();
    assert!(run.stderr.contains("skipped rows: 30; "), "{}", run.stderr);
    assert_eq!(texts(&folder).len(), 20);
    // What cannot be read is not skipped, and nobody is told that it could be.
    for line in ["/dev/null --input-format text", "missing.csv", "/dev/null/a --input-format csv"] {
        let run = folder.run(&format!("{SPLIT} {line} --on-bad-row skip"));
        run.fails_with(&[]);
        assert!(!run.stderr.contains("on-bad-row"), "{}", run.stderr);
    }
}

#[test]
fn json_is_read_however_it_is_written() {
    let folder = Folder::new();
    for (name, content) in [
        ("a.json", "\u{feff}[\r\n  {\r\n    \"text\": \"rain\"\r\n  },\r\n  {\"text\": \"snow\"}\r\n]\r\n"),
        ("a.json", "{\"version\": 1, \"data\": [{\"text\": \"rain\"}, {\"text\": \"snow\"}]}"),
        ("a.jsonl", "{\"text\": \"rain\", \"n\": NaN}\r\n\r\n{\"text\": \"snow\"}"),
    ] {
        folder.write(name, content);
        folder.run(&format!("{SPLIT} {name}")).succeeds();
        assert_eq!(texts(&folder), ["rain", "snow"], "{content}");
    }
}

#[test]
fn the_standard_input_is_an_input() {
    let folder = Folder::with_tokenizer();
    let table = b"text,label\nthe boat,x\nthe lamp,y\n";
    folder.run_on(&format!("{SPLIT} - --input-format csv"), table).succeeds();
    assert_eq!(texts(&folder), ["the boat", "the lamp"]);
    folder.run_on("tokenizer train --input - --input-format text --vocab-size 99 --out t", b"the boat\n").succeeds();
    folder.run_on("data build --input - --input-format csv --tokenizer tokenizer --out corpus", table).succeeds();
    folder.run_on(&format!("{SPLIT} -"), table).fails_with(&["the file format of `-` is unknown", "--input-format"]);
    let error = "line 2 of `standard input` has 1 field, expected 2";
    folder.run_on(&format!("{SPLIT} - --input-format csv"), b"text,label\nthe boat\n").fails_with(&[error]);
    // Every pass over a run's data reads its files again, the last one perhaps in a year.
    let line = "finetune --model m --train - --input-format csv --label-column label --out runs/a";
    folder.run_on(line, table).fails_with(&["standard input", "write it to a file"]);
}

#[test]
fn a_folder_is_not_written_to_standard_output() {
    let folder = Folder::with_text();
    for line in ["tokenizer train --input texts --out -", "data split --input reviews.csv --out -"] {
        folder.run(line).fails_with(&["`-` is standard output"]);
        assert!(!folder.path("-").exists());
    }
}
