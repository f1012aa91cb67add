//! Requests to the hub that end, whatever the server does: every wait, answer and chain of redirects has a limit.

use std::io::Read;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue, LOCATION, RANGE};
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body};

use crate::address::{self, AddressError, Endpoint};
use crate::{HubError, ListingError};

/// Redirects that are followed, one behind the other.
const MAX_REDIRECTS: usize = 10;
/// Bytes of a JSON answer that are read: a list of some 100,000 files.
const MAX_ANSWER: u64 = 16 << 20;
/// A JSON answer as a whole may take this many times the longest wait.
const ANSWER_WAITS: u32 = 10;

/// Client of one hub.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    pub(crate) endpoint: Endpoint,
    /// Marked as sensitive, so that it is not printed.
    token: Option<HeaderValue>,
    pub(crate) timeout: Duration,
}

/// An answer that is no redirect.
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    /// The server it comes from.
    pub(crate) server: String,
    /// `true` if that is the hub itself, not one that it sent us on to.
    pub(crate) is_hub: bool,
}

impl Client {
    /// A client that waits at most `timeout` for the connection, for an answer, and for each piece of it.
    ///
    /// # Errors
    /// [`HubError::Address`] and [`HubError::Token`].
    pub(crate) fn new(endpoint: &str, token: Option<&str>, timeout: Duration) -> Result<Self, HubError> {
        let parsed = Endpoint::parse(endpoint);
        let endpoint = parsed.map_err(|source| HubError::Address { endpoint: endpoint.to_owned(), source })?;
        let as_header = |token: &str| {
            let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| HubError::Token)?;
            header.set_sensitive(true);
            Ok::<_, HubError>(header)
        };
        let token = token.map(as_header).transpose()?;
        // Redirects are followed here, where the token can be left out.
        let config = Agent::config_builder().max_redirects(0).http_status_as_error(false);
        let config = config.user_agent(concat!("burnformer/", env!("CARGO_PKG_VERSION")));
        let wait = Some(timeout);
        let config = config.timeout_resolve(wait).timeout_connect(wait).timeout_send_request(wait);
        let config = config.timeout_recv_response(wait).timeout_per_read(wait).timeout_per_write(wait);
        Ok(Self { agent: config.build().into(), endpoint, token, timeout })
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Asks for what lies at `uri`, from the byte `start` on. An answer that refuses is an answer too.
    ///
    /// # Errors
    /// [`HubError::Unreachable`], [`HubError::NoAnswer`] and [`HubError::Redirect`].
    pub(crate) fn get(&self, uri: Uri, start: u64) -> Result<Answer, HubError> {
        self.follow(uri, start, None)
    }

    /// Asks for the JSON at `uri`, or returns the answer that refuses.
    ///
    /// # Errors
    /// As [`Self::get`], and [`HubError::Listing`].
    pub(crate) fn get_json<T: DeserializeOwned>(&self, uri: Uri) -> Result<Result<T, Answer>, HubError> {
        let answer = self.follow(uri, 0, Some(self.timeout * ANSWER_WAITS))?;
        if !answer.response.status().is_success() {
            return Ok(Err(answer));
        }
        let mut bytes = Vec::new();
        let body = answer.response.into_body().into_reader();
        body.take(MAX_ANSWER + 1).read_to_end(&mut bytes).map_err(|error| self.unreachable(error.into()))?;
        if bytes.len() as u64 > MAX_ANSWER {
            return Err(ListingError::TooLong { limit: MAX_ANSWER }.into());
        }
        let json = serde_json::from_slice(&bytes).map_err(ListingError::Json)?;
        Ok(Ok(json))
    }

    fn follow(&self, mut uri: Uri, start: u64, whole: Option<Duration>) -> Result<Answer, HubError> {
        let redirect = |source| HubError::Redirect { endpoint: self.endpoint.as_str().to_owned(), source };
        for _ in 0..=MAX_REDIRECTS {
            let is_hub = self.endpoint.is_origin_of(&uri);
            let mut request = self.agent.get(uri.clone()).header(ACCEPT_ENCODING, "identity");
            if start > 0 {
                request = request.header(RANGE, format!("bytes={start}-"));
            }
            if let Some(token) = self.token.as_ref().filter(|_| is_hub) {
                request = request.header(AUTHORIZATION, token);
            }
            let request = request.config().timeout_recv_body(whole).build();
            let response = request.call().map_err(|error| self.unreachable(error))?;
            if !is_redirect(response.status()) {
                return Ok(Answer { response, server: address::server(&uri), is_hub });
            }
            let location = response.headers().get(LOCATION).ok_or_else(|| redirect(AddressError::NoLocation))?;
            uri = address::redirected(&uri, location.as_bytes()).map_err(redirect)?;
        }
        Err(redirect(AddressError::TooMany { limit: MAX_REDIRECTS }))
    }

    fn unreachable(&self, error: ureq::Error) -> HubError {
        let endpoint = self.endpoint.as_str().to_owned();
        match error {
            ureq::Error::Timeout(_) => HubError::NoAnswer { endpoint, seconds: self.timeout.as_secs_f64() },
            error => HubError::Unreachable { endpoint, source: Box::new(error) },
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    use StatusCode as Status;
    let moved = [Status::MOVED_PERMANENTLY, Status::FOUND, Status::SEE_OTHER];
    moved.contains(&status) || [Status::TEMPORARY_REDIRECT, Status::PERMANENT_REDIRECT].contains(&status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_printed() {
        let client = |token| Client::new("https://hub", Some(token), Duration::from_secs(1));
        assert!(!format!("{:?}", client("hf_secret").unwrap()).contains("secret"));
        assert!(matches!(client("hf_a\r\nHost: evil"), Err(HubError::Token)));
    }
}
