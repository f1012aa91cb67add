//! A repository of the hub at one commit, and its files in the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burnformer_core::{Interrupt, Progress, Unit, available_space};
use ureq::http::Uri;

use crate::cache::CachedModel;
use crate::listing::{ListedFile, Listing, RemoteFile};
use crate::{Hub, HubError, ModelName, Revision, choice, name, refusal, transfer};

/// Bytes of a file that names others: the index of a model of a trillion parameters has a tenth of it.
const MAX_JSON: u64 = 64 << 20;

/// A repository of the hub at one commit.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(crate) hub: Hub,
    pub(crate) name: ModelName,
    pub(crate) cached: CachedModel,
    commit: String,
    files: BTreeMap<String, ListedFile>,
}

impl Repository {
    /// # Errors
    /// [`HubError::Listing`].
    pub(crate) fn new(hub: Hub, name: ModelName, listing: Listing) -> Result<Self, HubError> {
        let commit = listing.commit()?;
        let files = listing.siblings.into_iter().map(|file| (file.name.clone(), file)).collect();
        let cached = CachedModel::new(&hub.cache, &name);
        Ok(Self { hub, name, cached, commit, files })
    }

    /// Commit of the revision.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The folder in the cache that holds this commit.
    pub fn folder(&self) -> PathBuf {
        self.cached.snapshot(&self.commit)
    }

    /// Fetches the files of a model folder that the cache lacks, and returns the names of all files:
    /// settings, the weights in the first format that the readers of this project know, the tokenizer, and the modules of
    /// sentence-transformers.
    ///
    /// What arrives gets its name in the cache only if it has the size and the hash that the hub lists. What is there already is
    /// known by the name of its content and its size.
    ///
    /// # Errors
    /// If the repository holds no model, or not all files arrive; what has arrived stays in the cache.
    pub fn fetch_model(&self, progress: &dyn Progress, interrupt: &Interrupt) -> Result<BTreeSet<String>, HubError> {
        let names: BTreeSet<&str> = self.files.keys().map(String::as_str).collect();
        let chosen = choice::choose(&names, &mut |name| {
            if let Some(size) = self.files.get(name).and_then(|file| file.size).filter(|&size| size > MAX_JSON) {
                return Err(HubError::TooLarge { file: name.to_owned(), size, limit: MAX_JSON });
            }
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
        let named = self.cached.name_revision(revision, &self.commit);
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
            if !name::is_path_inside(name) {
                return Err(HubError::Name { name: name.clone() });
            }
            let target = to.join(name);
            let around = target.parent().map_or(Ok(()), fs::create_dir_all);
            let copied: io::Result<u64> = around.and_then(|()| fs::copy(from.join(name), &target));
            copied.map_err(|source| HubError::Copy { file: name.clone(), source })?;
        }
        Ok(())
    }

    /// The address of a file of this commit, so that no two files are of different ones.
    ///
    /// # Errors
    /// [`HubError::Address`].
    pub(crate) fn address(&self, file: &str) -> Result<Uri, HubError> {
        let parts = self.name.as_str().split('/').chain(["resolve", &self.commit]).chain(file.split('/'));
        self.hub.address(parts, "")
    }

    /// Fetches those of the files `names` that the cache does not have.
    fn fetch(&self, names: &BTreeSet<String>, progress: &dyn Progress, interrupt: &Interrupt) -> Result<(), HubError> {
        let folder = self.folder();
        let files = names.iter().filter_map(|name| self.files.get(name)).map(ListedFile::checked);
        let mut files = files.collect::<Result<Vec<RemoteFile>, _>>()?;
        files.retain(|file| !self.cached.has(&folder.join(&file.name), &file.id, file.size));
        if files.is_empty() {
            return Ok(());
        }
        self.check_space(&files)?;
        let total = files.iter().fold(0, |total: u64, file| total.saturating_add(file.size));
        let stage = progress.stage("fetch", Some(total), Unit::Bytes);
        let repository = self.clone();
        transfer::apart(&*stage, interrupt, move |reports| {
            files.iter().try_for_each(|file| transfer::receive(&repository, file, reports))
        })
    }

    /// Makes sure that the disk has room for what `files` still lack.
    fn check_space(&self, files: &[RemoteFile]) -> Result<(), HubError> {
        let length = |path: PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        let missing = |file: &RemoteFile| match length(self.cached.blob(&file.id)) {
            there if there == file.size => 0,
            _ => file.size.saturating_sub(length(self.cached.part(&file.id))),
        };
        let needed = files.iter().fold(0, |total: u64, file| total.saturating_add(missing(file)));
        // A system that does not say how much is left says so when nothing is.
        let available = available_space(&self.hub.cache).unwrap_or(u64::MAX);
        if needed > available {
            return Err(HubError::NoSpace { cache: self.hub.cache.clone(), needed, available });
        }
        Ok(())
    }
}
