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
    requests: Vec<Request>,
    trick: Option<(String, Trick)>,
}

/// The files of a repository, and the token that it takes to get one.
#[derive(Clone, Default)]
struct Repository {
    files: BTreeMap<String, Vec<u8>>,
    token: Option<String>,
}

/// What goes wrong with a file, once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trick {
    /// The connection ends after so many bytes.
    BreakOff(usize),
    /// Nothing comes after so many bytes.
    Stall(usize),
    /// The file is sent from its beginning whatever was asked for.
    Restart,
    /// An answer with this status.
    Status(&'static str),
}

/// A question that the hub was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// The first byte that was asked for; `None` if there is to be no more than that byte.
    pub(crate) from: Option<usize>,
    pub(crate) token: Option<String>,
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
        for variable in ["HF_TOKEN", "HF_HUB_CACHE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
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
        let mut request = Request { path, from: Some(0), token: None };
        for line in lines {
            let line = line?;
            match line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value)) {
                Some((name, "bytes=0-0")) if name == "range" => request.from = None,
                Some((name, value)) if name == "range" => {
                    let from = value.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-'));
                    request.from = from.and_then(|from| from.parse().ok());
                }
                Some((name, value)) if name == "authorization" => request.token = Some(value.to_owned()),
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
            let siblings: Vec<Value> = files.iter().map(|(name, content)| listed(name, content)).collect();
            let listing = json!({ "sha": COMMIT, "siblings": siblings }).to_string();
            return write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{listing}",
                listing.len()
            );
        }
        if token.is_some_and(|token| request.token != Some(format!("Bearer {token}"))) {
            return refuse(&mut out, "401 Unauthorized", Some("GatedRepo"));
        }
        match files.get(&file) {
            Some(content) if is_large(&file) && !request.path.ends_with("?large") => write!(
                out,
                "HTTP/1.1 302 Found\r\nLocation: http://{}{path}?large\r\nX-Repo-Commit: {COMMIT}\r\nX-Linked-Etag: \"{}\"\r\n\
                 X-Linked-Size: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                self.address,
                id(&file),
                content.len()
            ),
            Some(content) => self.send(&file, content, request.from, &mut out),
            None => refuse(&mut out, "404 Not Found", Some("EntryNotFound")),
        }
    }

    fn send(&self, file: &str, content: &[u8], from: Option<usize>, out: &mut TcpStream) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let is_meant = from.is_some() && state.trick.as_ref().is_some_and(|(other, _)| other == file);
        let trick = if is_meant { state.trick.take().map(|(_, trick)| trick) } else { None };
        drop(state);
        let range = match (trick, from) {
            (Some(Trick::Status(status)), _) => return refuse(out, status, None),
            (Some(Trick::Restart), _) => 0..content.len(),
            (_, None) => 0..1,
            (_, Some(from)) if from >= content.len() => return refuse(out, "416 Range Not Satisfiable", None),
            (_, Some(from)) => from..content.len(),
        };
        write!(
            out,
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {}-{}/{}\r\nETag: \"{}\"\r\n\
             X-Repo-Commit: {COMMIT}\r\nConnection: close\r\n\r\n",
            range.len(),
            range.start,
            range.end - 1,
            content.len(),
            id(file)
        )?;
        let body = &content[range];
        match trick {
            Some(Trick::BreakOff(count)) => out.write_all(&body[..count]),
            Some(Trick::Stall(count)) => {
                out.write_all(&body[..count])?;
                thread::sleep(Duration::from_secs(600));
                Ok(())
            }
            _ => out.write_all(body),
        }
    }
}

/// Large files come from another place.
fn is_large(file: &str) -> bool {
    file.ends_with(".safetensors") || file.ends_with(".bin")
}

/// What a file is called by its content; here that does not change.
fn id(file: &str) -> String {
    file.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn listed(name: &str, content: &[u8]) -> Value {
    let mut file = json!({ "rfilename": name, "size": content.len(), "blobId": id(name) });
    if is_large(name) {
        file["blobId"] = json!("of-the-pointer");
        file["lfs"] = json!({ "sha256": id(name), "size": content.len(), "pointerSize": 134 });
    }
    file
}

fn refuse(out: &mut TcpStream, status: &str, code: Option<&str>) -> std::io::Result<()> {
    let code = code.map(|code| format!("X-Error-Code: {code}\r\n")).unwrap_or_default();
    write!(out, "HTTP/1.1 {status}\r\n{code}Content-Length: 0\r\nConnection: close\r\n\r\n")
}
