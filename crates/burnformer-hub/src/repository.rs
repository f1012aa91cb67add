//! A repository of the hub at one commit, and its files in the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burnformer_core::{Interrupt, Progress, Unit};
use hf_hub::{Repo, RepoType};
use serde::Deserialize;

use crate::{Hub, HubError, ModelName, Revision, choice, refusal, transfer};

/// A repository of the hub at one commit.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(crate) hub: Hub,
    pub(crate) name: ModelName,
    commit: String,
    files: BTreeMap<String, RemoteFile>,
}

/// A file of a repository. Servers other than the hub may say no more than its name.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RemoteFile {
    #[serde(rename = "rfilename")]
    pub(crate) name: String,
    pub(crate) size: Option<u64>,
    #[serde(rename = "blobId")]
    blob: Option<String>,
    lfs: Option<LargeFile>,
}

#[derive(Clone, Debug, Deserialize)]
struct LargeFile {
    sha256: String,
}

impl Repository {
    pub(crate) fn new(hub: Hub, name: ModelName, commit: String, files: Vec<RemoteFile>) -> Self {
        let files = files.into_iter().map(|file| (file.name.clone(), file)).collect();
        Self { hub, name, commit, files }
    }

    /// Commit of the revision.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The folder in the cache that holds this commit.
    pub fn folder(&self) -> PathBuf {
        self.hub.cache.repo(self.repo()).pointer_path(&self.commit)
    }

    /// Fetches the files of a model folder that the cache lacks, and returns the names of all files:
    /// settings, the weights in the first format that the readers of this project know, the tokenizer, and the modules of
    /// sentence-transformers.
    ///
    /// # Errors
    /// If the repository holds no model, or not all files arrive; what has arrived stays in the cache.
    pub fn fetch_model(&self, progress: &dyn Progress, interrupt: &Interrupt) -> Result<BTreeSet<String>, HubError> {
        let names: BTreeSet<&str> = self.files.keys().map(String::as_str).collect();
        let chosen = choice::choose(&names, &mut |name| {
            self.fetch(&BTreeSet::from([name.to_owned()]), progress, interrupt)?;
            let path = self.folder().join(name);
            fs::read_to_string(&path).map_err(|source| HubError::Read { path, source })
        })?;
        self.fetch(&chosen, progress, interrupt)?;
        Ok(chosen)
    }

    /// Records in the cache that `revision` is this commit, for programs without a network.
    ///
    /// # Errors
    /// [`HubError::CannotWrite`].
    pub fn name_revision(&self, revision: &Revision) -> Result<(), HubError> {
        let repo = Repo::with_revision(self.name.to_string(), RepoType::Model, revision.to_string());
        let named = self.hub.cache.repo(repo).create_ref(&self.commit);
        named.map_err(|error| refusal::cannot_write(error, &self.hub))
    }

    /// Copies the files `names`, which the cache has, into the folder `to`, and makes the folders around them.
    ///
    /// # Errors
    /// If one cannot be copied, or `interrupt` is requested.
    pub fn copy(&self, names: &BTreeSet<String>, to: &Path, interrupt: &Interrupt) -> Result<(), HubError> {
        let from = self.folder();
        for name in names {
            interrupt.check()?;
            let target = to.join(name);
            let around = target.parent().map_or(Ok(()), fs::create_dir_all);
            let copied: io::Result<u64> = around.and_then(|()| fs::copy(from.join(name), &target));
            copied.map_err(|source| HubError::Copy { file: name.clone(), source })?;
        }
        Ok(())
    }

    /// Fetches those of the files `names` that the cache does not have.
    fn fetch(&self, names: &BTreeSet<String>, progress: &dyn Progress, interrupt: &Interrupt) -> Result<(), HubError> {
        let folder = self.folder();
        let files = names.iter().filter_map(|name| self.files.get(name));
        let files: Vec<_> = files.filter(|file| !file.is_whole(&folder.join(&file.name))).cloned().collect();
        if files.is_empty() {
            return Ok(());
        }
        let total = files.iter().map(|file| file.size).sum();
        let stage = progress.stage("fetch", total, Unit::Bytes);
        let repository = self.clone();
        transfer::apart(&*stage, interrupt, move |events| {
            files.iter().try_for_each(|file| transfer::receive(&repository, file, events))
        })
    }

    pub(crate) fn repo(&self) -> Repo {
        // By its commit, so that no two files are of different ones.
        Repo::with_revision(self.name.to_string(), RepoType::Model, self.commit.clone())
    }
}

impl RemoteFile {
    /// `true` if the file at `path` is complete, judged by its size.
    pub(crate) fn is_whole(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| found.is_file() && self.size.is_none_or(|size| found.len() == size))
    }

    /// Hash of the content, which is the file's name in the cache; `None` if the hub gives none that can be a file name.
    pub(crate) fn content_id(&self) -> Option<&str> {
        self.lfs.as_ref().map(|large| large.sha256.as_str()).or(self.blob.as_deref()).filter(|id| is_hash(id))
    }
}

/// `true` for letters and digits alone, so that the text leads to no other folder as a part of a path.
pub(crate) fn is_hash(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_id_cannot_lead_out_of_the_cache() {
        let id = |json: &str| {
            let file: RemoteFile = serde_json::from_str(json).unwrap();
            file.content_id().map(str::to_owned)
        };
        assert_eq!(id(r#"{"rfilename": "a", "blobId": "0a1b"}"#).as_deref(), Some("0a1b"));
        assert_eq!(id(r#"{"rfilename": "a", "blobId": "0a", "lfs": {"sha256": "f0"}}"#).as_deref(), Some("f0"));
        assert_eq!(id(r#"{"rfilename": "a"}"#), None);
        for wrong in ["", "..", "../a", "a/b", "/a"] {
            assert_eq!(id(&format!(r#"{{"rfilename": "a", "blobId": "{wrong}"}}"#)), None, "{wrong}");
            assert!(!is_hash(wrong), "{wrong}");
        }
    }
}
