//! The Hugging Face hub: where it is, what a repository there holds, and its files in the cache that other programs share.
//!
//! Addresses, the layout of the cache and the transfer of a file are those of `hf-hub`. Here is decided what is fetched, and
//! made sure that it is whole.

mod choice;
mod refusal;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};
use burnformer::core::progress::{Progress, Silent, Unit};
use hf_hub::api::sync::{Api, ApiBuilder};
use hf_hub::{Cache, Repo, RepoType};
use serde::Deserialize;

use crate::commands::Context;
use crate::errors::Advised;
use refusal::Asked;

/// The hub, as the environment describes it.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    api: Api,
    cache: Cache,
    endpoint: String,
    has_token: bool,
}

/// A repository of the hub at one commit.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    hub: Hub,
    name: String,
    commit: String,
    files: BTreeMap<String, RemoteFile>,
}

/// The hub's answer on a revision.
#[derive(Deserialize)]
struct Listing {
    sha: String,
    siblings: Vec<RemoteFile>,
}

/// A file of a repository. Servers other than the hub may say no more than its name.
#[derive(Clone, Debug, Deserialize)]
struct RemoteFile {
    #[serde(rename = "rfilename")]
    name: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob: Option<String>,
    lfs: Option<LargeFile>,
}

#[derive(Clone, Debug, Deserialize)]
struct LargeFile {
    sha256: String,
}

impl Hub {
    /// The hub that Hugging Face's own programs would use too.
    ///
    /// # Errors
    /// If there is no folder for the cache.
    pub(crate) fn from_env() -> Result<Self> {
        let home = variable("HF_HOME").map(PathBuf::from);
        let home = home.or_else(|| env::home_dir().map(|home| home.join(".cache/huggingface")));
        let home = home.ok_or_else(|| Advised::new("there is no folder for the cache", "set `HF_HOME` to a folder"))?;
        let hub = home.join("hub");
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        // The token is stored in the home, wherever the cache is.
        let token = text("HF_TOKEN").or_else(|| Cache::new(hub.clone()).token());
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let cache = Cache::new(variable("HF_HUB_CACHE").map_or(hub, PathBuf::from));
        let has_token = token.is_some();
        // Without retries: hf-hub can write a second time what it has when it tries again.
        let api = ApiBuilder::from_cache(cache.clone()).with_endpoint(endpoint.clone()).with_token(token);
        let api = api.with_user_agent("burnformer", env!("CARGO_PKG_VERSION")).build()?;
        Ok(Self { api, cache, endpoint, has_token })
    }

    /// Asks for the files of the model `name` at `revision`.
    ///
    /// # Errors
    /// If the hub cannot be reached or refuses, with advice.
    pub(crate) fn repository(&self, name: &str, revision: &str, context: &Context) -> Result<Repository> {
        let repo = Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned());
        let (hub, asked) = (self.clone(), Asked { name: name.to_owned(), revision: revision.to_owned() });
        let listing: Listing = transfer::apart(&Silent, &context.interrupt, move |_| {
            let request = hub.api.repo(repo).info_request().query("blobs", "true");
            let answer = request.config().http_status_as_error(false).build().call();
            let mut answer = answer.map_err(|error| refusal::unreachable(error, &hub))?;
            if !answer.status().is_success() {
                return Err(refusal::of_repository(&answer, &asked, &hub).into());
            }
            answer.body_mut().read_json().context("the hub's answer is not a list of files")
        })?;
        // What leads out of the folder is no file of a model.
        let is_inside = |name: &str| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let files = listing.siblings.into_iter().filter(|file| is_inside(&file.name));
        let files = files.map(|file| (file.name.clone(), file)).collect();
        Ok(Repository { hub: self.clone(), name: name.to_owned(), commit: listing.sha, files })
    }
}

impl Repository {
    /// The commit that the revision stands for.
    pub(crate) fn commit(&self) -> &str {
        &self.commit
    }

    /// The folder in the cache that holds this commit.
    pub(crate) fn folder(&self) -> PathBuf {
        self.hub.cache.repo(self.repo()).pointer_path(&self.commit)
    }

    /// Fetches what makes a model folder, as far as the cache has none of it, and returns the names of all its files.
    ///
    /// # Errors
    /// If the repository holds no model, or not all files arrive; what has arrived stays in the cache.
    pub(crate) fn fetch_model(&self, context: &Context) -> Result<BTreeSet<String>> {
        let names: BTreeSet<&str> = self.files.keys().map(String::as_str).collect();
        let chosen = choice::choose(&names, &mut |name| {
            self.fetch(&BTreeSet::from([name.to_owned()]), context)?;
            Ok(fs::read_to_string(self.folder().join(name))?)
        })?;
        self.fetch(&chosen, context)?;
        Ok(chosen)
    }

    /// Remembers in the cache that `revision` stands for this commit, for programs without a network.
    pub(crate) fn name_revision(&self, revision: &str) -> Result<()> {
        let repo = Repo::with_revision(self.name.clone(), RepoType::Model, revision.to_owned());
        self.hub.cache.repo(repo).create_ref(&self.commit).with_context(|| refusal::no_room(&self.hub))
    }

    /// Fetches those of the files `names` that the cache does not have.
    fn fetch(&self, names: &BTreeSet<String>, context: &Context) -> Result<()> {
        let folder = self.folder();
        let files = names.iter().filter_map(|name| self.files.get(name));
        let files: Vec<_> = files.filter(|file| !file.is_whole(&folder.join(&file.name))).cloned().collect();
        if files.is_empty() {
            return Ok(());
        }
        let total = files.iter().map(|file| file.size).sum();
        let stage = context.terminal.stage("fetch", total, Unit::Bytes);
        let repository = self.clone();
        transfer::apart(&*stage, &context.interrupt, move |events| {
            files.iter().try_for_each(|file| transfer::receive(&repository, file, events))
        })
    }

    fn repo(&self) -> Repo {
        // By its commit, so that no two files are of different ones.
        Repo::with_revision(self.name.clone(), RepoType::Model, self.commit.clone())
    }
}

impl RemoteFile {
    /// `true` if `path` holds all of it, as far as the size tells.
    fn is_whole(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| found.is_file() && self.size.is_none_or(|size| found.len() == size))
    }

    /// What the file is called by its content, in the cache too.
    fn content_id(&self) -> Option<&str> {
        self.lfs.as_ref().map(|large| large.sha256.as_str()).or(self.blob.as_deref())
    }
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
