//! The hub's list of the files of a repository, and what has to be known of a file before it is fetched.

use serde::Deserialize;

use crate::HubError;
use crate::content::{ContentId, is_hash};
use crate::name::{self, shortened};

/// A list of files that is not what the hub sends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// More than any repository needs.
    #[error("it has more than {limit} bytes")]
    TooLong {
        /// Bytes that are read.
        limit: u64,
    },
    /// Not the JSON that was expected.
    #[error("it is not the expected JSON")]
    Json(#[source] serde_json::Error),
    /// A commit that is no hash.
    #[error("the commit is `{found}`, expected 40 or 64 hexadecimal digits")]
    Commit {
        /// What stands there.
        found: String,
    },
}

/// The hub's answer on a revision.
#[derive(Debug, Deserialize)]
pub(crate) struct Listing {
    sha: String,
    pub(crate) siblings: Vec<ListedFile>,
}

/// A file of a repository, as the hub lists it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ListedFile {
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

/// A file that can be fetched: its name stays inside a folder, and what arrives can be checked.
#[derive(Clone, Debug)]
pub(crate) struct RemoteFile {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) id: ContentId,
}

impl Listing {
    /// The commit, which becomes the name of a folder.
    ///
    /// # Errors
    /// [`ListingError::Commit`].
    pub(crate) fn commit(&self) -> Result<String, ListingError> {
        if is_hash(&self.sha, &[40, 64]) {
            Ok(self.sha.to_ascii_lowercase())
        } else {
            Err(ListingError::Commit { found: shortened(&self.sha) })
        }
    }
}

impl ListedFile {
    /// # Errors
    /// [`HubError::Name`], [`HubError::NotListed`] and [`HubError::Checksum`].
    pub(crate) fn checked(&self) -> Result<RemoteFile, HubError> {
        let file = || shortened(&self.name);
        if !name::is_path_inside(&self.name) {
            return Err(HubError::Name { name: file() });
        }
        let id = match (&self.lfs, &self.blob) {
            (Some(large), _) => ContentId::large(&large.sha256).ok_or(&large.sha256),
            (None, Some(blob)) => ContentId::git(blob).ok_or(blob),
            (None, None) => return Err(HubError::NotListed { file: file(), what: "checksum" }),
        };
        let id = id.map_err(|found| HubError::Checksum { file: file(), found: shortened(found) })?;
        let size = self.size.ok_or_else(|| HubError::NotListed { file: file(), what: "size" })?;
        Ok(RemoteFile { name: self.name.clone(), size, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<RemoteFile, HubError> {
        serde_json::from_str::<ListedFile>(json).unwrap().checked()
    }

    #[test]
    fn a_file_is_known_by_its_size_and_the_hash_of_its_content() {
        let (git, sum) = ("0123456789".repeat(4), "0123456789abcdef".repeat(4));
        let id = |json: &str| checked(json).unwrap().id.as_str().to_owned();
        assert_eq!(id(&format!(r#"{{"rfilename": "a", "size": 1, "blobId": "{git}", "lfs": null}}"#)), git);
        let large = format!(r#"{{"rfilename": "a/b", "size": 1, "blobId": "{git}", "lfs": {{"sha256": "{sum}"}}}}"#);
        assert_eq!(id(&large), sum);
        let error = |json: &str| checked(json).unwrap_err().to_string();
        assert_eq!(error(r#"{"rfilename": "a", "size": 1}"#), "the hub lists no checksum of `a`");
        assert_eq!(error(&format!(r#"{{"rfilename": "a", "blobId": "{git}"}}"#)), "the hub lists no size of `a`");
    }

    #[test]
    fn nothing_that_the_hub_lists_leads_out_of_the_cache() {
        let git = "0123456789".repeat(4);
        for name in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a//b",
            "./a",
            r"..\\a",
            r"C:\\a",
            "a\\u0000",
            "a\\u001b]52;c",
            ".. /a",
        ] {
            let json = format!(r#"{{"rfilename": "{name}", "size": 1, "blobId": "{git}"}}"#);
            assert!(matches!(checked(&json), Err(HubError::Name { .. })), "{name}");
        }
        for hash in ["", "..", "../a", "/tmp/a", &"/".repeat(40), &git[1..]] {
            for key in [format!(r#""blobId": "{hash}""#), format!(r#""lfs": {{"sha256": "{hash}"}}"#)] {
                let found = checked(&format!(r#"{{"rfilename": "a", "size": 1, {key}}}"#));
                assert!(matches!(found, Err(HubError::Checksum { .. })), "{key}");
            }
            let listing = Listing { sha: (*hash).to_owned(), siblings: Vec::new() };
            assert!(matches!(listing.commit(), Err(ListingError::Commit { .. })), "{hash}");
        }
    }
}
