//! Client of the hub: address, cache, and listings of repositories.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use burnformer_core::{Interrupt, Silent, Stage};
use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, Repo, RepoType};
use serde::Deserialize;

use crate::repository::{RemoteFile, Repository, is_hash};
use crate::{HubError, ModelName, Revision, refusal, transfer};

/// A hub, and the folder that caches its files.
#[derive(Clone, Debug)]
pub struct Hub {
    pub(crate) api: Api,
    pub(crate) cache: Cache,
    pub(crate) endpoint: String,
    pub(crate) has_token: bool,
}

/// The hub's answer on a revision.
#[derive(Deserialize)]
struct Listing {
    sha: String,
    siblings: Vec<RemoteFile>,
}

impl Hub {
    /// The hub at the address `endpoint`, with its files below the folder `cache` and `token` in every request.
    ///
    /// # Errors
    /// [`HubError::Client`].
    pub fn new(endpoint: &str, cache: PathBuf, token: Option<String>) -> Result<Self, HubError> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let cache = Cache::new(cache);
        let has_token = token.is_some();
        // Without retries: hf-hub can write a second time what it has when it tries again.
        let api = ApiBuilder::from_cache(cache.clone()).with_endpoint(endpoint.clone()).with_token(token);
        let api = api.with_user_agent("burnformer", env!("CARGO_PKG_VERSION")).build();
        let api = api.map_err(|error| HubError::Client { endpoint: endpoint.clone(), source: Box::new(error) })?;
        Ok(Self { api, cache, endpoint, has_token })
    }

    /// The hub that Hugging Face's own programs would use too: the variables `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` and
    /// `HF_ENDPOINT` hold, and the token that `hf auth login` has stored.
    ///
    /// # Errors
    /// [`HubError::NoCache`] and [`HubError::Client`].
    pub fn from_env() -> Result<Self, HubError> {
        let home = variable("HF_HOME").map(PathBuf::from);
        let home = home.or_else(|| env::home_dir().map(|home| home.join(".cache/huggingface")));
        let hub = home.ok_or(HubError::NoCache)?.join("hub");
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        // The token is stored in the home, wherever the cache is.
        let token = text("HF_TOKEN").or_else(|| Cache::new(hub.clone()).token());
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self::new(&endpoint, variable("HF_HUB_CACHE").map_or(hub, PathBuf::from), token)
    }

    /// Asks for the files of the model `name` at `revision`.
    ///
    /// # Errors
    /// If the hub cannot be reached or refuses, or `interrupt` is requested.
    pub fn repository(
        &self,
        name: &ModelName,
        revision: &Revision,
        interrupt: &Interrupt,
    ) -> Result<Repository, HubError> {
        let repo = Repo::with_revision(name.to_string(), RepoType::Model, revision.to_string());
        let (hub, asked_name, asked_revision) = (self.clone(), name.clone(), revision.clone());
        let silent: &dyn Stage = &Silent;
        let listing: Listing = transfer::apart(silent, interrupt, move |_| {
            let request = hub.api.repo(repo).info_request().query("blobs", "true");
            let answer = request.config().http_status_as_error(false).build().call();
            let mut answer = answer.map_err(|error| refusal::unreachable(error, &hub))?;
            if !answer.status().is_success() {
                return Err(refusal::of_repository(&answer, &asked_name, &asked_revision, &hub));
            }
            answer.body_mut().read_json().map_err(|error| HubError::Listing(Box::new(error)))
        })?;
        // The commit becomes the name of a folder.
        if !is_hash(&listing.sha) {
            let problem = io::Error::new(io::ErrorKind::InvalidData, format!("the commit is `{}`", listing.sha));
            return Err(HubError::Listing(Box::new(problem.into())));
        }
        // What leads out of the folder is no file of a model.
        let is_inside = |name: &str| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let files = listing.siblings.into_iter().filter(|file| is_inside(&file.name)).collect();
        Ok(Repository::new(self.clone(), name.clone(), listing.sha, files))
    }
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use burnformer_core::is_interrupted;

    use super::*;

    /// The answer of a hub at `endpoint` on a model.
    fn asked(endpoint: &str, interrupt: &Interrupt) -> Result<Repository, HubError> {
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::new(endpoint, cache.path().to_owned(), None).unwrap();
        hub.repository(&"harbour/boat".parse().unwrap(), &"main".parse().unwrap(), interrupt)
    }

    #[test]
    fn a_hub_that_is_not_there_is_named() {
        let error = asked("http://127.0.0.1:1/", &Interrupt::new()).unwrap_err();
        assert_eq!(error.to_string(), "cannot reach `http://127.0.0.1:1`");
        assert!(error.hint().unwrap().contains("`HF_ENDPOINT`"));
    }

    #[test]
    fn a_request_to_stop_is_heeded() {
        let interrupt = Interrupt::new();
        interrupt.request();
        assert!(is_interrupted(&asked("http://127.0.0.1:1", &interrupt).unwrap_err()));
    }
}
