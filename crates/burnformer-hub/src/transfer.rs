//! Transfer of files into the cache, on a thread of its own: a thread that waits for the network sees no signal.

use std::fs;
use std::mem;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use burnformer_core::{Interrupt, Stage};

use crate::repository::{RemoteFile, Repository};
use crate::{HubError, refusal};

/// Time between two looks for a request to stop while nothing arrives.
const PERIOD: Duration = Duration::from_millis(50);

/// What a transfer reports.
pub(crate) enum Event {
    /// A file begins.
    File(String),
    /// Bytes of it that an earlier call has left.
    Resumed(u64),
    /// Bytes that have arrived.
    Received(u64),
}

/// Runs `work` on a thread of its own, and shows its reports on `stage`.
///
/// # Errors
/// Those of `work`, and [`HubError::Interrupted`] as soon as that is requested: the thread then ends with the program, and
/// leaves a beginning of a file that a later call goes on with.
pub(crate) fn apart<T: Send + 'static>(
    stage: &dyn Stage,
    interrupt: &Interrupt,
    work: impl FnOnce(&Sender<Event>) -> Result<T, HubError> + Send + 'static,
) -> Result<T, HubError> {
    let (sender, events) = mpsc::channel();
    let worker =
        thread::Builder::new().name("fetch".to_owned()).spawn(move || work(&sender)).map_err(HubError::Thread)?;
    loop {
        interrupt.check()?;
        match events.recv_timeout(PERIOD) {
            Ok(Event::File(name)) => stage.message(&name),
            Ok(Event::Resumed(count)) => stage.skip(count),
            Ok(Event::Received(count)) => stage.advance(count),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    worker.join().unwrap_or(Err(HubError::Panicked))
}

/// Fetches `file` into the cache, unless it is complete there.
///
/// # Errors
/// If it does not arrive, or not as the hub has listed it.
pub(crate) fn receive(repository: &Repository, file: &RemoteFile, events: &Sender<Event>) -> Result<(), HubError> {
    let cache = repository.hub.cache.repo(repository.repo());
    let path = repository.folder().join(&file.name);
    // hf-hub takes anything that is there for the file.
    let _ = fs::remove_file(&path);
    if let Some(id) = file.content_id() {
        let blob = cache.blob_path(id);
        if file.size.is_some() && file.is_whole(&blob) && link(&blob, &path) {
            let _ = events.send(Event::Resumed(file.size.unwrap_or_default()));
            return Ok(());
        }
        // hf-hub would ask for what comes behind the end, and be refused.
        let part = blob.with_extension("part");
        if fs::metadata(&part).is_ok_and(|part| file.size.is_some_and(|size| part.len() >= size)) {
            let _ = fs::remove_file(part);
        }
    }
    let reports = Reports { events: events.clone(), is_first: false };
    let received = repository.hub.api.repo(repository.repo()).download_with_progress(&file.name, reports);
    let path = received.map_err(|error| refusal::of_file(error, file, repository))?;
    if file.is_whole(&path) {
        return Ok(());
    }
    for broken in [fs::canonicalize(&path).unwrap_or_default(), path] {
        let _ = fs::remove_file(broken);
    }
    Err(HubError::NotAsListed { file: file.name.clone() })
}

/// Gives a file that another commit has brought a second name. `false` if the file system cannot do that.
fn link(blob: &Path, path: &Path) -> bool {
    let around = path.parent().map(fs::create_dir_all);
    around.is_some_and(|made| made.is_ok()) && fs::hard_link(blob, path).is_ok()
}

/// Passes on what hf-hub reports.
struct Reports {
    events: Sender<Event>,
    /// Whether the next report is that of a file's beginning.
    is_first: bool,
}

impl Reports {
    fn send(&self, event: Event) {
        // Nobody listens any more once a stop is requested.
        let _ = self.events.send(event);
    }
}

impl hf_hub::api::Progress for Reports {
    fn init(&mut self, _size: usize, filename: &str) {
        self.is_first = true;
        self.send(Event::File(filename.to_owned()));
    }

    fn update(&mut self, size: usize) {
        // hf-hub reports first what an earlier call has left.
        let event = if mem::take(&mut self.is_first) { Event::Resumed } else { Event::Received };
        self.send(event(size as u64));
    }

    fn finish(&mut self) {}
}
