//! Answers of a hub, from the first byte of the status line on.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use burnformer_core::{Interrupt, Silent};
use burnformer_hub::Hub;

use crate::Target;

pub(super) const TARGETS: &[Target] = &[Target { name: "hub", run, seeds }];

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(1);
/// What the server on this machine says to whatever it is asked.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Fetches a model from a hub that gives this answer to every request. Nothing may be written outside of the cache.
fn run(bytes: &[u8]) {
    // A redirect may lead off this machine.
    if bytes.to_ascii_lowercase().windows(8).any(|window| window == b"location") {
        return;
    }
    let endpoint = endpoint();
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("home/cache/hub");
    fs::create_dir_all(&cache).expect("a folder");
    let (name, revision) = ("org/name".parse().expect("a name"), "main".parse().expect("a revision"));
    let hub = Hub::new(endpoint, cache, None, PATIENCE).expect("an address");
    if let Ok(repository) = hub.repository(&name, &revision, &Interrupt::new()) {
        let _ = repository.fetch_model(&Silent, &Interrupt::new());
    }
    for (above, expected) in [("", "home"), ("home", "cache"), ("home/cache", "hub")] {
        let found =
            fs::read_dir(folder.path().join(above)).expect("a folder").map(|entry| entry.expect("a file").file_name());
        assert!(found.eq([expected]), "a file was written outside of the cache");
    }
}

/// Address of the server, which runs from the first call on.
fn endpoint() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(serve(stream))));
        format!("http://{address}")
    })
}

/// Answers when the request has ended.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => request.extend(&buffer[..n]),
        }
    }
    let answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
    stream.write_all(&answer)
}

/// A list of files, and two refusals.
fn seeds() -> Vec<Vec<u8>> {
    let (commit, sum) = ("0123456789".repeat(4), "0123456789abcdef".repeat(4));
    let list = format!(
        "{{\"sha\":\"{commit}\",\"siblings\":[{{\"rfilename\":\"config.json\",\"size\":9,\"blobId\":\"{commit}\"}},\
         {{\"rfilename\":\"model.safetensors\",\"size\":9,\"lfs\":{{\"sha256\":\"{sum}\"}}}}]}}"
    );
    let answer = |status: &str, body: &str| {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Repo-Commit: {commit}\r\n");
        format!("{head}ETag: \"{sum}\"\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .into_bytes()
    };
    vec![answer("200 OK", &list), answer("404 Not Found", "{\"error\":\"none\"}"), answer("401 Unauthorized", "")]
}
