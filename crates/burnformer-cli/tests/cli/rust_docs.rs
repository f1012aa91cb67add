//! `burnformer data rust-docs`.

use crate::support::Folder;

/// A crate `boat` with two functions and a struct, and one file that is no Rust.
pub(crate) fn write_crate(folder: &Folder, at: &str) {
    folder.write(
        &format!("{at}/Cargo.toml"),
        "[package]\nname = \"boat\"\nversion = \"1.2.3\"\nedition = \"2024\"\nrepository = \"https://example.com/boat\"\n",
    );
    folder.write(
        &format!("{at}/src/lib.rs"),
        "//! This crate is about boats that drift past the pier.\n\n/// Returns the number of boats in the harbour.\n\
         pub fn count() -> usize { 0 }\n\n/// A lamp that burns at the end of the pier.\npub struct Lamp;\n\n\
         /// Lets the boat drift until the morning comes.\npub fn drift() {}\n",
    );
}

/// A project in `at` that depends on the crate in `dependency`, which lies beside it.
pub(crate) fn write_project(folder: &Folder, at: &str, dependency: &str) {
    folder.write(
        &format!("{at}/Cargo.toml"),
        &format!(
            "[package]\nname = \"harbour\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
             boat = {{ path = \"{dependency}\" }}\n"
        ),
    );
    let lock = "version = 4\n\n[[package]]\nname = \"boat\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"harbour\"\n\
                version = \"0.1.0\"\ndependencies = [\n \"boat\",\n]\n";
    folder.write(&format!("{at}/Cargo.lock"), lock);
    folder.write(&format!("{at}/src/lib.rs"), "//! A harbour has no documentation of others in it.\n");
}

#[test]
fn documents_and_items_are_written_and_named_by_a_hash() {
    let folder = Folder::new();
    write_crate(&folder, "one/boat");
    write_crate(&folder, "two/boat");
    let report = folder.run("data rust-docs --source-tree one/boat --out docs --format json").succeeds().json();
    let counts = ["crates", "files", "paragraphs"].map(|count| report[count].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 4]);
    assert_eq!(report["items"], serde_json::json!({"fn": 2, "mod": 1, "struct": 1}));

    let documents = folder.rows("docs/documents.jsonl");
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0]["group"], "https://example.com/boat");
    assert!(documents[0]["path"].as_str().unwrap().ends_with("lib.rs"));
    let items = folder.rows("docs/items.jsonl");
    let text = "Returns the number of boats in the harbour.";
    assert_eq!(items[1], serde_json::json!({"text": text, "label": "fn", "group": "https://example.com/boat"}));

    let same = folder.run("data rust-docs --source-tree two/boat --out same --format json").succeeds().json();
    assert_eq!(same["hash"], report["hash"]);
    let text = folder.run("data rust-docs --source-tree two/boat --out text").succeeds().stdout;
    assert!(text.contains(report["hash"].as_str().unwrap()) && text.contains("  fn                 2\n"), "{text}");
}

#[test]
fn the_dependencies_of_a_project_are_found() {
    let folder = Folder::new();
    write_crate(&folder, "boat");
    write_project(&folder, "harbour", "../boat");
    for (project, out) in [("harbour", "one"), ("harbour/Cargo.toml", "two")] {
        folder.run(&format!("data rust-docs --project {project} --out {out}")).succeeds();
        let documents = folder.read(&format!("{out}/documents.jsonl"));
        assert!(documents.contains("boats that drift") && !documents.contains("harbour has no"), "{documents}");
    }
}

#[test]
fn only_the_kinds_asked_for_are_written() {
    let folder = Folder::new();
    write_crate(&folder, "boat");
    let line = "data rust-docs --source-tree boat --kinds struct,trait --out docs --format json";
    assert_eq!(folder.run(line).succeeds().json()["items"], serde_json::json!({"struct": 1}));
    assert_eq!(folder.rows("docs/items.jsonl").len(), 1);
}

#[test]
fn files_that_cannot_be_read_are_counted_and_listed_on_request() {
    let folder = Folder::new();
    write_crate(&folder, "boat");
    folder.write("boat/src/broken.rs", "fn f( {}");
    let run = folder.run("data rust-docs --source-tree boat --out docs").succeeds();
    assert!(run.stderr.contains("warning: skipped files that cannot be read: 1") && !run.stderr.contains("broken.rs"));
    assert!(run.stdout.contains("skipped files        1\n"), "{run:?}");
    let run = folder.run("data rust-docs --source-tree boat --out verbose -v").succeeds();
    assert!(run.stderr.contains("broken.rs`: line 1: "), "{run:?}");
}

#[test]
fn the_documentation_goes_on_as_input() {
    let folder = Folder::new();
    write_crate(&folder, "boat");
    folder.run("data rust-docs --source-tree boat --out docs").succeeds();
    folder.run("tokenizer train --input docs/documents.jsonl --vocab-size 60 --out tokenizer").succeeds();
    let line = "data build --input docs/documents.jsonl --group-column group --tokenizer tokenizer --out corpus";
    assert_eq!(folder.run(&format!("{line} --format json")).succeeds().json()["sentences"], 4);
    let line = "data split --input docs/items.jsonl --label-column label --group-column group --test 0 --out parts";
    folder.run(line).succeeds();
}
