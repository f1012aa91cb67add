//! Why a model could not be fetched, and what helps.

use std::io;
use std::path::PathBuf;

use burnformer_core::Interrupted;
use hf_hub::api::sync::ApiError;
use ureq::http::StatusCode;

/// Why a model could not be fetched. [`HubError::hint`] says what helps.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a variable nor the home folder says where the cache is.
    #[error("there is no folder for the cache")]
    NoCache,
    /// The client of the hub could not be set up.
    #[error("cannot set up the client of `{endpoint}`")]
    Client {
        /// Address of the hub.
        endpoint: String,
        /// What `hf-hub` says.
        source: Box<ApiError>,
    },
    /// The hub does not answer at all.
    #[error("cannot reach `{endpoint}`")]
    Unreachable {
        /// Address of the hub.
        endpoint: String,
        /// What the network says.
        source: Box<ureq::Error>,
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
        /// Address of the hub.
        endpoint: String,
        /// The status of HTTP.
        status: u16,
    },
    /// The answer on a repository is not what the hub sends.
    #[error("the hub's answer is not a list of files")]
    Listing(#[source] Box<ureq::Error>),
    /// The repository has no file that a model needs.
    #[error("{missing}")]
    NoModel {
        /// What is missing, as a sentence.
        missing: String,
        /// What the repository has instead.
        holds: String,
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
    /// A file of the model cannot be transferred.
    #[error("cannot fetch `{file}`")]
    Transfer {
        /// The file.
        file: String,
        /// What `hf-hub` says.
        source: Box<ApiError>,
    },
    /// The connection ended within a file, whose beginning stays in the cache.
    #[error("the connection was lost while downloading `{file}`")]
    BrokeOff {
        /// The file.
        file: String,
        /// What the network says.
        source: io::Error,
    },
    /// Another program holds the lock on a file of the cache.
    #[error("another program is downloading `{file}`")]
    Locked {
        /// The file.
        file: String,
    },
    /// A file that arrived has another size than the hub has listed.
    #[error("`{file}` does not match the size or checksum that the hub lists")]
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
    /// `hf-hub` panicked.
    #[error("`hf-hub` panicked at what the hub answered")]
    Panicked,
    /// Asked to stop.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl HubError {
    /// What the user can do about the error beyond what it says itself.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoCache => "set `HF_HOME` to a folder",
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
            Self::Locked { .. } => "wait until it has finished",
            Self::NotAsListed { .. } => "run the command again; a proxy may have changed the file",
            Self::CannotWrite { .. } => "free disk space, or set `HF_HOME` to another folder",
            Self::Client { .. }
            | Self::Listing(_)
            | Self::Json { .. }
            | Self::Read { .. }
            | Self::Transfer { .. }
            | Self::Copy { .. }
            | Self::Thread(_)
            | Self::Panicked
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
