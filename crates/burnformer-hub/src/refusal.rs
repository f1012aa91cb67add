//! Errors of the hub's answers.

use std::io::{self, ErrorKind};

use hf_hub::api::sync::ApiError;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use crate::repository::{RemoteFile, Repository};
use crate::{Hub, HubError, ModelName, Revision};

/// What an answer to the question for a repository's files says, if it is not the list of them.
pub(crate) fn of_repository(answer: &Response<Body>, name: &ModelName, revision: &Revision, hub: &Hub) -> HubError {
    let code = answer.headers().get("x-error-code").and_then(|code| code.to_str().ok());
    match (code, answer.status()) {
        (Some("RevisionNotFound"), _) => HubError::NoSuchRevision {
            revision: revision.to_string(),
            page: format!("{}/{name}/tree/main", hub.endpoint),
        },
        (Some("GatedRepo"), _) => gated(name, hub),
        (Some("RepoNotFound"), _)
        | (None, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            HubError::NoSuchModel { endpoint: hub.endpoint.clone(), has_token: hub.has_token }
        }
        (_, status) => refused(status.as_u16(), hub),
    }
}

/// Why a file did not arrive.
pub(crate) fn of_file(error: ApiError, file: &RemoteFile, repository: &Repository) -> HubError {
    let (hub, file) = (&repository.hub, file.name.clone());
    match error {
        ApiError::RequestError(error) => match *error {
            // Everybody may see the list of files: it has been sent.
            ureq::Error::StatusCode(401 | 403) => gated(&repository.name, hub),
            ureq::Error::StatusCode(status) => HubError::File { file, source: Box::new(refused(status, hub)) },
            error => HubError::File { file, source: Box::new(unreachable(error, hub)) },
        },
        ApiError::IoError(error) if is_local(&error) => cannot_write(error, hub),
        ApiError::IoError(source) => HubError::BrokeOff { file, source },
        ApiError::LockAcquisition(_) => HubError::Locked { file },
        error => HubError::Transfer { file, source: Box::new(error) },
    }
}

/// The hub does not answer at all.
pub(crate) fn unreachable(error: ureq::Error, hub: &Hub) -> HubError {
    HubError::Unreachable { endpoint: hub.endpoint.clone(), source: Box::new(error) }
}

/// The cache cannot be written.
pub(crate) fn cannot_write(source: io::Error, hub: &Hub) -> HubError {
    HubError::CannotWrite { cache: hub.cache.path().clone(), source }
}

fn gated(name: &ModelName, hub: &Hub) -> HubError {
    HubError::Gated { page: format!("{}/{name}", hub.endpoint), has_token: hub.has_token }
}

fn refused(status: u16, hub: &Hub) -> HubError {
    HubError::Refused { endpoint: hub.endpoint.clone(), status }
}

/// `true` for what the file system says, not the network.
fn is_local(error: &io::Error) -> bool {
    use ErrorKind as Kind;
    let room = [Kind::StorageFull, Kind::QuotaExceeded, Kind::FileTooLarge, Kind::ReadOnlyFilesystem];
    let place = [Kind::PermissionDenied, Kind::NotADirectory, Kind::IsADirectory, Kind::AlreadyExists, Kind::NotFound];
    room.contains(&error.kind()) || place.contains(&error.kind())
}
