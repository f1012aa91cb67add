//! The other processes of a build, which tokenise.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread;

use burnformer_core::collective::{Collective, agree, deal};
use burnformer_core::progress::Interrupt;

use super::CorpusError;
use super::chunks::Chunk;
use super::messages::{Texts, Tokens};
use super::tokenized::{Tokenization, Tokenized, Worker};
use crate::parallel::Ordered;
use crate::{DataError, Record};

/// Number of chunks that a thread of a process gets at a time.
const CHUNKS: usize = 2;

/// The other processes of a build, as rank 0 sees them; and what they do.
///
/// All meet when rank 0 has chunks, or has none to give, and once more when it has written what they have made.
pub(super) struct Helpers<'a> {
    collective: &'a dyn Collective,
    meeting: Cell<Meeting>,
}

/// What the processes have agreed upon so far.
#[derive(Clone, Copy, PartialEq)]
enum Meeting {
    /// Nothing.
    None,
    /// To tokenise; a failure in it is agreed upon there.
    Work,
    /// That all is tokenised.
    Done,
}

impl<'a> Helpers<'a> {
    pub(super) fn new(collective: &'a dyn Collective) -> Self {
        Self { collective, meeting: Cell::new(Meeting::None) }
    }

    /// `true` if there are any.
    pub(super) fn are_there(&self) -> bool {
        self.collective.size() > 1
    }

    /// Tokenises the chunks of rank 0 on all processes, and hands them to `append` in their order.
    pub(super) fn tokenize(
        &self,
        chunks: impl Iterator<Item = Result<Chunk, DataError>> + Send + 'static,
        tokenization: &Tokenization,
        n_threads: usize,
        append: &mut dyn FnMut(Chunk, &Tokenized) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        // Read ahead.
        let mut chunks =
            Ordered::start(1, chunks, || |chunk| chunk).map_err(|source| CorpusError::Thread { source })?;
        let n_threads_of_ranks = self.meet(Ok((true, n_threads)))?.into_iter().map(|(_, n)| n);
        self.meeting.set(Meeting::Work);
        let together = CHUNKS * n_threads_of_ranks.max().unwrap_or(1);
        let mut workers = Workers::new(tokenization, n_threads);
        let items = std::iter::from_fn(|| {
            let group: Result<Vec<Chunk>, _> = chunks.by_ref().take(together).collect();
            match group {
                Ok(group) if group.is_empty() => None,
                Ok(mut group) => {
                    let texts = group.iter_mut().map(|chunk| std::mem::take(&mut chunk.records)).collect();
                    Some(Ok((group, Texts(texts))))
                }
                Err(error) => Some(Err(error)),
            }
        });
        let take = |chunks: Vec<Chunk>, Tokens(tokenized)| {
            chunks.into_iter().zip(&tokenized).try_for_each(|(chunk, tokenized)| append(chunk, tokenized))
        };
        deal(self.collective, items, |texts| workers.tokenize(texts), take)?;
        self.meeting.set(Meeting::Done);
        Ok(())
    }

    /// What another process does: tokenises what rank 0 sends.
    pub(super) fn help(
        &self,
        tokenization: &Tokenization,
        n_threads: usize,
        interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        let met = self.meet(Ok((false, n_threads)))?;
        if !met.first().is_some_and(|(has_work, _)| *has_work) {
            return Ok(());
        }
        let mut workers = Workers::new(tokenization, n_threads);
        let work = |texts| {
            interrupt.check()?;
            workers.tokenize(texts)
        };
        deal::<(), _, _, DataError>(self.collective, std::iter::empty(), work, |(), _: Tokens| Ok(()))?;
        self.meet(Ok((false, 0))).map(drop)
    }

    /// Lets the others go with what has become of the build.
    pub(super) fn dismiss<T>(&self, built: Result<T, DataError>) -> Result<T, DataError> {
        if self.meeting.get() == Meeting::Work {
            return built;
        }
        let mut own = None;
        self.meet(built.map(|built| {
            own = Some(built);
            (false, 0)
        }))?;
        Ok(own.expect("a build without a result has failed"))
    }

    /// Tells all whether rank 0 has work, and the number of threads of each.
    fn meet(&self, own: Result<(bool, usize), DataError>) -> Result<Vec<(bool, usize)>, DataError> {
        agree(self.collective, own)
    }
}

/// What tokenises on the threads of one process.
struct Workers(Vec<Worker>);

impl Workers {
    fn new(tokenization: &Tokenization, n_threads: usize) -> Self {
        Self((0..n_threads).map(|_| Worker::new(tokenization)).collect())
    }

    fn tokenize(&mut self, Texts(texts): Texts) -> Result<Tokens, DataError> {
        let n_threads = self.0.len();
        let mut shares: Vec<Vec<Vec<Record>>> = (0..n_threads).map(|_| Vec::new()).collect();
        for (number, records) in texts.into_iter().enumerate() {
            shares[number % n_threads].push(records);
        }
        let mut done = thread::scope(|scope| {
            let threads = self.0.iter_mut().zip(shares).map(|(worker, share)| {
                scope.spawn(move || share.into_iter().map(|records| worker.tokenize(records)).collect::<Vec<_>>())
            });
            let threads: Vec<_> = threads.collect();
            let done = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            done.map(Vec::into_iter).collect::<Vec<_>>()
        });
        let mut tokenized = Vec::new();
        for thread in (0..n_threads).cycle() {
            let Some(chunk) = done[thread].next() else { return Ok(Tokens(tokenized)) };
            tokenized.push(chunk?);
        }
        Ok(Tokens(tokenized))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burnformer_core::Local;
    use burnformer_core::collective::{CollectiveError, thread_ranks};
    use burnformer_core::progress::{Progress, Silent, Stage, Unit};

    use super::*;
    use crate::Target;
    use crate::corpus::{CorpusBuilder, Outcome};
    use crate::sentences::SentenceSplitter;
    use crate::source::{OnBadRow, Source};
    use crate::testing::{Memory, record, tokenizer};

    /// Parts with texts of all kinds, and a bad row.
    fn source() -> Memory {
        let part = |part: usize| {
            let row = |row: usize| {
                let mut it = record(&[format!("t{} t1 unknown", (part * 31 + row) % 90), format!("t{}", row % 40)]);
                it.group = row.is_multiple_of(3).then(|| format!("group {}", row % 7));
                // The first text of a part may not go on with that of another.
                it.continues = row > 0 && row.is_multiple_of(5);
                it.pair = (row % 4 == 1).then(|| format!("t{} \"quoted\" é", row % 11));
                it.target = (row % 6 == 2).then(|| Target::Class(format!("class {}", (part + row) % 9)));
                if (part + row) % 17 == 16 {
                    it.text = String::new();
                }
                Some(it).filter(|_| (part, row) != (3, 7))
            };
            (0..12).map(row).collect()
        };
        Memory::new((0..110).map(part).collect())
    }

    fn tokenization() -> Tokenization {
        Tokenization { tokenizer: tokenizer(100), pair_tokenizer: None, sentences: SentenceSplitter::whole() }
    }

    fn builder(source: Memory, n_threads: usize) -> CorpusBuilder {
        let source: Arc<dyn Source> = Arc::new(source);
        CorpusBuilder::new(source, tokenization()).threads(n_threads).shard_tokens(900).on_bad_row(OnBadRow::Skip)
    }

    /// The result on each of `n` ranks, of which each has another number of threads.
    fn on_ranks(
        n: usize,
        folder: &Path,
        source: fn() -> Memory,
        progress: &(dyn Progress + Sync),
        interrupts: &[Interrupt],
    ) -> Vec<Result<Option<Outcome>, DataError>> {
        thread::scope(|scope| {
            let start = |(rank, interrupt): (burnformer_core::collective::ThreadRank, &'_ Interrupt)| {
                let interrupt = interrupt.clone();
                scope.spawn(move || {
                    let n_threads = 1 + rank.rank() % 3;
                    match rank.rank() {
                        0 => builder(source(), n_threads).build_together(folder, &rank, progress, &interrupt).map(Some),
                        _ => Helpers::new(&rank).help(&tokenization(), n_threads, &interrupt).map(|()| None),
                    }
                })
            };
            let ranks: Vec<_> = thread_ranks(n).into_iter().zip(interrupts).map(start).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }

    fn never(n: usize) -> Vec<Interrupt> {
        (0..n).map(|_| Interrupt::new()).collect()
    }

    /// Names and contents of all files of a corpus but the lock.
    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let named = files.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
        named.filter(|(name, _)| name != ".lock").map(|(name, path)| (name, fs::read(path).unwrap())).collect()
    }

    #[test]
    fn a_corpus_does_not_depend_on_the_number_of_ranks() {
        let place = tempfile::tempdir().unwrap();
        let alone = place.path().join("alone");
        let outcome = builder(source(), 2).build(&alone, &Silent, &Interrupt::new()).unwrap();
        let alone = files(&alone);
        assert!(alone.len() > 4, "{:?}", alone.keys());
        for n in 1..5 {
            let folder = place.path().join(n.to_string());
            for reused in [false, true] {
                for (rank, result) in on_ranks(n, &folder, source, &Silent, &never(n)).into_iter().enumerate() {
                    let found = result.unwrap();
                    assert_eq!(found.is_some(), rank == 0);
                    if let Some(found) = found {
                        assert_eq!((found.reused, found.corpus.manifest()), (reused, outcome.corpus.manifest()));
                        assert_eq!(found.skipped.rows, if reused { 0 } else { 1 });
                    }
                }
                assert!(files(&folder) == alone, "{n} ranks");
            }
        }
    }

    /// Requests an interrupt once so many chunks are written.
    struct StopAt(Arc<AtomicUsize>, Interrupt);

    impl Progress for StopAt {
        fn stage(&self, _: &str, _: Option<u64>, _: Unit) -> Box<dyn Stage> {
            Box::new(Self(Arc::clone(&self.0), self.1.clone()))
        }
    }

    impl Stage for StopAt {
        fn advance(&self, _: u64) {}

        fn skip(&self, _: u64) {}

        fn message(&self, _: &str) {
            if self.0.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.1.request();
            }
        }
    }

    #[test]
    fn a_build_that_any_rank_stops_goes_on_with_any_number() {
        let place = tempfile::tempdir().unwrap();
        let whole = place.path().join("whole");
        builder(source(), 2).build(&whole, &Silent, &Interrupt::new()).unwrap();
        for (n, stopped, goes_on) in [(3, 0, 1), (3, 2, 2), (1, 0, 4)] {
            let folder = place.path().join(format!("{n} {stopped}"));
            let interrupts = never(n);
            let progress = StopAt(Arc::new(AtomicUsize::new(50)), interrupts[stopped].clone());
            let found = on_ranks(n, &folder, source, &progress, &interrupts);
            let errors: Vec<DataError> = found.into_iter().filter_map(Result::err).collect();
            assert!(errors.len() == n && matches!(errors[stopped], DataError::Interrupted(_)), "{errors:?}");
            let found = on_ranks(goes_on, &folder, source, &Silent, &never(goes_on)).swap_remove(0).unwrap().unwrap();
            assert!(found.resumed_tokens > 0 && files(&folder) == files(&whole));
        }
    }

    #[test]
    fn a_failure_before_the_work_or_in_it_ends_all() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "no folder").unwrap();
        let none = || Memory::new(vec![vec![None]]);
        for (folder, source) in [(file.as_path(), source as fn() -> Memory), (&place.path().join("empty"), none)] {
            let found = on_ranks(3, folder, source, &Silent, &never(3));
            let mut errors = found.into_iter().map(Result::unwrap_err);
            let first = errors.next().unwrap().to_string();
            for error in errors {
                let DataError::Collective(CollectiveError::Failed { rank: 0, message }) = error else {
                    panic!("{error}")
                };
                assert!(message.starts_with(&first), "{message}");
            }
        }
    }

    #[test]
    fn records_and_tokens_reach_other_processes_as_they_are() {
        use burnformer_core::collective::Message;

        fn sent<M: Message>(message: &M) -> M {
            let mut bytes = Vec::new();
            message.write(&mut bytes).unwrap();
            for end in [0, 7, bytes.len() / 2, bytes.len() - 1] {
                assert!(M::read(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
            }
            M::read(&bytes).unwrap()
        }
        let rows = source().read(0, &Default::default()).map(Result::unwrap).collect::<Vec<_>>();
        let mut worker = Worker::new(&tokenization());
        let here = worker.tokenize(rows.clone()).unwrap();
        let Texts(texts) = sent(&Texts(vec![rows]));
        let there = worker.tokenize(texts.into_iter().next().unwrap()).unwrap();
        assert_eq!(there, here);
        assert_eq!(sent(&Tokens(vec![here])).0, [there]);
        assert!(!Helpers::new(&Local).are_there());
    }
}
