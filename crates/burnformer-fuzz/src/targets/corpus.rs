//! Folders of tokenised text: their description and their shards.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use burnformer_core::{Interrupt, Silent};
use burnformer_data::corpus::{Corpus, CorpusBuilder, Tokenization};
use burnformer_data::datasets::{PretrainingConfig, PretrainingDataset};
use burnformer_data::readers::{FormatOptions, TextLayout};
use burnformer_data::sentences::{Language, SentenceSplitter};
use burnformer_data::statistics::Statistics;
use burnformer_data::tokenizer::Tokenizer;
use tempfile::TempDir;
use twox_hash::XxHash3_64;

use super::tokenizers::tokenizers;
use crate::Target;
use crate::file::beside;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "corpus_json", run: corpus_json, seeds: || vec![content(DESCRIPTION)] },
    Target { name: "corpus_shard", run: corpus_shard, seeds: || vec![content(SHARD)] },
];

const DESCRIPTION: &str = "corpus.json";
const SHARD: &str = "shard-00000.bin";
/// Bytes of the header of a shard, the last eight of which are its checksum.
const HEADER: usize = 96;
/// Bytes of a checksum.
const CHECKSUM: usize = 8;

fn corpus_json(bytes: &[u8]) {
    changed(DESCRIPTION, bytes);
}

/// As it is, and with the checksums of what it has, as someone would write them who means harm.
fn corpus_shard(bytes: &[u8]) {
    changed(SHARD, bytes);
    if bytes.len() > HEADER + CHECKSUM {
        let mut sealed = bytes.to_vec();
        let end = bytes.len() - CHECKSUM;
        let checksum = XxHash3_64::oneshot(&sealed[HEADER..end]).to_le_bytes();
        sealed[end..].copy_from_slice(&checksum);
        let header = XxHash3_64::oneshot(&[&sealed[..HEADER - CHECKSUM], &checksum].concat()).to_le_bytes();
        sealed[HEADER - CHECKSUM..HEADER].copy_from_slice(&header);
        changed(SHARD, &sealed);
    }
}

/// Reads the corpus with another content of one of its files.
fn changed(file: &str, bytes: &[u8]) {
    beside(file, bytes, |folder| {
        for (other, content) in built() {
            if other != file {
                fs::write(folder.join(other), content).expect("a file for the target");
            }
        }
        use_it(folder);
    });
}

fn use_it(folder: &Path) {
    let Ok(corpus) = Corpus::open(folder) else { return };
    let corpus = Arc::new(corpus);
    let _ = corpus.verify();
    let _ = Statistics::of(&corpus, &Silent, &Interrupt::new());
    let documents: Vec<u32> = (0..corpus.n_documents()).collect();
    let _ = corpus.token_counts(&documents);
    let tokenizer = corpus.tokenizer();
    let config = PretrainingConfig::default();
    let _ = PretrainingDataset::new(Arc::clone(&corpus), &documents, &tokenizer, &config, 1);
}

/// The content of a file of the corpus.
fn content(file: &str) -> Vec<u8> {
    let found = built().iter().find(|(name, _)| name == file);
    found.expect("a file of every corpus").1.clone()
}

/// The files of a small corpus, by name.
fn built() -> &'static [(String, Vec<u8>)] {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = TempDir::new().expect("a folder");
        let text = folder.path().join("a.txt");
        fs::write(&text, "The three. There the.\n\nThree there.\n").expect("a file");
        let vocabulary = folder.path().join("tokenizer.json");
        fs::write(&vocabulary, &tokenizers()[0]).expect("a file");
        let tokenization = Tokenization {
            tokenizer: Tokenizer::load(&vocabulary).expect("a tokenizer"),
            pair_tokenizer: None,
            sentences: SentenceSplitter::new(Language::ENGLISH),
        };
        let options = FormatOptions { layout: Some(TextLayout::BlankLines), ..FormatOptions::default() };
        let input = options.input(&[text.display().to_string()]).expect("an input");
        let out = folder.path().join("corpus");
        let builder = CorpusBuilder::new(Arc::new(input.open().expect("a file")), tokenization).threads(1);
        builder.build(&out, &Silent, &Interrupt::new()).expect("a corpus");
        let files = fs::read_dir(&out).expect("a folder").map(|entry| {
            let entry = entry.expect("a file");
            (entry.file_name().display().to_string(), fs::read(entry.path()).expect("a file"))
        });
        files.collect()
    })
}
