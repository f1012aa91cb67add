//! Why a model could not be fetched, and what helps.

use std::io;
use std::path::PathBuf;

use burnformer_core::Interrupted;
use ureq::http::StatusCode;

use crate::{AddressError, ListingError};

/// Why a model could not be fetched. [`HubError::hint`] says what helps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a variable nor the home folder says where the cache is.
    #[error("there is no folder for the cache")]
    NoCache,
    /// The time to wait for the hub is none.
    #[error("`HF_HUB_DOWNLOAD_TIMEOUT` is `{found}`, expected a whole number of seconds from 1 to 86400")]
    Timeout {
        /// What the variable holds.
        found: String,
    },
    /// The address of the hub is none.
    #[error("`{endpoint}` is no address of a hub")]
    Address {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// The token cannot be sent.
    #[error("the token has characters that no token has")]
    Token,
    /// The hub does not answer at all.
    #[error("cannot reach `{endpoint}`")]
    Unreachable {
        /// Address of the hub.
        endpoint: String,
        /// What the network says.
        source: Box<ureq::Error>,
    },
    /// The hub, or a server that it sends us on to, keeps silent.
    #[error("`{endpoint}` has sent nothing for {seconds} seconds")]
    NoAnswer {
        /// Address of the hub.
        endpoint: String,
        /// Seconds that were waited.
        seconds: f64,
    },
    /// A redirect that is not followed.
    #[error("cannot follow where `{endpoint}` leads")]
    Redirect {
        /// Address of the hub.
        endpoint: String,
        /// Why not.
        source: AddressError,
    },
    /// There is no such model, or it is private: to strangers the hub answers both alike.
    #[error("`{endpoint}` has no such model, or it is private")]
    NoSuchModel {
        /// Address of the hub.
        endpoint: String,
        /// `true` if a token went with the request.
        has_token: bool,
    },
    /// The model has no such branch, tag or commit.
    #[error("there is no revision `{revision}`")]
    NoSuchRevision {
        /// The revision asked for.
        revision: String,
        /// The page that lists branches and tags.
        page: String,
    },
    /// The licence of the model has not been accepted.
    #[error("the model is gated: accept its licence before downloading")]
    Gated {
        /// The page on which the licence is accepted.
        page: String,
        /// `true` if a token went with the request.
        has_token: bool,
    },
    /// The hub answers with another status than was expected.
    #[error("`{endpoint}` answers with status {}", shown(*status))]
    Refused {
        /// The server that answers.
        endpoint: String,
        /// The status of HTTP.
        status: u16,
    },
    /// The answer on a repository is not what the hub sends.
    #[error("the hub's answer is not a list of files")]
    Listing(#[from] ListingError),
    /// The repository has no file that a model needs.
    #[error("{missing}")]
    NoModel {
        /// What is missing, as a sentence.
        missing: String,
        /// What the repository has instead.
        holds: String,
    },
    /// A name that leads out of the folder it belongs to, or that not every system can hold.
    #[error("the hub lists `{name}`, which is no path inside a folder")]
    Name {
        /// The name.
        name: String,
    },
    /// A file that cannot be checked.
    #[error("the hub lists no {what} of `{file}`")]
    NotListed {
        /// The file.
        file: String,
        /// What is missing.
        what: &'static str,
    },
    /// A checksum that is none.
    #[error(
        "the hub lists `{found}` as checksum of `{file}`, expected 40 (git) or 64 (large files) hexadecimal digits"
    )]
    Checksum {
        /// The file.
        file: String,
        /// What stands there.
        found: String,
    },
    /// A file that names others is larger than any of its kind.
    #[error("`{file}` has {size} bytes, expected at most {limit}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes.
        size: u64,
        /// Bytes that are read.
        limit: u64,
    },
    /// A file that names others is not understood.
    #[error("cannot parse `{file}`")]
    Json {
        /// The file.
        file: String,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A file of the cache cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the model was refused.
    #[error("cannot fetch `{file}`")]
    File {
        /// The file.
        file: String,
        /// Why it was refused.
        source: Box<HubError>,
    },
    /// The connection ended within a file, whose beginning stays in the cache.
    #[error("the connection was lost while downloading `{file}`")]
    BrokeOff {
        /// The file.
        file: String,
        /// What the network says.
        source: io::Error,
    },
    /// Next to nothing of a file has come for too long. Its beginning stays in the cache.
    #[error("less than {rate} bytes a second of `{file}` have come for {seconds} seconds")]
    Stalled {
        /// The file.
        file: String,
        /// Bytes a second that are enough.
        rate: u64,
        /// Seconds that were waited.
        seconds: f64,
    },
    /// The server sends another part of a file than it was asked for.
    #[error("the server sends `{file}` from byte {start}, expected byte {expected}")]
    WrongRange {
        /// The file.
        file: String,
        /// Where it begins.
        start: u64,
        /// Where it was to begin.
        expected: u64,
    },
    /// More arrives than the hub has listed. It is thrown away.
    #[error("the server sends more of `{file}` than the {size} bytes that the hub lists")]
    TooLong {
        /// The file.
        file: String,
        /// Its size in the list.
        size: u64,
    },
    /// The disk has no room for what is to be fetched.
    #[error("the download needs {needed} bytes, and the disk of `{}` has {available} left", cache.display())]
    NoSpace {
        /// Folder of the cache.
        cache: PathBuf,
        /// Bytes that are missing.
        needed: u64,
        /// Bytes that can be written.
        available: u64,
    },
    /// Another program holds the lock on a file of the cache.
    #[error("another program is downloading `{file}`")]
    Locked {
        /// The file.
        file: String,
    },
    /// A file that arrived has another content than the hub has listed. It is thrown away.
    #[error("`{file}` does not match the checksum that the hub lists")]
    NotAsListed {
        /// The file.
        file: String,
    },
    /// The cache cannot be written.
    #[error("cannot write to the cache `{}`", cache.display())]
    CannotWrite {
        /// Folder of the cache.
        cache: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be copied out of the cache.
    #[error("cannot write `{file}`")]
    Copy {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The thread of the transfer cannot be started.
    #[error("cannot start a thread for the transfer")]
    Thread(#[source] io::Error),
    /// Asked to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl HubError {
    /// What the user can do about the error beyond what it says itself.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoCache => "set `HF_HOME` to a folder",
            Self::Timeout { .. } => "set it to the seconds to wait for the hub, or unset it",
            Self::Address { .. } => "set `HF_ENDPOINT` to an address such as `https://huggingface.co`, or unset it",
            Self::Token => "check `HF_TOKEN`, or log in again with `hf auth login`",
            Self::Redirect { .. }
            | Self::Listing(_)
            | Self::Name { .. }
            | Self::NotListed { .. }
            | Self::Checksum { .. } => {
                "use a server that answers as the hub does: check `HF_ENDPOINT` if you have set it"
            }
            Self::NoAnswer { .. } => "try again later; `HF_HUB_DOWNLOAD_TIMEOUT` sets how many seconds to wait",
            Self::Unreachable { .. } => "check the network, and `HF_ENDPOINT` and `HTTPS_PROXY` if you have set them",
            Self::NoSuchModel { has_token: true, .. } => {
                "check the spelling, and that the token in `HF_TOKEN` or the stored one is valid and has access"
            }
            Self::NoSuchModel { has_token: false, .. } => {
                "check the spelling; a private model needs a token in `HF_TOKEN`"
            }
            Self::NoSuchRevision { page, .. } => return Some(format!("`{page}` lists branches and tags")),
            Self::Gated { page, has_token } => {
                let token =
                    if *has_token { "make sure that the token in `HF_TOKEN` is" } else { "set `HF_TOKEN` to a token" };
                return Some(format!("accept its licence on `{page}`, and {token} of the same account"));
            }
            Self::Refused { status: 429, .. } => "wait some minutes; a token in `HF_TOKEN` raises the limit",
            Self::Refused { status: 500..=599, .. } => "try again later",
            Self::Refused { .. } => "check `HF_ENDPOINT` if you have set it",
            Self::NoModel { holds, .. } => {
                return Some(format!("choose a model in the format of transformers; this one holds {holds}"));
            }
            Self::File { source, .. } => return source.hint(),
            Self::BrokeOff { .. } => "run the command again: it continues where this download stopped",
            Self::Stalled { .. } => {
                "run the command again: it continues where this download stopped; `HF_HUB_DOWNLOAD_TIMEOUT` sets how many \
                 seconds to wait"
            }
            Self::Locked { .. } => "wait until it has finished",
            Self::NotAsListed { .. } | Self::TooLong { .. } | Self::WrongRange { .. } => {
                "run the command again; a proxy may have changed the file"
            }
            Self::CannotWrite { .. } | Self::NoSpace { .. } => "free disk space, or set `HF_HOME` to another folder",
            Self::Json { .. }
            | Self::Read { .. }
            | Self::TooLarge { .. }
            | Self::Copy { .. }
            | Self::Thread(_)
            | Self::Interrupted(_) => return None,
        };
        Some(text.to_owned())
    }
}

/// A status with its meaning, as far as it has one.
fn shown(status: u16) -> String {
    StatusCode::from_u16(status).map_or_else(|_| status.to_string(), |status| status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_refused_has_the_hint_of_the_refusal() {
        let refused = HubError::Refused { endpoint: "https://hub".to_owned(), status: 503 };
        assert_eq!(refused.to_string(), "`https://hub` answers with status 503 Service Unavailable");
        let error = HubError::File { file: "config.json".to_owned(), source: Box::new(refused) };
        assert_eq!(error.hint().as_deref(), Some("try again later"));
        let hint = |status| HubError::Refused { endpoint: String::new(), status }.hint().unwrap();
        assert!(hint(429).starts_with("wait some minutes") && hint(418).contains("`HF_ENDPOINT`"));
    }
}
