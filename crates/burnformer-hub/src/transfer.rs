//! Transfer of files into the cache, on a thread of its own: a thread that waits for the network sees no signal.

use std::fs::File;
use std::io::{self, Read};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use burnformer_core::{Interrupt, Interrupted, Stage};
use ureq::http::StatusCode;
use ureq::http::header::CONTENT_RANGE;

use crate::client::Answer;
use crate::content::PIECE;
use crate::listing::RemoteFile;
use crate::part::Part;
use crate::repository::Repository;
use crate::{HubError, refusal};

/// Time between two looks for a request to stop while nothing arrives.
const PERIOD: Duration = Duration::from_millis(50);
/// Bytes a second that a file has to come with.
const MIN_RATE: u64 = 1024;

/// What a transfer reports.
enum Event {
    /// A file begins.
    File(String),
    /// Bytes of it that an earlier call has left.
    Resumed(u64),
    /// Bytes that have arrived.
    Received(u64),
}

/// Where a transfer reports.
pub(crate) struct Reports(Sender<Event>);

impl Reports {
    /// # Errors
    /// [`Interrupted`] if nobody listens any more: a stop has been requested.
    fn send(&self, event: Event) -> Result<(), Interrupted> {
        self.0.send(event).map_err(|_| Interrupted)
    }
}

/// Runs `work` on a thread of its own, and shows its reports on `stage`.
///
/// # Errors
/// Those of `work`, and [`HubError::Interrupted`] as soon as that is requested: the thread then ends at its next report, or when
/// it has waited long enough for the network, and leaves a beginning of a file that a later call goes on with.
pub(crate) fn apart<T: Send + 'static>(
    stage: &dyn Stage,
    interrupt: &Interrupt,
    work: impl FnOnce(&Reports) -> Result<T, HubError> + Send + 'static,
) -> Result<T, HubError> {
    let (sender, events) = mpsc::channel();
    let worker = thread::Builder::new().name("fetch".to_owned()).spawn(move || work(&Reports(sender)));
    let worker = worker.map_err(HubError::Thread)?;
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
    worker.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Fetches `file` into the cache, unless it is complete there.
///
/// # Errors
/// If it does not arrive, or not as the hub has listed it.
pub(crate) fn receive(repository: &Repository, file: &RemoteFile, reports: &Reports) -> Result<(), HubError> {
    let cached = &repository.cached;
    let local = |error| refusal::cannot_write(error, &repository.hub);
    let lock = cached.lock(&file.id).map_err(local)?;
    let _lock = lock.ok_or_else(|| HubError::Locked { file: file.name.clone() })?;
    reports.send(Event::File(file.name.clone()))?;
    let blob = cached.blob(&file.id);
    if has_content(&blob, file, reports)? {
        reports.send(Event::Resumed(file.size))?;
    } else {
        let mut part = Part::open(file, cached.part(&file.id)).map_err(local)?;
        loop {
            match part.read().map_err(local)? {
                0 => break,
                count => reports.send(Event::Resumed(count))?,
            }
        }
        if !part.is_right() {
            download(repository, file, &mut part, reports)?;
        }
        if !part.is_right() {
            part.discard().map_err(local)?;
            return Err(HubError::NotAsListed { file: file.name.clone() });
        }
        part.keep(&blob).map_err(local)?;
    }
    let depth = file.name.matches('/').count();
    cached.link(&file.id, &repository.folder().join(&file.name), depth).map_err(local)
}

/// Adds what is missing to `part`, or less if the server sends less; never more than the hub has listed.
fn download(
    repository: &Repository,
    file: &RemoteFile,
    part: &mut Part<'_>,
    reports: &Reports,
) -> Result<(), HubError> {
    let (hub, name) = (&repository.hub, || file.name.clone());
    let local = |error| refusal::cannot_write(error, hub);
    if part.missing() == 0 {
        part.restart().map_err(local)?;
    }
    let refused = |source| HubError::File { file: name(), source: Box::new(source) };
    let uri = repository.address(&file.name).map_err(refused)?;
    let answer = hub.client.get(uri, part.length()).map_err(refused)?;
    let start = start(&answer).ok_or_else(|| refusal::of_file(&answer, file, repository))?;
    if start == 0 && part.length() > 0 {
        part.restart().map_err(local)?;
    }
    if start != part.length() {
        part.discard().map_err(local)?;
        return Err(HubError::WrongRange { file: name(), start, expected: part.length() });
    }
    let mut body = answer.response.into_body().into_reader();
    let mut piece = vec![0; PIECE];
    let (mut since, mut received) = (Instant::now(), 0);
    loop {
        let count = body.read(&mut piece).map_err(|error| broke_off(error, file, hub.client.timeout))?;
        if count == 0 && part.missing() > 0 {
            return Err(broke_off(io::ErrorKind::UnexpectedEof.into(), file, hub.client.timeout));
        }
        if count == 0 {
            return Ok(());
        }
        if count as u64 > part.missing() {
            part.discard().map_err(local)?;
            return Err(HubError::TooLong { file: name(), size: file.size });
        }
        part.append(&piece[..count]).map_err(local)?;
        received += count as u64;
        // A server that sends a byte now and then keeps silent too.
        if since.elapsed() >= hub.client.timeout {
            if received < MIN_RATE * hub.client.timeout.as_secs() && part.missing() > 0 {
                return Err(stalled(file, hub.client.timeout));
            }
            (since, received) = (Instant::now(), 0);
        }
        reports.send(Event::Received(count as u64))?;
    }
}

/// The position in the file that an answer begins with; `None` if the answer is no content.
fn start(answer: &Answer) -> Option<u64> {
    match answer.response.status() {
        StatusCode::OK => Some(0),
        StatusCode::PARTIAL_CONTENT => {
            let range = answer.response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
            range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
        }
        _ => None,
    }
}

/// `true` if the file at `path` is `file`, by size and hash.
fn has_content(path: &Path, file: &RemoteFile, reports: &Reports) -> Result<bool, Interrupted> {
    let Ok(mut found) = File::open(path) else { return Ok(false) };
    if !found.metadata().is_ok_and(|found| found.is_file() && found.len() == file.size) {
        return Ok(false);
    }
    let mut hasher = file.id.hasher(file.size);
    loop {
        match hasher.read(&mut found) {
            Ok(0) => return Ok(hasher.finish() == file.id.as_str()),
            // Whether these bytes count is known at the end; here it matters that somebody listens.
            Ok(_) => reports.send(Event::Resumed(0))?,
            Err(_) => return Ok(false),
        }
    }
}

/// The connection ended within a file, or nothing has come for too long.
fn broke_off(error: io::Error, file: &RemoteFile, timeout: Duration) -> HubError {
    match ureq::Error::from(error) {
        ureq::Error::Timeout(_) => stalled(file, timeout),
        error => HubError::BrokeOff { file: file.name.clone(), source: error.into_io() },
    }
}

fn stalled(file: &RemoteFile, timeout: Duration) -> HubError {
    HubError::Stalled { file: file.name.clone(), rate: MIN_RATE, seconds: timeout.as_secs_f64() }
}
