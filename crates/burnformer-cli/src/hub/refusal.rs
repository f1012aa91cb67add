//! Why the hub does not hand over what was asked for, and what helps.

use std::io::{self, ErrorKind};

use anyhow::{Error, anyhow};
use hf_hub::api::sync::ApiError;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use super::{Hub, RemoteFile, Repository};
use crate::errors::Advised;

/// What the hub was asked for.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) revision: String,
}

/// What an answer to the question for a repository's files says, if it is not the list of them.
pub(super) fn of_repository(answer: &Response<Body>, asked: &Asked, hub: &Hub) -> Advised {
    let Asked { name, revision } = asked;
    let code = answer.headers().get("x-error-code").and_then(|code| code.to_str().ok());
    match (code, answer.status()) {
        (Some("RevisionNotFound"), _) => {
            let page = format!("{}/{name}/tree/main", hub.endpoint);
            Advised::new(format!("there is no revision `{revision}`"), format!("`{page}` lists branches and tags"))
        }
        (Some("GatedRepo"), _) => gated(name, hub),
        // To strangers, what is private looks like what does not exist.
        (Some("RepoNotFound"), _)
        | (None, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let advice = match hub.has_token {
                true => {
                    "check the spelling, and that the token in `HF_TOKEN` or the stored one is valid and has access"
                }
                false => "check the spelling; a private model needs a token in `HF_TOKEN`",
            };
            Advised::new(format!("`{}` has no such model, or it is private", hub.endpoint), advice)
        }
        (_, status) => refused(status, hub),
    }
}

/// Why a file did not arrive.
pub(super) fn of_file(error: ApiError, file: &RemoteFile, repository: &Repository) -> Error {
    let (hub, name) = (&repository.hub, &file.name);
    match error {
        ApiError::RequestError(error) => match *error {
            // Everybody may see the list of files: it has been sent.
            ureq::Error::StatusCode(401 | 403) => gated(&repository.name, hub).into(),
            ureq::Error::StatusCode(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Error::from(refused(status, hub)).context(format!("cannot fetch `{name}`"))
            }
            error => unreachable(error, hub).context(format!("cannot fetch `{name}`")),
        },
        ApiError::IoError(error) if is_local(&error) => Error::from(error).context(no_room(hub)),
        ApiError::IoError(error) => {
            let advice = "run the command again: it continues where this download stopped";
            Error::from(error)
                .context(Advised::new(format!("the connection was lost while downloading `{name}`"), advice))
        }
        ApiError::LockAcquisition(_) => {
            Advised::new(format!("another program is downloading `{name}`"), "wait until it has finished").into()
        }
        error => anyhow!(error).context(format!("cannot fetch `{name}`")),
    }
}

/// The hub does not answer at all.
pub(super) fn unreachable(error: ureq::Error, hub: &Hub) -> Error {
    let advice = "check the network, and `HF_ENDPOINT` and `HTTPS_PROXY` if you have set them";
    Error::from(error).context(Advised::new(format!("cannot reach `{}`", hub.endpoint), advice))
}

/// The cache cannot be written.
pub(super) fn no_room(hub: &Hub) -> Advised {
    let message = format!("cannot write to the cache `{}`", hub.cache.path().display());
    Advised::new(message, "free disk space, or set `HF_HOME` to another folder")
}

fn gated(name: &str, hub: &Hub) -> Advised {
    let has = if hub.has_token { "make sure that the token in `HF_TOKEN` is" } else { "set `HF_TOKEN` to a token" };
    let advice = format!("accept its licence on `{}/{name}`, and {has} of the same account", hub.endpoint);
    Advised::new("the model is gated: accept its licence before downloading", advice)
}

fn refused(status: StatusCode, hub: &Hub) -> Advised {
    let advice = match status {
        StatusCode::TOO_MANY_REQUESTS => "wait some minutes; a token in `HF_TOKEN` raises the limit",
        status if status.is_server_error() => "try again later",
        _ => "check `HF_ENDPOINT` if you have set it",
    };
    Advised::new(format!("`{}` answers with status {status}", hub.endpoint), advice)
}

/// `true` for what the file system says, not the network.
fn is_local(error: &io::Error) -> bool {
    use ErrorKind as Kind;
    let room = [Kind::StorageFull, Kind::QuotaExceeded, Kind::FileTooLarge, Kind::ReadOnlyFilesystem];
    let place = [Kind::PermissionDenied, Kind::NotADirectory, Kind::IsADirectory, Kind::AlreadyExists, Kind::NotFound];
    room.contains(&error.kind()) || place.contains(&error.kind())
}
