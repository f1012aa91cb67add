//! A server that plays the Hugging Face hub, as far as it is asked here, and can play tricks.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::support::{Folder, Run};

/// The only commit, by the name that git would give it.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Repositories by name, and what was asked for.
#[derive(Clone)]
pub(crate) struct Hub {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    /// Lists of files that are not those of the repositories.
    listings: BTreeMap<String, String>,
    requests: Vec<Request>,
    trick: Option<(String, Trick)>,
    /// The host that large files come from, if it is not the hub's.
    host_of_large: Option<String>,
}

/// The files of a repository, and the token that it takes to get one.
#[derive(Clone, Default)]
struct Repository {
    files: BTreeMap<String, Vec<u8>>,
    token: Option<String>,
}

/// The name under which tricks with the list of files are played.
pub(crate) const LISTING: &str = "the list of files";

/// What goes wrong with a file, once.
#[derive(Clone, Debug)]
pub(crate) enum Trick {
    /// The connection ends after so many bytes.
    BreakOff(usize),
    /// Nothing comes after so many bytes.
    Stall(usize),
    /// A byte comes now and then.
    Drip,
    /// The file is sent from its beginning whatever was asked for.
    Restart,
    /// An answer with this status.
    Status(&'static str),
    /// Bytes follow upon the last one, and never end.
    GoOn,
    /// The first byte is another one.
    Change,
    /// The server leads to this address, which may be none.
    Lead(Option<String>),
    /// The headers `ETag` and `X-Repo-Commit` say this.
    Headers(String),
}

/// A question that the hub was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// The first byte that was asked for; `None` if there is to be no more than that byte.
    pub(crate) from: Option<usize>,
    pub(crate) token: Option<String>,
    pub(crate) host: String,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let hub = Self { address, state: Arc::default() };
        let server = hub.clone();
        // Both end with the tests.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                // Who is gone takes no answer.
                thread::spawn(move || stream.and_then(|stream| server.serve(stream)));
            }
        });
        hub
    }

    /// A hub with the files of `folder` as the model `name`.
    pub(crate) fn with(name: &str, folder: &Path) -> Self {
        let hub = Self::new();
        hub.add_folder(name, folder);
        hub
    }

    /// The files at the top of `folder` as the model `name`.
    pub(crate) fn add_folder(&self, name: &str, folder: &Path) {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        for path in files {
            self.add(name, path.file_name().unwrap().to_str().unwrap(), &fs::read(&path).unwrap());
        }
    }

    pub(crate) fn add(&self, name: &str, file: &str, content: &[u8]) {
        let mut state = self.state.lock().unwrap();
        let repository = state.repositories.entry(name.to_owned()).or_default();
        repository.files.insert(file.to_owned(), content.to_vec());
    }

    pub(crate) fn remove(&self, name: &str, file: &str) {
        self.state.lock().unwrap().repositories.get_mut(name).unwrap().files.remove(file).unwrap();
    }

    /// From now on it takes this token to get a file of the model `name`.
    pub(crate) fn close(&self, name: &str, token: &str) {
        self.state.lock().unwrap().repositories.get_mut(name).unwrap().token = Some(token.to_owned());
    }

    /// The list of files of the model `name`.
    pub(crate) fn listing(&self, name: &str) -> Value {
        let state = self.state.lock().unwrap();
        let siblings = state.repositories[name].files.iter().map(|(name, content)| listed(name, content));
        json!({ "sha": COMMIT, "siblings": siblings.collect::<Vec<_>>() })
    }

    /// From now on this is the list of files of the model `name`.
    pub(crate) fn list(&self, name: &str, listing: impl ToString) {
        self.state.lock().unwrap().listings.insert(name.to_owned(), listing.to_string());
    }

    /// From now on large files come from `host`, which is this machine too.
    pub(crate) fn send_large_from(&self, host: &str) {
        let port = self.address.rsplit(':').next().unwrap();
        self.state.lock().unwrap().host_of_large = Some(format!("{host}:{port}"));
    }

    /// Plays a trick the next time that `file` is sent.
    pub(crate) fn play(&self, file: &str, trick: Trick) {
        self.state.lock().unwrap().trick = Some((file.to_owned(), trick));
    }

    /// What was asked for since this was called last.
    pub(crate) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The files that were asked for since the last call, and the byte that each was to begin with.
    pub(crate) fn sent(&self) -> Vec<(String, usize)> {
        let of_file = |request: Request| {
            let (_, file) = request.path.split_once(&format!("/{COMMIT}/"))?;
            Some((file.to_owned(), request.from?))
        };
        self.requests().into_iter().filter_map(of_file).collect()
    }

    /// The program with this hub, a cache of the folder, and no token.
    pub(crate) fn command(&self, folder: &Folder, line: &str) -> Command {
        let mut command = folder.command(line);
        self.lead(&mut command, &folder.path("home"));
        command
    }

    /// Makes `command` ask this hub, with a cache in `home`.
    pub(crate) fn lead(&self, command: &mut Command, home: &Path) {
        for variable in [
            "HF_TOKEN",
            "HF_HUB_CACHE",
            "HF_HUB_DOWNLOAD_TIMEOUT",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(variable);
        }
        command.env("HF_HOME", home).env("HF_ENDPOINT", format!("http://{}", self.address));
    }

    pub(crate) fn run(&self, folder: &Folder, line: &str) -> Run {
        Run::of(self.command(folder, line).output().unwrap())
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(&stream).lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut request = Request { path, from: Some(0), token: None, host: String::new() };
        for line in lines {
            let line = line?;
            match line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value)) {
                Some((name, "bytes=0-0")) if name == "range" => request.from = None,
                Some((name, value)) if name == "range" => {
                    let from = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                    request.from = from.and_then(|from| from.parse().ok());
                }
                Some((name, value)) if name == "authorization" => request.token = Some(value.to_owned()),
                Some((name, value)) if name == "host" => value.clone_into(&mut request.host),
                None if line.is_empty() => break,
                _ => {}
            }
        }
        self.state.lock().unwrap().requests.push(request.clone());
        self.answer(&request, stream)
    }

    fn answer(&self, request: &Request, mut out: TcpStream) -> std::io::Result<()> {
        let path = request.path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (is_listing, org, name, revision, file) = match parts[..] {
            ["api", "models", org, name, "revision", revision] => (true, org, name, revision, String::new()),
            [org, name, "resolve", revision, ref file @ ..] => (false, org, name, revision, file.join("/")),
            // A way without an end.
            ["endless"] => return lead(&mut out, Some("/endless"), ""),
            _ => return refuse(&mut out, "404 Not Found", None),
        };
        let repository = self.state.lock().unwrap().repositories.get(&format!("{org}/{name}")).cloned();
        let Some(Repository { files, token }) = repository else {
            return refuse(&mut out, "401 Unauthorized", Some("RepoNotFound"));
        };
        if ![COMMIT, "main", "refs%2Fpr%2F1"].contains(&revision) {
            return refuse(&mut out, "404 Not Found", Some("RevisionNotFound"));
        }
        if is_listing {
            let listing = self.state.lock().unwrap().listings.get(&format!("{org}/{name}")).cloned();
            let listing = listing.unwrap_or_else(|| self.listing(&format!("{org}/{name}")).to_string());
            return self.send(LISTING, listing.as_bytes(), request.from, &mut out);
        }
        if token.is_some_and(|token| request.token != Some(format!("Bearer {token}"))) {
            return refuse(&mut out, "401 Unauthorized", Some("GatedRepo"));
        }
        match files.get(&file) {
            Some(content) if is_large(&file) && !request.path.ends_with("?large") => {
                let host = self.state.lock().unwrap().host_of_large.clone().unwrap_or_else(|| self.address.clone());
                let about = format!(
                    "X-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\n",
                    id(&file, content),
                    content.len()
                );
                lead(&mut out, Some(&format!("http://{host}{path}?large")), &about)
            }
            Some(content) => self.send(&file, content, request.from, &mut out),
            None => refuse(&mut out, "404 Not Found", Some("EntryNotFound")),
        }
    }

    fn send(&self, file: &str, content: &[u8], from: Option<usize>, out: &mut TcpStream) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let is_meant = from.is_some() && state.trick.as_ref().is_some_and(|(other, _)| other == file);
        let trick = if is_meant { state.trick.take().map(|(_, trick)| trick) } else { None };
        drop(state);
        let range = match (&trick, from) {
            (Some(Trick::Status(status)), _) => return refuse(out, status, None),
            (Some(Trick::Lead(to)), _) => return lead(out, to.as_deref(), ""),
            (Some(Trick::Restart), _) => 0..content.len(),
            (_, None) => 0..1,
            (_, Some(from)) if from >= content.len() => return refuse(out, "416 Range Not Satisfiable", None),
            (_, Some(from)) => from..content.len(),
        };
        let (etag, commit) = match &trick {
            Some(Trick::Headers(text)) => (text.clone(), text.as_str()),
            _ => (id(file, content), COMMIT),
        };
        // What never ends has no length.
        let length = match &trick {
            Some(Trick::GoOn) => String::new(),
            _ => format!("Content-Length: {}\r\n", range.len()),
        };
        let (start, end) = (range.start, range.end - 1);
        write!(
            out,
            "HTTP/1.1 206 Partial Content\r\n{length}Content-Range: bytes {start}-{end}/{}\r\nETag: \"{etag}\"\r\n\
             X-Repo-Commit: {commit}\r\nConnection: close\r\n\r\n",
            content.len()
        )?;
        let mut body = content[range].to_vec();
        match trick {
            Some(Trick::BreakOff(count)) => out.write_all(&body[..count]),
            Some(Trick::Stall(count)) => {
                out.write_all(&body[..count])?;
                thread::sleep(Duration::from_secs(600));
                Ok(())
            }
            Some(Trick::Drip) => {
                for byte in body.chunks(1) {
                    out.write_all(byte)?;
                    thread::sleep(Duration::from_millis(200));
                }
                Ok(())
            }
            Some(Trick::GoOn) => {
                out.write_all(&body)?;
                // Until nobody takes it any more.
                while out.write_all(&[0; 1 << 16]).is_ok() {}
                Ok(())
            }
            Some(Trick::Change) => {
                body[0] ^= 1;
                out.write_all(&body)
            }
            _ => out.write_all(&body),
        }
    }
}

/// Large files come from another place.
fn is_large(file: &str) -> bool {
    file.ends_with(".safetensors") || file.ends_with(".bin")
}

/// What a file is called by its content.
fn id(name: &str, content: &[u8]) -> String {
    let hash = if is_large(name) {
        Sha256::digest(content).to_vec()
    } else {
        Sha1::new_with_prefix(format!("blob {}\0", content.len())).chain_update(content).finalize().to_vec()
    };
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn listed(name: &str, content: &[u8]) -> Value {
    let mut file = json!({ "rfilename": name, "size": content.len(), "blobId": id(name, content) });
    if is_large(name) {
        file["blobId"] = json!(id("of the pointer", content));
        file["lfs"] = json!({ "sha256": id(name, content), "size": content.len(), "pointerSize": 134 });
    }
    file
}

/// Leads to the address `to`, with more headers.
fn lead(out: &mut TcpStream, to: Option<&str>, headers: &str) -> std::io::Result<()> {
    let location = to.map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
    write!(out, "HTTP/1.1 302 Found\r\n{location}{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

fn refuse(out: &mut TcpStream, status: &str, code: Option<&str>) -> std::io::Result<()> {
    let code = code.map(|code| format!("X-Error-Code: {code}\r\n")).unwrap_or_default();
    write!(out, "HTTP/1.1 {status}\r\n{code}Content-Length: 0\r\nConnection: close\r\n\r\n")
}
