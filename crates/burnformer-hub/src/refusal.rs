//! Errors of the hub's answers.

use std::io;

use ureq::http::StatusCode;

use crate::client::Answer;
use crate::listing::RemoteFile;
use crate::name::shortened;
use crate::repository::Repository;
use crate::{Hub, HubError, ModelName, Revision};

/// What an answer to the question for a repository's files says, if it is not the list of them.
pub(crate) fn of_repository(answer: &Answer, name: &ModelName, revision: &Revision, hub: &Hub) -> HubError {
    let code = answer.response.headers().get("x-error-code").and_then(|code| code.to_str().ok());
    let endpoint = hub.client.endpoint.as_str();
    match (code, answer.response.status()) {
        (Some("RevisionNotFound"), _) => {
            HubError::NoSuchRevision { revision: revision.to_string(), page: format!("{endpoint}/{name}/tree/main") }
        }
        (Some("GatedRepo"), _) => gated(name, hub),
        (Some("RepoNotFound"), _)
        | (None, StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            HubError::NoSuchModel { endpoint: endpoint.to_owned(), has_token: hub.client.has_token() }
        }
        _ => refused(answer),
    }
}

/// Why a file did not arrive.
pub(crate) fn of_file(answer: &Answer, file: &RemoteFile, repository: &Repository) -> HubError {
    match answer.response.status() {
        // Everybody may see the list of files: it has been sent.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if answer.is_hub => gated(&repository.name, &repository.hub),
        _ => HubError::File { file: shortened(&file.name), source: Box::new(refused(answer)) },
    }
}

/// The cache cannot be written.
pub(crate) fn cannot_write(source: io::Error, hub: &Hub) -> HubError {
    HubError::CannotWrite { cache: hub.cache.clone(), source }
}

fn gated(name: &ModelName, hub: &Hub) -> HubError {
    HubError::Gated { page: format!("{}/{name}", hub.client.endpoint.as_str()), has_token: hub.client.has_token() }
}

fn refused(answer: &Answer) -> HubError {
    HubError::Refused { endpoint: answer.server.clone(), status: answer.response.status().as_u16() }
}
