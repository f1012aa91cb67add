//! Collecting whole trees and graphs.

use std::path::Path;

use burnformer_core::progress::Silent;
use tempfile::TempDir;

use super::*;
use crate::Record;
use crate::source::{BytesRead, OnBadRow, Skipped, Source};

/// A folder with these files.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn source_tree(folder: &Path) -> RustDocs {
    RustDocs::new(Crates::SourceTree { folder: folder.to_owned() })
}

fn collect(files: &[(&str, &str)]) -> Collection {
    let folder = tree(files);
    source_tree(folder.path()).collect(&Silent).unwrap()
}

fn rust_docs_error(settings: &RustDocs) -> RustDocsError {
    match settings.collect(&Silent) {
        Err(DataError::RustDocs(error)) => error,
        other => panic!("expected an error of this module, found {other:?}"),
    }
}

/// (crate, end of the path, text) of every paragraph.
fn texts(collection: &Collection) -> Vec<(&str, String, &str)> {
    collection
        .crates
        .iter()
        .flat_map(|docs| {
            docs.paragraphs().map(|(file, paragraph)| {
                let name = file.path.file_name().unwrap().to_string_lossy().into_owned();
                (docs.name.as_str(), name, paragraph.text.as_str())
            })
        })
        .collect()
}

/// The texts alone.
fn lines(collection: &Collection) -> Vec<&str> {
    texts(collection).into_iter().map(|(.., text)| text).collect()
}

const MANIFEST_A: &str =
    "[package]\nname = \"a\"\nversion = \"1.0.0\"\nrepository = \"https://example.com/x/y/tree/main/a\"";
const MANIFEST_B: &str = "[package]\nname = \"b\"\nversion = \"2.0.0\"\nrepository = \"https://example.com/x/y.git\"";

#[test]
fn the_readme_comes_first_then_source_then_guides() {
    let collection = collect(&[
        ("Cargo.toml", MANIFEST_A),
        ("GUIDE.md", "This is the guide at the top."),
        ("README.md", "This is the readme of it."),
        ("docs/a.md", "This is the guide below."),
        ("src/a.rs", "//! This is the first module."),
        ("src/b/mod.rs", "//! This is the second module."),
        ("src/c.md", "This stands beside the source."),
    ]);
    let names: Vec<_> = texts(&collection).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["README.md", "a.rs", "mod.rs", "GUIDE.md", "a.md", "c.md"]);
}

#[test]
fn files_that_are_not_about_the_code_are_left_out() {
    let text = "//! This should not be read.";
    let markdown = "This should not be read.";
    let collection = collect(&[
        ("Cargo.toml", MANIFEST_A),
        ("src/lib.rs", "//! This should be read."),
        ("CHANGELOG.md", markdown),
        ("LICENSE-MIT.md", markdown),
        ("CODE_OF_CONDUCT.md", markdown),
        ("Code-of-Conduct.md", markdown),
        ("docs/CONTRIBUTING.md", markdown),
        ("build.rs", text),
        ("tests/a.rs", text),
        ("benches/a.rs", text),
        ("examples/a.rs", text),
        ("src/tests/a.rs", text),
        ("src/vendor/a.rs", text),
        ("src/.hidden/a.rs", text),
        ("src/.hidden.rs", text),
        ("target/doc/a.md", markdown),
        (".github/a.md", markdown),
    ]);
    assert_eq!(lines(&collection), ["This should be read."]);
}

#[test]
fn every_manifest_with_a_package_is_a_crate_and_the_rest_is_one_more() {
    let collection = collect(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"*\"]\n[workspace.package]\nversion = \"3.1.0\""),
        ("README.md", "This is about the workspace."),
        ("book/start.md", "This is where to start."),
        ("b/Cargo.toml", "[package]\nname = \"b\"\nversion.workspace = true"),
        ("b/src/lib.rs", "//! This is the crate b."),
        ("b/src/inner/Cargo.toml", MANIFEST_A),
        ("b/src/inner/src/lib.rs", "//! This is the crate a."),
        ("loose/tool.rs", "//! This belongs to no crate."),
        ("target/package/Cargo.toml", MANIFEST_B),
        ("target/package/src/lib.rs", "//! This was built."),
    ]);
    let found = texts(&collection);
    let names: Vec<_> = collection.crates.iter().map(|docs| (docs.name.as_str(), docs.version.as_deref())).collect();
    assert!(names.contains(&("a", Some("1.0.0"))) && names.contains(&("b", Some("3.1.0"))), "{names:?}");
    assert_eq!(names.len(), 3);
    let of = |name: &str| found.iter().filter(|text| text.0 == name).map(|text| text.2).collect::<Vec<_>>();
    assert_eq!(of("a"), ["This is the crate a."]);
    assert_eq!(of("b"), ["This is the crate b."]);
    let rest = &collection.crates.iter().find(|docs| docs.version.is_none()).unwrap().name;
    assert_eq!(of(rest), ["This is about the workspace.", "This belongs to no crate.", "This is where to start."]);
}

#[test]
fn a_paragraph_is_kept_where_it_is_read_first() {
    let collection = collect(&[
        ("b/Cargo.toml", MANIFEST_B),
        ("b/src/lib.rs", "//! This is said  TWICE here.\n//!\n//! This is new here.\n//!\n//! This is new\n//! here."),
        ("a/Cargo.toml", MANIFEST_A),
        ("a/src/lib.rs", "//! This is said twice here."),
    ]);
    let found: Vec<_> = texts(&collection).into_iter().map(|(name, _, text)| (name, text)).collect();
    assert_eq!(found, [("a", "This is said twice here."), ("b", "This is new here.")]);
}

#[test]
fn a_crate_is_cut_at_the_first_paragraph_that_does_not_fit() {
    let folder = tree(&[
        ("a/Cargo.toml", MANIFEST_A),
        ("a/README.md", "These are 22 bytes, no.\n\nThese are 22 bytes, ok.\n\nThese are too many.\n\nA last one."),
        ("b/Cargo.toml", MANIFEST_B),
        ("b/README.md", "These are too many."),
    ]);
    let settings = RustDocs { max_bytes_per_crate: 46, ..source_tree(folder.path()) };
    let collection = settings.collect(&Silent).unwrap();
    // What did not fit into one crate is new in the next.
    let found: Vec<_> = texts(&collection).into_iter().map(|(name, _, text)| (name, text)).collect();
    let expected = [("a", "These are 22 bytes, no."), ("a", "These are 22 bytes, ok."), ("b", "These are too many.")];
    assert_eq!(found, expected);
}

#[test]
fn no_bytes_per_crate_are_refused() {
    let settings = RustDocs { max_bytes_per_crate: 0, ..source_tree(Path::new(".")) };
    let error = settings.collect(&Silent).unwrap_err();
    assert_eq!(error.to_string(), "`max_bytes_per_crate` is 0, expected at least 1");
}

#[test]
fn documents_are_files_with_their_repository() {
    let folder = tree(&[
        ("a/Cargo.toml", MANIFEST_A),
        ("a/src/lib.rs", "\n\n//! This is a crate.\n//!\n//! It has more to say.\n\n/// Does the thing.\nfn f() {}"),
        ("b/Cargo.toml", MANIFEST_B),
        ("b/src/lib.rs", "//! This is another crate."),
    ]);
    let documents = source_tree(folder.path()).collect(&Silent).unwrap().documents();
    let names: Vec<_> = documents.parts().iter().map(|part| (part.name.as_str(), part.bytes)).collect();
    assert_eq!(names, [("a 1.0.0", 16 + 19 + 15), ("b 2.0.0", 22)]);
    let records: Vec<_> = documents.read(0, &BytesRead::default()).map(Result::unwrap).collect();
    let path = folder.path().join("a/src/lib.rs");
    let record = Record::new("This is a crate.\nIt has more to say.\nDoes the thing.".into(), Arc::from(path), 3);
    assert_eq!(records, [Record { group: Some("https://example.com/x/y".into()), ..record }]);
    assert_eq!(documents.read(1, &BytesRead::default()).next().unwrap().unwrap().group, records[0].group);
}

#[test]
fn items_are_first_paragraphs_with_their_kind() {
    let items = collect(&[
        ("Cargo.toml", MANIFEST_A),
        ("README.md", "This is a crate.\n\nThis is only a readme."),
        (
            "src/lib.rs",
            "//! This is a crate.\n//!\n//! It has more to say.\n\n/// Does the thing.\n///\n/// # Errors\n/// If it fails.\n\
             fn f() {}\n\n/// The thing itself.\nstruct S {\n    /// Part of it.\n    a: u8,\n}\n",
        ),
    ])
    .items();
    let records: Vec<_> = items
        .read(0, &BytesRead::default())
        .map(Result::unwrap)
        .map(|record| (record.class().unwrap().to_owned(), record.line, record.text))
        .collect();
    let expected = [
        // Where the text was read first, which is in the README.
        ("mod", 1, "This is a crate."),
        ("fn", 5, "Does the thing."),
        ("struct", 11, "The thing itself."),
        ("field", 13, "Part of it."),
    ];
    assert_eq!(records, expected.map(|(label, line, text)| (label.to_owned(), line, text.to_owned())));
}

#[test]
fn a_text_for_different_kinds_is_no_item_but_stays_in_the_document() {
    let collection = collect(&[
        ("a/Cargo.toml", MANIFEST_A),
        ("a/src/lib.rs", "/// The same for both.\nstruct S;\n/// The same for two.\nfn f() {}"),
        ("b/Cargo.toml", MANIFEST_B),
        ("b/src/lib.rs", "/// The same for both.\nenum E {}\n/// The same for two.\nfn g() {}"),
    ]);
    assert_eq!(lines(&collection), ["The same for both.", "The same for two."]);
    let items: Vec<_> = collection.items().read(0, &BytesRead::default()).map(|record| record.unwrap().text).collect();
    assert_eq!(items, ["The same for two."]);
}

#[test]
fn a_file_that_is_no_rust_is_a_bad_row_and_the_rest_is_read() {
    let folder = tree(&[
        ("Cargo.toml", MANIFEST_A),
        ("src/a.rs", "fn f() {}\nfn {{ no_name }}() {}"),
        ("src/b.rs", "//! This is read all the same."),
    ]);
    fs::write(folder.path().join("src/c.rs"), b"//! \xff").unwrap();
    let documents = source_tree(folder.path()).collect(&Silent).unwrap().documents();
    let rows: Vec<_> = documents.read(0, &BytesRead::default()).collect();
    assert_eq!(rows[0].as_ref().unwrap().text, "This is read all the same.");
    let errors: Vec<_> = rows[1..].iter().map(|row| row.as_ref().unwrap_err().to_string()).collect();
    let at = |name: &str| folder.path().join("src").join(name).display().to_string();
    assert_eq!(errors[0], format!("cannot read `{}`: line 2: expected identifier", at("a.rs")));
    assert_eq!(errors[1], format!("cannot read `{}`: it is not valid UTF-8", at("c.rs")));
    assert_eq!(errors.len(), 2);
    let mut skipped = Skipped::default();
    let kept = rows.into_iter().filter_map(|row| skipped.filter(OnBadRow::Skip, row).unwrap()).count();
    assert_eq!((kept, skipped.rows), (1, 2));
}

#[test]
fn a_generated_file_is_left_out_and_named() {
    let huge = format!("//! This is too much.\n{}", "// 3456789\n".repeat(200_000));
    let collection =
        collect(&[("Cargo.toml", MANIFEST_A), ("README.md", "This is the readme of it."), ("src/lib.rs", &huge)]);
    assert_eq!(lines(&collection), ["This is the readme of it."]);
    assert!(collection.crates[0].too_large[0].ends_with("src/lib.rs"));
    assert_eq!(collection.crates[0].bad_files, []);
}

#[test]
fn a_folder_that_is_missing_or_has_nothing_to_read_is_an_error() {
    let folder = tree(&[("Cargo.toml", MANIFEST_A), ("src/lib.rs", "fn f() {}")]);
    let missing = folder.path().join("missing");
    for settings in [source_tree(&missing), RustDocs::new(Crates::Dependencies { manifest: missing.clone() })] {
        assert_eq!(rust_docs_error(&settings).to_string(), format!("`{}` does not exist", missing.display()));
    }
    let expected = format!("no documentation in `{}`, expected crates with text in English", folder.path().display());
    assert_eq!(rust_docs_error(&source_tree(folder.path())).to_string(), expected);
}

/// A project with a dependency that lies beside its workspace, and with a lock file.
fn project() -> TempDir {
    let package = "[[package]]\nname = \"helper\"\nversion = \"0.3.0\"\n";
    tree(&[
        (
            "app/Cargo.toml",
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\n[dependencies]\nhelper = { path = \"../helper\" }\n",
        ),
        (
            "app/Cargo.lock",
            &format!(
                "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"helper\",\n]\n\n{package}"
            ),
        ),
        ("app/src/lib.rs", "//! This is the project itself."),
        (
            "helper/Cargo.toml",
            "[package]\nname = \"helper\"\nversion = \"0.3.0\"\nrepository = \"https://example.com/h.git\"\n",
        ),
        ("helper/src/lib.rs", "//! This helps the project."),
    ])
}

#[test]
fn the_dependencies_of_a_project_are_read_without_its_own_crates() {
    let folder = project();
    let manifest = folder.path().join("app/Cargo.toml");
    let collection = RustDocs::new(Crates::Dependencies { manifest }).collect(&Silent).unwrap();
    assert_eq!(lines(&collection), ["This helps the project."]);
    let CrateDocs { name, version, repository, .. } = &collection.crates[0];
    assert_eq!(
        (name.as_str(), version.as_deref(), repository.as_str()),
        ("helper", Some("0.3.0"), "https://example.com/h")
    );
}

#[test]
fn what_cargo_refuses_is_said_with_a_way_out() {
    let folder = project();
    let manifest = folder.path().join("app/Cargo.toml");
    let settings = RustDocs::new(Crates::Dependencies { manifest: manifest.clone() });

    fs::remove_file(folder.path().join("app/Cargo.lock")).unwrap();
    let error = rust_docs_error(&settings);
    let text = error.to_string();
    assert!(text.contains("metadata") && text.contains(&*manifest.to_string_lossy()), "{text}");
    assert_eq!(error.hint(), Some("run `cargo generate-lockfile` in that project first"));
    assert!(!error.is_bad_row());

    fs::write(&manifest, "[package").unwrap();
    let error = rust_docs_error(&settings);
    assert!(error.to_string().contains("Cargo.toml"), "{error}");
    assert_eq!(error.hint(), None);
}

#[test]
fn missing_source_is_hinted_at() {
    let stderr = "error: failed to download `x v1.0.0`\n\nCaused by:\n  attempting to make an HTTP request, but --offline was specified\n";
    let (command, manifest) = ("cargo metadata".to_owned(), PathBuf::from("Cargo.toml"));
    let error = RustDocsError::Metadata { command, manifest, stderr: stderr.to_owned() };
    assert!(error.hint().unwrap().contains("`cargo fetch --locked`"));
    assert!(error.to_string().ends_with("--offline was specified"), "{error}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let files: Vec<_> = (0..90)
        .map(|crate_| {
            let manifest = format!("[package]\nname = \"c{}\"\nversion = \"0.{crate_}.0\"", crate_ % 7);
            (crate_, manifest)
        })
        .flat_map(|(crate_, manifest)| {
            let source = |file: usize| {
                let item = |n: usize| {
                    format!("/// This is text {} of many.\nfn f{n}() {{}}\n", (crate_ * 31 + file * 17 + n) % 500)
                };
                (format!("{crate_}/src/{file}.rs"), (0..10).map(item).collect::<String>())
            };
            [(format!("{crate_}/Cargo.toml"), manifest)].into_iter().chain((0..4).map(source)).collect::<Vec<_>>()
        })
        .collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let folder = tree(&files);
    let settings = RustDocs { max_bytes_per_crate: 300, ..source_tree(folder.path()) };
    let collect = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| settings.collect(&Silent).unwrap())
    };
    let (one, four) = (collect(1), collect(4));
    assert_eq!(one, four);
    assert_eq!(one.hash(), four.hash());
}

#[test]
fn the_hash_and_the_fingerprint_depend_on_the_text_but_not_on_the_place() {
    let files = [("a/Cargo.toml", MANIFEST_A), ("a/src/lib.rs", "//! This is a crate.")];
    let moved = collect(&files).hash();
    assert_eq!(moved, collect(&files).hash());
    assert_eq!(moved.len(), 32);
    let changed = [files[0], ("a/src/lib.rs", "//! This is a crate!")];
    assert_ne!(moved, collect(&changed).hash());
    let fingerprint = |files: &[(&str, &str)]| collect(files).documents().fingerprint(0, &mut |_| Ok(())).unwrap();
    assert_eq!(fingerprint(&files), fingerprint(&files));
    assert_ne!(fingerprint(&files), fingerprint(&changed));
}

#[test]
fn settings_are_written_as_a_table() {
    let text = "{ \"crates\": { \"from\": \"dependencies\", \"manifest\": \"Cargo.toml\" } }";
    let settings: RustDocs = serde_json::from_str(text).unwrap();
    assert_eq!(settings, RustDocs::new(Crates::Dependencies { manifest: "Cargo.toml".into() }));
    let again: RustDocs = serde_json::from_str(&serde_json::to_string(&settings).unwrap()).unwrap();
    assert_eq!(again, settings);
    for wrong in
        ["{ \"crates\": { \"from\": \"source-tree\", \"manifest\": \"a\" } }", "{ \"crates\": { \"from\": \"web\" } }"]
    {
        serde_json::from_str::<RustDocs>(wrong).unwrap_err();
    }
}
