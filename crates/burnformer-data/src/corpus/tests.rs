//! Corpora survive what happens to files and builds.

use std::fs;
use std::sync::Arc;

use burnformer_core::progress::{Interrupt, Progress, Silent, Stage, Unit};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::Record;
use crate::datasets::{Dataset as _, TextPairDataset, TextPairsConfig};
use crate::sentences::SentenceSplitter;
use crate::source::OnBadRow;
use crate::testing::{FIRST_WORD, Memory, all, build, numbered, record, tokenizer};

fn tokenization(n_words: u32) -> Tokenization {
    Tokenization { tokenizer: tokenizer(n_words), pair_tokenizer: None, sentences: SentenceSplitter::whole() }
}

fn builder(source: Memory) -> CorpusBuilder {
    CorpusBuilder::new(Arc::new(source), tokenization(100)).threads(2)
}

fn run(builder: &CorpusBuilder, folder: &Path) -> Result<Outcome, DataError> {
    builder.build(folder, &Silent, &Interrupt::new())
}

/// `n` documents of two sentences.
fn documents(n: u32) -> Vec<Record> {
    (0..n).map(|i| record(&[format!("t{} t1 t2", i % 90), format!("t{} t4", (i * 7) % 90)])).collect()
}

/// `n` parts of `per_part` documents.
fn parts(n: u32, per_part: u32) -> Memory {
    Memory::new((0..n).map(|_| documents(per_part).into_iter().map(Some).collect()).collect())
}

/// The names and contents of all files of a corpus but the lock.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name != ".lock")
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn sentences(corpus: &Corpus) -> Vec<Vec<Vec<u32>>> {
    let of = |index| {
        let document = corpus.document(index).unwrap();
        (0..document.n_sentences()).map(|n| document.sentence(n).unwrap()).collect()
    };
    all(corpus).into_iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_built_is_read_again(
        texts in prop::collection::vec(prop::collection::vec(prop::collection::vec(0_u32..70_000, 1..8), 1..6), 1..12),
        shard_tokens in 1_usize..40,
        n_threads in 1_usize..4,
        wide: bool,
    ) {
        // Beyond 65,536 entries of the vocabulary an id takes four bytes.
        let n_words = if wide { 70_000 } else { 300 };
        let texts: Vec<Vec<Vec<u32>>> =
            texts.iter().map(|d| d.iter().map(|s| s.iter().map(|id| id % n_words).collect()).collect()).collect();
        let line = |ids: &Vec<u32>| ids.iter().map(|id| format!("t{id}")).collect::<Vec<_>>().join(" ");
        let records = texts.iter().map(|d| Some(record(&d.iter().map(line).collect::<Vec<_>>()))).collect::<Vec<_>>();
        let source = Memory::new(records.chunks(3).map(<[_]>::to_vec).collect());
        let folder = tempfile::tempdir().unwrap();
        let builder = CorpusBuilder::new(Arc::new(source), tokenization(n_words)).threads(n_threads).shard_tokens(shard_tokens);
        let corpus = run(&builder, folder.path()).unwrap().corpus;
        corpus.verify().unwrap();
        let expected: Vec<Vec<Vec<u32>>> =
            texts.iter().map(|d| d.iter().map(|s| s.iter().map(|id| id + FIRST_WORD).collect()).collect()).collect();
        prop_assert_eq!(sentences(&corpus), expected);
        let counts = corpus.manifest().counts();
        prop_assert_eq!(counts.tokens as usize, texts.iter().flatten().map(Vec::len).sum::<usize>());
        prop_assert_eq!(counts.sentences as usize, texts.iter().map(Vec::len).sum::<usize>());
    }
}

#[test]
fn a_build_does_not_depend_on_the_number_of_threads() {
    let [one, three] = [1, 3].map(|n_threads| {
        let folder = tempfile::tempdir().unwrap();
        run(&builder(parts(5, 700)).threads(n_threads).shard_tokens(4000), folder.path()).unwrap();
        files(folder.path())
    });
    assert!(one.len() > 4, "{} files", one.len());
    assert!(one == three);
}

/// Requests the interrupt when so many tokens are announced.
struct StopAt(u64, Interrupt);

impl Progress for StopAt {
    fn stage(&self, _: &str, _: Option<u64>, _: Unit) -> Box<dyn Stage> {
        Box::new(Self(self.0, self.1.clone()))
    }
}

impl Stage for StopAt {
    fn advance(&self, _: u64) {}

    fn message(&self, text: &str) {
        if text.split(' ').next().unwrap().parse::<u64>().unwrap() >= self.0 {
            self.1.request();
        }
    }
}

#[test]
fn an_interrupted_build_goes_on_and_gives_the_same_files() {
    let whole = tempfile::tempdir().unwrap();
    let builder = builder(parts(8, 500)).shard_tokens(4000);
    run(&builder, whole.path()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let mut n_interruptions = 0;
    let mut tokens = 0;
    let outcome = loop {
        let interrupt = Interrupt::new();
        match builder.build(folder.path(), &StopAt(tokens + 6000, interrupt.clone()), &interrupt) {
            Ok(outcome) => break outcome,
            Err(DataError::Interrupted(_)) => n_interruptions += 1,
            Err(error) => panic!("{error}"),
        }
        let error = Corpus::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("incomplete: run the same build again"), "{error}");
        tokens = Manifest::load(folder.path()).unwrap().unwrap().counts().tokens;
    };
    assert!(n_interruptions >= 2, "{n_interruptions} interruptions");
    assert_eq!(outcome.resumed_tokens, tokens);
    assert!(files(folder.path()) == files(whole.path()));
}

#[test]
fn a_build_is_reused_until_something_changes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!run(&builder(parts(2, 10)), folder.path()).unwrap().reused);
    assert!(run(&builder(parts(2, 10)).threads(1), folder.path()).unwrap().reused);
    assert!(!run(&builder(parts(2, 11)), folder.path()).unwrap().reused, "other sources");
    assert!(!run(&builder(parts(2, 11)).on_bad_row(OnBadRow::Skip), folder.path()).unwrap().reused, "another policy");
    let other = CorpusBuilder::new(Arc::new(parts(2, 11)), tokenization(101));
    assert!(!run(&other, folder.path()).unwrap().reused, "another tokenizer");
    assert_eq!(files(folder.path()).iter().filter(|(name, _)| name.starts_with("shard")).count(), 1);
    fs::remove_file(shard_path(folder.path(), 0)).unwrap();
    assert!(!run(&other, folder.path()).unwrap().reused, "a shard is missing");
}

#[test]
fn a_corpus_stays_until_the_one_that_replaces_it_is_complete() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("corpus");
    run(&builder(parts(2, 500)), &folder).unwrap();
    fs::write(folder.join(".gitignore"), "*").unwrap();
    let old = files(&folder);

    // What fails, before or behind the first shard.
    let bad = |before: u32| {
        let mut rows: Vec<_> = documents(before).into_iter().map(Some).collect();
        rows.push(None);
        builder(Memory::new(vec![rows])).shard_tokens(1000)
    };
    for before in [1, 5000] {
        assert!(run(&bad(before), &folder).unwrap_err().is_bad_row());
        assert!(files(&folder) == old);
    }
    let empty = builder(Memory::of(vec![record(&["", " "])]));
    assert!(matches!(run(&empty, &folder).unwrap_err(), DataError::Corpus(CorpusError::Empty { .. })));
    assert!(files(&folder) == old);

    // What is interrupted goes on.
    let new = builder(parts(8, 500)).shard_tokens(4000);
    let interrupt = Interrupt::new();
    let error = new.build(&folder, &StopAt(9000, interrupt.clone()), &interrupt).unwrap_err();
    assert!(matches!(error, DataError::Interrupted(_)), "{error}");
    assert!(files(&folder) == old);
    let unfinished = unfinished_build(&folder).unwrap();
    assert_eq!(unfinished.file_name().unwrap(), ".corpus.building");
    let tokens = Manifest::load(&unfinished).unwrap().unwrap().counts().tokens;
    let outcome = run(&new, &folder).unwrap();
    assert!(tokens > 0 && outcome.resumed_tokens == tokens, "{tokens} tokens");
    assert!(unfinished_build(&folder).is_none());

    // All that is left is the new corpus, and what others had put beside the old one.
    let whole = tempfile::tempdir().unwrap();
    run(&new, whole.path()).unwrap();
    fs::write(whole.path().join(".gitignore"), "*").unwrap();
    assert!(files(&folder) == files(whole.path()));
    let names: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["corpus"]);
}

#[test]
fn a_corpus_that_was_replaced_by_a_killed_build_is_removed() {
    let place = tempfile::tempdir().unwrap();
    let (folder, replaced) = (place.path().join("corpus"), place.path().join(".corpus.building"));
    let new = builder(parts(2, 10));
    for is_torn in [false, true] {
        run(&builder(parts(1, 10)), &replaced).unwrap();
        if is_torn {
            fs::remove_file(replaced.join("corpus.json")).unwrap();
        }
        run(&new, &folder).unwrap();
        run(&new, &folder).unwrap();
        assert!(!replaced.exists());
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_a_corpus_stays_a_link() {
    let place = tempfile::tempdir().unwrap();
    let (folder, link) = (place.path().join("corpus"), place.path().join("link"));
    std::os::unix::fs::symlink("corpus", &link).unwrap();
    for n in [1, 2] {
        assert!(!run(&builder(parts(n, 10)), if n == 1 { &folder } else { &link }).unwrap().reused);
    }
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("corpus"));
    assert!(run(&builder(parts(2, 10)), &folder).unwrap().reused);
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "years of work").unwrap();
    let error = run(&builder(parts(1, 1)), folder.path()).unwrap_err();
    assert!(error.to_string().contains("holds other files (`thesis.tex`)"), "{error}");
    assert_eq!(files(folder.path()), [("thesis.tex".to_owned(), b"years of work".to_vec())]);
}

#[test]
fn a_build_that_fails_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("corpus");
    let bad = Memory::new(vec![vec![Some(record(&["t1"])), None]]);
    let error = run(&builder(bad), &folder).unwrap_err();
    assert!(error.is_bad_row(), "{error}");
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(!folder.exists());

    let error = run(&builder(Memory::of(vec![record(&["", " "])])), &folder).unwrap_err();
    assert_eq!(error.to_string(), "the corpus has no text: 1 records without a token, 0 rows skipped");
    assert!(!folder.exists());
}

#[test]
fn bad_rows_and_empty_records_are_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let rows = vec![None, Some(record(&["t1"])), Some(record(&[""])), None, Some(record(&["t2 oov", "t3"]))];
    let outcome = run(&builder(Memory::new(vec![rows])).on_bad_row(OnBadRow::Skip), folder.path()).unwrap();
    let manifest = outcome.corpus.manifest();
    assert_eq!((manifest.skipped_rows, manifest.empty_records, manifest.unknown_tokens), (2, 1, 1));
    assert_eq!(outcome.skipped.rows, 2);
    assert!(outcome.skipped.examples[1].to_string().contains("line 4"), "{}", outcome.skipped.examples[1]);
    assert_eq!(sentences(&outcome.corpus), [vec![vec![6]], vec![vec![7, 1], vec![8]]]);
}

#[test]
fn labels_groups_pairs_and_contents_are_kept() {
    let labelled = |text: &str, label: &str, group: Option<&str>| Record {
        target: Some(crate::Target::Class(label.to_owned())),
        group: group.map(str::to_owned),
        ..record(&[text])
    };
    let pair = Record { pair: Some("t4 t5".to_owned()), ..record(&["t3"]) };
    let built = build(
        vec![labelled("t1", "b", Some("x")), labelled("t2", "a", None), labelled("t1", "b", Some("x")), pair],
        tokenizer(10),
    );
    let [first, second, third, pair] = [0, 1, 2, 3].map(|index| built.corpus.document(index).unwrap());
    assert_eq!(built.corpus.manifest().labels, ["b", "a"]);
    assert_eq!([first.label(), second.label(), third.label(), pair.label()], [Some(0), Some(1), Some(0), None]);
    assert_eq!(first.group(), third.group());
    assert!(first.group().is_some() && second.group().is_none());
    assert_eq!(first.content(), third.content());
    assert_ne!(first.content(), second.content());
    assert_eq!(pair.sentence(1).unwrap(), [9, 10]);
}

#[test]
fn a_list_of_labels_is_not_left_out_in_silence() {
    let target = crate::Target::Labels { labels: vec!["a".to_owned()], columns: Vec::new() };
    let source = Memory::of(vec![Record { target: Some(target), ..record(&["t1"]) }]);
    let error = run(&builder(source), TempDir::new().unwrap().path()).unwrap_err().to_string();
    assert!(error.starts_with("line 1 of `memory` has a list of labels, and a corpus keeps one class"), "{error}");
}

#[test]
fn pieces_of_a_document_are_one_document_even_across_shards() {
    let piece = |text: &str, continues| Some(Record { continues, ..record(&[text]) });
    let long = vec![piece("t1", false), piece("t2 t3", true), piece("t4", true), piece("t5", false)];
    // A chunk ends with its part, so that the shard can end inside the document.
    let source = Memory::new(long.into_iter().map(|row| vec![row]).collect());
    let whole = tempfile::tempdir().unwrap();
    let corpus = run(&builder(source.clone()), whole.path()).unwrap().corpus;
    assert_eq!(sentences(&corpus), [vec![vec![6], vec![7, 8], vec![9]], vec![vec![10]]]);
    assert!(!corpus.are_one(0, 1));

    let cut = tempfile::tempdir().unwrap();
    let corpus = run(&builder(source).shard_tokens(2), cut.path()).unwrap().corpus;
    assert_eq!(corpus.n_documents(), 3);
    assert!(corpus.are_one(0, 1) && corpus.are_one(1, 0) && corpus.are_one(2, 2));
    assert!(!corpus.are_one(1, 2) && !corpus.are_one(0, 2));
}

#[test]
fn a_sentence_is_found_by_its_offset() {
    let built = numbered(&[vec![3, 1, 4]]);
    let document = built.corpus.document(0).unwrap();
    let found: Vec<usize> = (0..10).map(|offset| document.sentence_from(offset).unwrap()).collect();
    assert_eq!(found, [0, 1, 1, 1, 2, 3, 3, 3, 3, 3]);
}

/// A corpus of one shard of several blocks.
fn large() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run(&builder(parts(1, 9000)), folder.path()).unwrap();
    folder
}

/// What happens to the bytes of a file.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>);

fn damage(folder: &TempDir, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), DataError> {
    let path = shard_path(folder.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    Corpus::open(folder.path())?.verify()
}

#[test]
fn damage_is_found_and_its_file_named() {
    let folder = large();
    let intact = fs::read(shard_path(folder.path(), 0)).unwrap();
    let length = intact.len();
    let cases: [(&str, Change); 8] = [
        ("is not a shard", &|bytes| bytes.clear()),
        ("is not a shard", &|bytes| bytes[0] ^= 1),
        ("has format version 257, expected 1", &|bytes| bytes[9] ^= 1),
        ("its length is not what its header says", &|bytes| bytes.truncate(length - 1)),
        ("its length is not what its header says", &|bytes| bytes[48] ^= 1),
        ("asks for more than any file can hold", &|bytes| bytes[64..72].fill(0xff)),
        ("the checksum of its header is wrong", &|bytes| bytes[length - 1] ^= 1),
        ("the checksum of a block is wrong", &|bytes| bytes[length / 2] ^= 1),
    ];
    for (expected, change) in cases {
        fs::write(shard_path(folder.path(), 0), &intact).unwrap();
        let error = damage(&folder, |bytes| change(bytes)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} instead of {expected}");
        assert!(error.contains("shard-00000.bin"), "{error}");
    }
}

#[test]
fn every_flipped_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    run(&builder(parts(1, 3)), folder.path()).unwrap();
    let path = shard_path(folder.path(), 0);
    let intact = fs::read(&path).unwrap();
    for place in 0..intact.len() {
        let mut bytes = intact.clone();
        bytes[place] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let result = Corpus::open(folder.path()).and_then(|corpus| corpus.verify());
        assert!(result.is_err(), "byte {place} of {}", intact.len());
    }
}

#[test]
fn a_hostile_shard_with_right_checksums_is_refused() {
    let folder = large();
    let path = shard_path(folder.path(), 0);
    let intact = fs::read(&path).unwrap();
    // Ids of two bytes; 5 tokens, 2 sentences, 3 words for each of 9000 documents.
    let sentences = format::HEADER + 2 * 45_000;
    let documents = sentences + 4 * 18_000;
    let cases: [(&str, usize, &[u8]); 4] = [
        ("outside the vocabulary", format::HEADER + 1000, &[0xff, 0xff]),
        ("not in order", sentences + 4000, &[0xff; 4]),
        ("outside its tokens", documents - 4, &[0xff; 4]),
        ("outside its sentences", documents + 24 * 70 + 16, &[0xff; 4]),
    ];
    for (expected, place, lie) in cases {
        let mut bytes = intact.clone();
        bytes[place..place + lie.len()].copy_from_slice(lie);
        seal(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let error = Corpus::open(folder.path()).unwrap().verify().unwrap_err().to_string();
        assert!(error.contains(expected), "{error} instead of {expected}");
    }
}

/// A map of this file would kill the process.
#[test]
fn a_shard_that_becomes_shorter_while_it_is_read_is_an_error() {
    let folder = large();
    let corpus = Corpus::open(folder.path()).unwrap();
    let file = fs::File::options().write(true).open(shard_path(folder.path(), 0)).unwrap();
    file.set_len(100_000).unwrap();
    let error = corpus.document(8999).unwrap_err().to_string();
    assert!(error.contains("shard-00000.bin` is damaged: it became shorter while it was in use; build"), "{error}");
    assert!(corpus.verify().is_err());
}

#[test]
fn a_shard_that_changes_while_it_is_read_is_an_error_and_a_new_one_in_its_place_is_not() {
    let folder = large();
    let path = shard_path(folder.path(), 0);
    let intact = fs::read(&path).unwrap();
    let corpus = Corpus::open(folder.path()).unwrap();
    fs::rename(&path, folder.path().join("old")).unwrap();
    fs::write(&path, "another corpus").unwrap();
    corpus.verify().unwrap();
    // No more blocks than these are kept, and they are those of the corpus opened first.
    let other = Corpus::open(folder.path()).unwrap_err().to_string();
    assert!(other.contains("is not a shard"), "{other}");
    fs::write(&path, &intact).unwrap();
    let corpus = Corpus::open(folder.path()).unwrap();
    fs::write(&path, vec![0; intact.len()]).unwrap();
    let error = corpus.verify().unwrap_err().to_string();
    assert!(error.contains("the checksum of a block is wrong"), "{error}");
}

#[test]
fn a_folder_in_the_place_of_a_shard_is_named() {
    let folder = large();
    fs::remove_file(shard_path(folder.path(), 0)).unwrap();
    fs::create_dir(shard_path(folder.path(), 0)).unwrap();
    let error = Corpus::open(folder.path()).unwrap_err();
    assert!(error.to_string().ends_with("shard-00000.bin`"), "{error}");
}

/// Tables of all tokens would take gigabytes.
#[test]
fn a_vocabulary_that_the_tokenizer_does_not_have_is_refused() {
    let folder = large();
    for vocab_size in [1 << 30, 107] {
        let manifest = Manifest { vocab_size, ..Manifest::load(folder.path()).unwrap().unwrap() };
        manifest.save(folder.path()).unwrap();
        let mut bytes = fs::read(shard_path(folder.path(), 0)).unwrap();
        bytes[24..32].copy_from_slice(&vocab_size.to_le_bytes());
        seal(&mut bytes);
        fs::write(shard_path(folder.path(), 0), bytes).unwrap();
        let error = Corpus::open(folder.path()).unwrap_err().to_string();
        let expected = format!("is of {vocab_size} tokens, but its tokenizer has 106, build the corpus again");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn the_number_of_a_label_without_a_name_is_refused() {
    let folder = large();
    let path = shard_path(folder.path(), 0);
    let mut bytes = fs::read(&path).unwrap();
    // The label of the first document is the upper half of its last word.
    let label = format::HEADER + 2 * 45_000 + 4 * 18_000 + 20;
    bytes[label..label + 4].copy_from_slice(&(u32::MAX >> 1).to_le_bytes());
    seal(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let corpus = Corpus::open(folder.path()).unwrap();
    let error = corpus.verify().unwrap_err().to_string();
    assert!(error.contains("the number of a label is greater than there are labels"), "{error}");
    assert!(corpus.document(0).is_err());
}

/// The corpus holds ids against the larger vocabulary of the two.
#[test]
fn a_token_of_the_other_vocabulary_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Record { pair: Some("t50".to_owned()), ..record(&["t1"]) };
    let tokenization = Tokenization { pair_tokenizer: Some(tokenizer(100)), ..tokenization(3) };
    run(&CorpusBuilder::new(Arc::new(Memory::of(vec![pair])), tokenization), folder.path()).unwrap();
    let sample = || {
        let corpus = Arc::new(Corpus::open(folder.path()).unwrap());
        TextPairDataset::new(corpus, &[0], 3, &TextPairsConfig::default(), 1).unwrap().sample(0)
    };
    assert_eq!(sample().unwrap().target, [FIRST_WORD + 50, 3]);
    let mut bytes = fs::read(shard_path(folder.path(), 0)).unwrap();
    bytes.copy_within(format::HEADER + 2..format::HEADER + 4, format::HEADER);
    seal(&mut bytes);
    fs::write(shard_path(folder.path(), 0), bytes).unwrap();
    let expected = "a text of the corpus has the token 55, but its tokenizer has only 9 tokens: build the corpus again";
    assert_eq!(sample().unwrap_err().to_string(), expected);
}

/// Makes the checksums right again.
fn seal(bytes: &mut [u8]) {
    let n_blocks = (bytes.len() - format::HEADER).div_ceil(format::BLOCK + format::WORD);
    let body = format::HEADER..bytes.len() - n_blocks * format::WORD;
    let checksums: Vec<u64> = bytes[body.clone()].chunks(format::BLOCK).map(format::checksum).collect();
    bytes[body.end..].copy_from_slice(bytemuck::cast_slice(&checksums));
    let mut words = [0_u64; format::HEADER / format::WORD];
    words.copy_from_slice(bytemuck::cast_slice(&bytes[..format::HEADER]));
    let n = words.len() - 1;
    words[n] = format::checksum_of(&words[..n], &bytes[body.end..]);
    bytes[..format::HEADER].copy_from_slice(bytemuck::cast_slice(&words));
}

#[test]
fn shards_of_another_build_are_refused() {
    let (one, other) = (large(), tempfile::tempdir().unwrap());
    run(&builder(parts(1, 9000)).on_bad_row(OnBadRow::Skip), other.path()).unwrap();
    fs::copy(shard_path(other.path(), 0), shard_path(one.path(), 0)).unwrap();
    let error = Corpus::open(one.path()).unwrap_err();
    assert!(error.to_string().contains("does not belong to this corpus"), "{error}");
}

#[test]
fn a_folder_that_is_no_corpus_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Corpus::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("is not a corpus, it has no `corpus.json`"), "{error}");
    fs::write(folder.path().join("corpus.json"), "{").unwrap();
    let error = Corpus::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("does not describe a corpus"), "{error}");
}

#[test]
fn the_tokenizer_comes_with_the_corpus() {
    let folder = large();
    let corpus = Corpus::open(folder.path()).unwrap();
    assert_eq!(corpus.tokenizer().fingerprint(), tokenizer(100).fingerprint());
    assert!(corpus.pair_tokenizer().is_none());
    tokenizer(7).save(folder.path()).unwrap();
    let error = Corpus::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("built with another tokenizer"), "{error}");
}

#[test]
fn two_builds_do_not_share_a_folder() {
    let folder = large();
    let _lock = burnformer_core::lock::FolderLock::acquire(folder.path()).unwrap();
    let error = run(&builder(parts(1, 1)), folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Lock(_)), "{error}");
}

#[test]
fn tokens_are_counted_in_the_documents_asked_for() {
    let built = numbered(&[vec![2, 3], vec![4], vec![1, 1]]);
    let counts = built.corpus.token_counts(&[0, 2, 2]).unwrap();
    assert_eq!(counts.len(), built.tokenizer.vocab_size());
    let first = FIRST_WORD as usize;
    // Words are numbered through: five in the first document, four in the second, two in the third.
    let expected = [[1; 5].as_slice(), &[0; 4], &[2; 2]].concat();
    assert_eq!(counts[first..first + 11], expected);
    assert_eq!(counts.iter().sum::<u64>(), 9);
    assert_eq!(built.corpus.token_counts(&[]).unwrap().iter().sum::<u64>(), 0);
}
