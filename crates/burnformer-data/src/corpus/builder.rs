//! Building a corpus: read, tokenise on all cores, write shard by shard.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burnformer_core::Local;
use burnformer_core::collective::Collective;
use burnformer_core::files::{AtomicFolder, FileError, hidden_beside, remove_leftovers, replace_folder};
use burnformer_core::lock::FolderLock;
use burnformer_core::progress::{Interrupt, Progress, Unit};
use twox_hash::XxHash3_128;

use super::chunks::{Chunk, Chunks};
use super::format::Entry;
use super::helpers::Helpers;
use super::manifest::{is_own_file, shard_path};
use super::tokenized::{Tokenized, Worker};
use super::writer::ShardWriter;
use super::{Corpus, CorpusError, Hash, Manifest, PAIR_FOLDER, Position, Tokenization, open_shards};
use crate::DataError;
use crate::parallel::Ordered;
use crate::source::{OnBadRow, Skipped, Source, fingerprint};

/// How the hidden name ends of the folder in which a corpus is built that replaces another.
const BESIDE: &str = ".building";

/// Tokens after which a shard is full: 16 MiB of a vocabulary of up to 65,536 entries.
const SHARD_TOKENS: usize = 8 << 20;

/// Turns a source into a corpus.
///
/// The result depends on source, tokenizers and policy, not on the number of threads nor on interruptions: every
/// finished shard stays, and building again goes on behind it. Memory is bounded by a shard and a few chunks of 256 KiB
/// to 1 MiB of text a thread, whatever the size of the corpus.
pub struct CorpusBuilder {
    source: Arc<dyn Source>,
    tokenization: Tokenization,
    on_bad_row: OnBadRow,
    shard_tokens: usize,
    n_threads: usize,
}

/// Result of a build.
#[derive(Debug)]
pub struct Outcome {
    /// The corpus, open.
    pub corpus: Corpus,
    /// `true` if the corpus existed already, built from the same sources with the same settings.
    pub reused: bool,
    /// Number of tokens kept from an interrupted build.
    pub resumed_tokens: u64,
    /// Examples of rows skipped in this run; [`Manifest::skipped_rows`] counts those of all runs.
    pub skipped: Skipped,
}

impl CorpusBuilder {
    /// A builder that ends with an error at the first bad row and uses as many threads as all computing.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, tokenization: Tokenization) -> Self {
        Self { source, tokenization, on_bad_row: OnBadRow::Error, shard_tokens: SHARD_TOKENS, n_threads: n_threads() }
    }

    /// Sets the handling of bad rows.
    #[must_use]
    pub fn on_bad_row(mut self, policy: OnBadRow) -> Self {
        self.on_bad_row = policy;
        self
    }

    /// Sets the number of tokenising threads; one more thread reads, and the caller's thread writes.
    #[must_use]
    pub fn threads(mut self, n_threads: usize) -> Self {
        self.n_threads = n_threads.max(1);
        self
    }

    /// Sets the number of tokens after which a shard is full.
    #[must_use]
    pub fn shard_tokens(mut self, n_tokens: usize) -> Self {
        self.shard_tokens = n_tokens.clamp(1, 1 << 30);
        self
    }

    /// Builds the corpus in `folder`, continues a build that was interrupted there, or reuses the corpus if nothing
    /// it depends on has changed. A corpus of other sources in that folder is replaced when the new one is complete: until
    /// then the new one lies beside it, under a hidden name, and a build that is interrupted continues there.
    ///
    /// # Errors
    /// - of the source, unless the policy skips them; the shards finished by then stay, for the next try;
    /// - [`CorpusError::Occupied`] if the folder holds anything but a corpus;
    /// - [`CorpusError::Empty`] if there is no text;
    /// - [`DataError::Interrupted`], with the finished shards left in place;
    /// - [`DataError::Lock`] if another process builds there.
    pub fn build(&self, folder: &Path, progress: &dyn Progress, interrupt: &Interrupt) -> Result<Outcome, DataError> {
        self.build_here(folder, &Helpers::new(&Local), progress, interrupt)
    }

    /// As [`Self::build`], on rank 0 of `collective`, while the others [help](Self::help) to tokenise. The corpus is that of one
    /// process. Rank 0 holds a few chunks for each thread of each process.
    ///
    /// # Errors
    /// As there; if another process fails.
    pub fn build_together(
        &self,
        folder: &Path,
        collective: &dyn Collective,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Outcome, DataError> {
        let helpers = Helpers::new(collective);
        let built = self.build_here(folder, &helpers, progress, interrupt);
        helpers.dismiss(built)
    }

    /// Tokenises for rank 0 of `collective`, which [builds](Self::build_together) with the same `tokenization`, on as many threads as
    /// a builder.
    ///
    /// # Errors
    /// If a text cannot be tokenised, or another process fails; an interruption.
    pub fn help(
        tokenization: &Tokenization,
        collective: &dyn Collective,
        interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        Helpers::new(collective).help(tokenization, n_threads(), interrupt)
    }

    fn build_here(
        &self,
        folder: &Path,
        helpers: &Helpers<'_>,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Outcome, DataError> {
        AtomicFolder::recover(folder)?;
        let created = !folder.exists();
        fs::create_dir_all(folder).map_err(cannot("create", folder))?;
        let lock = FolderLock::acquire(folder)?;
        let result = self.build_locked(folder, helpers, progress, interrupt);
        drop(lock);
        if result.is_err() && created {
            leave_nothing(folder);
        }
        result
    }

    /// Opens the corpus that was built, without a second copy of the tokenizers.
    fn open(&self, folder: &Path) -> Result<Corpus, DataError> {
        let Tokenization { tokenizer, pair_tokenizer, .. } = self.tokenization.clone();
        Corpus::open_with(folder, Manifest::load_finished(folder)?, tokenizer, pair_tokenizer)
    }

    fn build_locked(
        &self,
        folder: &Path,
        helpers: &Helpers<'_>,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Outcome, DataError> {
        let build = self.fingerprint(progress, interrupt)?;
        if let Some(begun) = begun(folder, build) {
            remove_replaced(folder)?;
            return self.build_in(folder, begun, helpers, progress, interrupt);
        }
        check_own(folder)?;
        if is_free(folder) {
            // Shards without a description are left of a build that was killed.
            clear(folder)?;
            return self.build_in(folder, self.new_manifest(build), helpers, progress, interrupt);
        }
        let (target, beside) = beside(folder)?;
        fs::create_dir_all(&beside).map_err(cannot("create", &beside))?;
        let begun = match begun(&beside, build) {
            Some(begun) => begun,
            None => {
                clear(&beside)?;
                // A tokenizer for second texts, which this build may not have.
                let pair = beside.join(PAIR_FOLDER);
                if pair.exists() {
                    fs::remove_dir_all(&pair).map_err(cannot("remove", &pair))?;
                }
                self.new_manifest(build)
            }
        };
        let built = self.build_in(&beside, begun, helpers, progress, interrupt);
        let Outcome { resumed_tokens, skipped, .. } = built.inspect_err(|_| leave_nothing(&beside))?;
        keep_others(&target, &beside)?;
        replace_folder(&beside, &target)?;
        Ok(Outcome { corpus: self.open(folder)?, reused: false, resumed_tokens, skipped })
    }

    /// Goes on with the build in `folder` as of `begun`.
    fn build_in(
        &self,
        folder: &Path,
        begun: Manifest,
        helpers: &Helpers<'_>,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Outcome, DataError> {
        remove_leftovers(folder)?;
        self.save_tokenizers(folder)?;
        let (reused, resumed_tokens) = (begun.complete, if begun.complete { 0 } else { begun.counts().tokens });
        let skipped =
            if reused { Skipped::default() } else { self.go_on(folder, begun, helpers, progress, interrupt)? };
        Ok(Outcome { corpus: self.open(folder)?, reused, resumed_tokens, skipped })
    }

    /// The manifest of a build that begins.
    fn new_manifest(&self, build: Hash) -> Manifest {
        let Tokenization { tokenizer, pair_tokenizer, .. } = &self.tokenization;
        Manifest {
            build,
            complete: false,
            next: Position::default(),
            tokenizer: Hash(tokenizer.fingerprint()),
            pair_tokenizer: pair_tokenizer.as_ref().map(|pair| Hash(pair.fingerprint())),
            vocab_size: self.tokenization.vocab_size() as u64,
            pairs: Some(0),
            shards: Vec::new(),
            labels: Vec::new(),
            text_bytes: 0,
            unknown_tokens: 0,
            stripped_marks: 0,
            empty_records: 0,
            skipped_rows: 0,
        }
    }

    fn save_tokenizers(&self, folder: &Path) -> Result<(), DataError> {
        self.tokenization.tokenizer.save(folder)?;
        if let Some(pair) = &self.tokenization.pair_tokenizer {
            pair.save(&folder.join(PAIR_FOLDER))?;
        }
        Ok(())
    }

    /// A hash of everything that the result depends on: the content of the sources, not their places.
    fn fingerprint(&self, progress: &dyn Progress, interrupt: &Interrupt) -> Result<Hash, DataError> {
        let Tokenization { tokenizer, pair_tokenizer, sentences } = &self.tokenization;
        let parts = (self.source.layout(), fingerprint(self.source.as_ref(), progress, interrupt)?);
        let all = (
            (super::format::VERSION, self.shard_tokens, self.on_bad_row),
            (tokenizer.fingerprint(), pair_tokenizer.as_ref().map(crate::tokenizer::Tokenizer::fingerprint)),
            (sentences, parts),
        );
        Ok(Hash(XxHash3_128::oneshot(format!("{all:?}").as_bytes())))
    }

    fn go_on(
        &self,
        folder: &Path,
        manifest: Manifest,
        helpers: &Helpers<'_>,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<Skipped, DataError> {
        let parts = self.source.parts();
        let total = parts.iter().map(|part| part.bytes).sum();
        let stage = progress.stage("tokenize", Some(total), Unit::Bytes);
        stage.advance(parts[..manifest.next.part.min(parts.len())].iter().map(|part| part.bytes).sum());

        let chunks = Chunks::new(Arc::clone(&self.source), self.on_bad_row, manifest.next);
        let mut build = Build::new(folder, manifest, self.shard_tokens);
        let mut append = |chunk: Chunk, tokenized: &Tokenized| {
            interrupt.check()?;
            let bytes = chunk.bytes;
            build.append(chunk, tokenized)?;
            stage.advance(bytes);
            stage.message(&format!("{} tokens", build.n_tokens()));
            Ok(())
        };
        if helpers.are_there() {
            helpers.tokenize(chunks, &self.tokenization, self.n_threads, &mut append)?;
            return build.finish();
        }
        let tokenized = Ordered::start(self.n_threads, chunks, || {
            let mut worker = Worker::new(&self.tokenization);
            move |chunk: Result<Chunk, DataError>| -> Result<(Chunk, Tokenized), DataError> {
                let mut chunk = chunk?;
                let tokenized = worker.tokenize(std::mem::take(&mut chunk.records))?;
                Ok((chunk, tokenized))
            }
        });
        let tokenized = tokenized.map_err(|source| CorpusError::Thread { source })?;

        for result in tokenized {
            let (chunk, tokenized) = result?;
            append(chunk, &tokenized)?;
        }
        build.finish()
    }
}

/// The part of a build that runs in order: labels, shards, the description.
struct Build<'a> {
    folder: &'a Path,
    /// The description as of the open shard.
    manifest: Manifest,
    /// Number of each label seen so far.
    labels: HashMap<String, u32>,
    shard: ShardWriter,
    shard_tokens: usize,
    skipped: Skipped,
}

impl<'a> Build<'a> {
    fn new(folder: &'a Path, manifest: Manifest, shard_tokens: usize) -> Self {
        let labels = manifest.labels.iter().cloned().zip(0..).collect();
        let shard = next_shard(&manifest);
        Self { folder, manifest, labels, shard, shard_tokens, skipped: Skipped::default() }
    }

    fn n_tokens(&self) -> u64 {
        self.manifest.counts().tokens + self.shard.n_tokens() as u64
    }

    fn append(&mut self, chunk: Chunk, tokenized: &Tokenized) -> Result<(), DataError> {
        let labels: Vec<u32> = tokenized.documents.iter().map(|piece| self.number(piece.label.as_deref())).collect();
        self.shard.append(tokenized, &labels);
        self.manifest.next = chunk.next;
        self.manifest.pairs = self.manifest.pairs.map(|pairs| pairs + tokenized.pairs);
        self.manifest.text_bytes += tokenized.text_bytes;
        self.manifest.unknown_tokens += tokenized.unknown_tokens;
        self.manifest.stripped_marks += tokenized.stripped_marks;
        self.manifest.empty_records += tokenized.empty;
        self.manifest.skipped_rows += chunk.skipped.rows;
        self.skipped.join(chunk.skipped);
        if self.shard.n_tokens() >= self.shard_tokens { self.close() } else { Ok(()) }
    }

    /// The number of a label, the next free one if it is new.
    fn number(&mut self, label: Option<&str>) -> u32 {
        let Some(label) = label else { return Entry::UNLABELLED };
        if let Some(&number) = self.labels.get(label) {
            return number;
        }
        let number = self.manifest.labels.len() as u32;
        self.manifest.labels.push(label.to_owned());
        self.labels.insert(label.to_owned(), number);
        number
    }

    /// Writes the open shard, then the description that counts it.
    fn close(&mut self) -> Result<(), DataError> {
        if self.shard.n_tokens() > 0 {
            self.shard.write(&shard_path(self.folder, self.manifest.shards.len()))?;
            self.manifest.shards.push(self.shard.counts());
        }
        self.manifest.save(self.folder)?;
        self.shard = next_shard(&self.manifest);
        Ok(())
    }

    fn finish(mut self) -> Result<Skipped, DataError> {
        if self.n_tokens() == 0 {
            let (empty, skipped) = (self.manifest.empty_records, self.manifest.skipped_rows);
            let found = format!("{empty} records without a token, {skipped} rows skipped");
            return Err(CorpusError::Empty { found }.into());
        }
        self.manifest.complete = true;
        self.close()?;
        Ok(self.skipped)
    }
}

/// Number of threads that a process tokenises on unless it is told.
fn n_threads() -> usize {
    rayon::current_num_threads()
}

fn next_shard(manifest: &Manifest) -> ShardWriter {
    ShardWriter::new(manifest.build.0, manifest.shards.len() as u64, manifest.vocab_size)
}

/// The folder that holds the finished part of an interrupted build of the corpus in `folder`, if there is one.
#[must_use]
pub fn unfinished_build(folder: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(folder).ok()?;
    let is_unfinished = |folder: &PathBuf| matches!(Manifest::load(folder), Ok(Some(manifest)) if !manifest.complete);
    [hidden_beside(&folder, BESIDE), folder].into_iter().find(is_unfinished)
}

/// The real path of a folder, and of the one in which the corpus is built that takes its place.
///
/// # Errors
/// If no other folder can take its place.
fn beside(folder: &Path) -> Result<(PathBuf, PathBuf), DataError> {
    let fail = || cannot("find", folder);
    let target = fs::canonicalize(folder).map_err(fail())?;
    let fixed = || CorpusError::Fixed { folder: folder.to_owned() }.into();
    // Whoever is in a folder that is replaced stays in the old one, which is removed.
    if std::env::current_dir().is_ok_and(|current| current.starts_with(&target)) {
        return Err(fixed());
    }
    let Some(parent) = target.parent() else { return Err(fixed()) };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;

        let disk = |path: &Path| Ok::<_, FileError>(fs::metadata(path).map_err(fail())?.dev());
        if disk(&target)? != disk(parent)? {
            return Err(fixed());
        }
    }
    let _ = parent;
    let beside = hidden_beside(&target, BESIDE);
    Ok((target, beside))
}

/// The manifest in the folder, if it belongs to this build.
fn begun(folder: &Path, build: Hash) -> Option<Manifest> {
    let manifest = Manifest::load(folder).ok()??;
    // A shard that was lost or damaged since is a reason to build again.
    (manifest.build == build && open_shards(folder, &manifest).is_ok()).then_some(manifest)
}

/// Removes the corpus that the one in `folder` has replaced, if the process was killed before it did so. An unfinished build
/// stays.
fn remove_replaced(folder: &Path) -> Result<(), DataError> {
    let Ok((_, beside)) = beside(folder) else { return Ok(()) };
    let is_unfinished = matches!(Manifest::load(&beside), Ok(Some(manifest)) if !manifest.complete);
    if beside.is_dir() && !is_unfinished {
        fs::remove_dir_all(&beside).map_err(cannot("remove", &beside))?;
    }
    Ok(())
}

/// Makes sure that nothing but a corpus is in the folder.
fn check_own(folder: &Path) -> Result<(), DataError> {
    match names(folder)?.into_iter().find(|name| !is_own_file(name) && !is_beside(name)) {
        Some(file) => Err(CorpusError::Occupied { folder: folder.to_owned(), file }.into()),
        None => Ok(()),
    }
}

/// Whether no corpus is in the folder, so that a new one can be built there.
fn is_free(folder: &Path) -> bool {
    matches!(Manifest::load(folder), Ok(None))
}

/// Removes the description and the shards of an earlier build.
fn clear(folder: &Path) -> Result<(), DataError> {
    let mut own: Vec<_> = names(folder)?.into_iter().filter(|name| is_own_file(name)).collect();
    // The description goes first: without it, what is left is no corpus.
    own.sort();
    own.iter()
        .map(|name| folder.join(name))
        .try_for_each(|path| Ok(fs::remove_file(&path).map_err(cannot("remove", &path))?))
}

/// Takes hidden files of others along into the folder that replaces the one they are in.
fn keep_others(from: &Path, to: &Path) -> Result<(), DataError> {
    for name in names(from)?.into_iter().filter(|name| name.starts_with('.') && name != ".lock") {
        let (from, to) = (from.join(&name), to.join(&name));
        if !to.exists() {
            fs::rename(&from, to).map_err(cannot("move", &from))?;
        }
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>, DataError> {
    let fail = || cannot("list", folder);
    let entries = fs::read_dir(folder).map_err(fail())?;
    let name =
        |entry: std::io::Result<fs::DirEntry>| Ok(entry.map_err(fail())?.file_name().to_string_lossy().into_owned());
    entries.map(name).collect()
}

fn cannot(attempt: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    move |source| FileError::Io { attempt, path: path.to_owned(), source }
}

/// `true` for files beside the shards that a build overwrites: locks, tokenizers.
fn is_beside(name: &str) -> bool {
    name.starts_with('.') || [PAIR_FOLDER, "tokenizer.json", "tokenizer_config.json"].contains(&name)
}

/// After a failure: removes a folder that was created for this build, if no shard was finished.
fn leave_nothing(folder: &Path) {
    if matches!(Manifest::load(folder), Ok(None)) {
        let _ = fs::remove_dir_all(folder);
    }
}
