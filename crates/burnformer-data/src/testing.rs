//! What the tests of this crate share: sources in memory, and corpora of which every token tells where it stands.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use burnformer_core::progress::{Interrupt, Interrupted, Silent};
use tempfile::TempDir;

use crate::corpus::{Corpus, CorpusBuilder, Tokenization};
use crate::readers::{Place, ReadError};
use crate::sentences::SentenceSplitter;
use crate::source::{BytesRead, Part, RecordReader, Source};
use crate::tokenizer::Tokenizer;
use crate::{DataError, Record, TaggedWord, Target};

/// Number of special tokens at the beginning of [`tokenizer`]'s vocabulary.
pub(crate) const FIRST_WORD: u32 = 5;

/// A WordPiece tokenizer for the words `t0`, `t1`, … and the continuation `##s`, the last entry.
pub(crate) fn tokenizer(n_words: u32) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let mut vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n".to_owned();
    for word in 0..n_words {
        writeln!(vocab, "t{word}").unwrap();
    }
    vocab.push_str("##s\n");
    std::fs::write(folder.path().join("vocab.txt"), vocab).unwrap();
    Tokenizer::load(folder.path().join("vocab.txt")).unwrap()
}

/// A source in memory: parts with rows, good ones and bad ones (`None`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    parts: Vec<Part>,
    rows: Vec<Vec<Option<Record>>>,
}

impl Memory {
    pub(crate) fn new(parts: Vec<Vec<Option<Record>>>) -> Self {
        let describe = |(number, rows): (usize, &Vec<Option<Record>>)| Part {
            name: format!("part {number}"),
            bytes: rows.iter().flatten().map(|record| record.text.len() as u64).sum(),
        };
        Self { parts: parts.iter().enumerate().map(describe).collect(), rows: parts }
    }

    /// One part with these records.
    pub(crate) fn of(records: Vec<Record>) -> Self {
        Self::new(vec![records.into_iter().map(Some).collect()])
    }
}

impl Source for Memory {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn read(&self, part: usize, _bytes: &BytesRead) -> RecordReader {
        let path: Arc<Path> = Path::new("memory").into();
        let rows = self.rows[part].clone().into_iter().zip(1..);
        Box::new(rows.map(move |(row, line)| row.ok_or_else(|| bad_row(&path, line))))
    }

    fn fingerprint(&self, part: usize, tick: &mut dyn FnMut(u64) -> Result<(), Interrupted>) -> Result<u64, DataError> {
        tick(self.parts[part].bytes)?;
        Ok(twox_hash::XxHash3_64::oneshot(format!("{:?}", self.rows[part]).as_bytes()))
    }
}

fn bad_row(path: &Arc<Path>, line: u64) -> DataError {
    ReadError::Nul { at: Place::new(path, "line", line), byte: 1 }.into()
}

/// A document of sentences.
pub(crate) fn record(sentences: &[impl AsRef<str>]) -> Record {
    let text = sentences.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("\n");
    Record::new(text, Path::new("memory").into(), 1)
}

/// A sentence of words with a tag each, as in `Anna:B-PER sings:O`.
pub(crate) fn tagged(words: &str) -> Record {
    let (mut text, mut tags) = (String::new(), Vec::new());
    for (word, tag) in words.split(' ').map(|word| word.split_once(':').unwrap()) {
        let start = text.len();
        text.push_str(word);
        tags.push(TaggedWord { span: start..text.len(), tag: tag.to_owned() });
        text.push(' ');
    }
    Record { target: Some(Target::Tags(tags)), ..record(&[text.trim_end()]) }
}

/// A corpus on the disk that goes when this is dropped.
pub(crate) struct Built {
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) tokenizer: Tokenizer,
    _folder: TempDir,
}

/// Builds a corpus in which every line of a record is a sentence.
pub(crate) fn build(records: Vec<Record>, tokenizer: Tokenizer) -> Built {
    let folder = tempfile::tempdir().unwrap();
    let tokenization =
        Tokenization { tokenizer: tokenizer.clone(), pair_tokenizer: None, sentences: SentenceSplitter::whole() };
    let builder = CorpusBuilder::new(Arc::new(Memory::of(records)), tokenization).threads(2);
    let outcome = builder.build(folder.path(), &Silent, &Interrupt::new()).unwrap();
    Built { corpus: Arc::new(outcome.corpus), tokenizer, _folder: folder }
}

/// A corpus in which no word occurs twice: `shape[d][s]` is the number of tokens of sentence `s` of document `d`, and the
/// words are numbered through, so that a token tells where it stands.
pub(crate) fn numbered(shape: &[Vec<usize>]) -> Built {
    let mut words = 0..;
    let mut sentence =
        |n: &usize| words.by_ref().take(*n).map(|word: u32| format!("t{word}")).collect::<Vec<_>>().join(" ");
    let records =
        shape.iter().map(|document| record(&document.iter().map(&mut sentence).collect::<Vec<_>>())).collect();
    build(records, tokenizer(words.start))
}

/// All documents of a corpus.
pub(crate) fn all(corpus: &Corpus) -> Vec<u32> {
    (0..corpus.n_documents()).collect()
}
