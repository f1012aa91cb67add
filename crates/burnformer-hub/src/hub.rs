//! Client of the hub: address, cache, and listings of repositories.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use burnformer_core::{Interrupt, Silent, Stage, read_text};
use ureq::http::Uri;

use crate::client::Client;
use crate::repository::Repository;
use crate::{HubError, ModelName, Revision, refusal, transfer};

/// How long the hub may keep silent, unless somebody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest file of a token, in bytes.
const MOST_TOKEN: u64 = 1 << 16;

/// A hub, and the folder that caches its files.
#[derive(Clone, Debug)]
pub struct Hub {
    pub(crate) client: Client,
    pub(crate) cache: PathBuf,
}

impl Hub {
    /// The hub at the address `endpoint`, with its files below the folder `cache`. `token` goes with every request to that
    /// server, and to no other that it redirects to.
    ///
    /// The hub may keep silent for `timeout`, in whole seconds: no step of a request waits longer, and in each such time a file
    /// has to come with a KiB a second.
    ///
    /// # Errors
    /// [`HubError::Address`] and [`HubError::Token`].
    pub fn new(endpoint: &str, cache: PathBuf, token: Option<&str>, timeout: Duration) -> Result<Self, HubError> {
        Ok(Self { client: Client::new(endpoint, token, timeout)?, cache })
    }

    /// The hub that Hugging Face's own programs would use too: the variables `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`,
    /// `HF_ENDPOINT` and `HF_HUB_DOWNLOAD_TIMEOUT` (in seconds; here 30 if it is not set) hold, and the token that
    /// `hf auth login` has stored.
    ///
    /// # Errors
    /// [`HubError::NoCache`], [`HubError::Timeout`], and those of [`Hub::new`].
    pub fn from_env() -> Result<Self, HubError> {
        let home = variable("HF_HOME").map(PathBuf::from);
        let home = home.or_else(|| env::home_dir().map(|home| home.join(".cache/huggingface")));
        let home = home.ok_or(HubError::NoCache)?;
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        // The token is stored in the home, wherever the cache is.
        let token = text("HF_TOKEN").or_else(|| read_text(&home.join("token"), MOST_TOKEN).ok());
        let token = token.as_deref().map(str::trim).filter(|token| !token.is_empty());
        let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let timeout = text("HF_HUB_DOWNLOAD_TIMEOUT").map_or(Ok(TIMEOUT), |text| seconds(&text))?;
        let cache = variable("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from);
        Self::new(&endpoint, cache, token, timeout)
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
        let parts =
            ["api", "models"].into_iter().chain(name.as_str().split('/')).chain(["revision", revision.as_str()]);
        let address = self.address(parts, "?blobs=true")?;
        let (hub, name, revision) = (self.clone(), name.clone(), revision.clone());
        let silent: &dyn Stage = &Silent;
        transfer::apart(silent, interrupt, move |_| match hub.client.get_json(address)? {
            Ok(listing) => Repository::new(hub, name, listing),
            Err(answer) => Err(refusal::of_repository(&answer, &name, &revision, &hub)),
        })
    }

    /// The address of what lies at these parts of a path.
    ///
    /// # Errors
    /// [`HubError::Address`] if it is too long.
    pub(crate) fn address<'a>(&self, parts: impl IntoIterator<Item = &'a str>, query: &str) -> Result<Uri, HubError> {
        let endpoint = || self.client.endpoint.as_str().to_owned();
        self.client.endpoint.below(parts, query).map_err(|source| HubError::Address { endpoint: endpoint(), source })
    }
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Seconds, of which there must be some, and fewer than a clock can count.
fn seconds(text: &str) -> Result<Duration, HubError> {
    const LONGEST: u64 = 24 * 60 * 60;
    match text.parse() {
        Ok(seconds @ 1..=LONGEST) => Ok(Duration::from_secs(seconds)),
        _ => Err(HubError::Timeout { found: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use burnformer_core::is_interrupted;

    use super::*;

    /// The answer of a hub at `endpoint` on a model.
    fn asked(endpoint: &str, interrupt: &Interrupt) -> Result<Repository, HubError> {
        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::new(endpoint, cache.path().to_owned(), None, TIMEOUT)?;
        hub.repository(&"harbour/boat".parse().unwrap(), &"main".parse().unwrap(), interrupt)
    }

    #[test]
    fn a_hub_that_is_not_there_is_named() {
        let error = asked("http://127.0.0.1:1/", &Interrupt::new()).unwrap_err();
        assert_eq!(error.to_string(), "cannot reach `http://127.0.0.1:1`");
        assert!(error.hint().unwrap().contains("`HF_ENDPOINT`"));
        let error = asked("nonsense", &Interrupt::new()).unwrap_err();
        assert_eq!(error.to_string(), "`nonsense` is no address of a hub");
        assert!(error.hint().unwrap().contains("`HF_ENDPOINT`"));
    }

    #[test]
    fn a_request_to_stop_is_heeded() {
        let interrupt = Interrupt::new();
        interrupt.request();
        assert!(is_interrupted(&asked("http://127.0.0.1:1", &interrupt).unwrap_err()));
    }

    #[test]
    fn a_time_is_a_number_of_seconds() {
        assert_eq!(seconds("7").unwrap(), Duration::from_secs(7));
        for wrong in ["0", "-1", "1.5", "soon", "86401", "18446744073709551616"] {
            assert!(matches!(seconds(wrong), Err(HubError::Timeout { .. })), "{wrong}");
        }
    }
}
