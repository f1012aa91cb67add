//! Addresses: of the hub, of what it is asked for, and those that it sends us on to.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::name::shortened;

/// What stands in an address as itself.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An address that is not followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No address of a server for HTTP.
    #[error("expected an address such as `https://huggingface.co`, found `{found}`")]
    Malformed {
        /// What stands there.
        found: String,
    },
    /// A redirect without the header `Location`.
    #[error("the server redirects without saying where to")]
    NoLocation,
    /// A redirect that gives up encryption.
    #[error("the server redirects from `https` to `{to}`, which is not encrypted")]
    Downgrade {
        /// Where it leads.
        to: String,
    },
    /// A chain of redirects without an end.
    #[error("the server redirects more than {limit} times")]
    TooMany {
        /// Number of redirects that are followed.
        limit: usize,
    },
}

/// Address of a hub.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    text: String,
    uri: Uri,
}

impl Endpoint {
    /// # Errors
    /// [`AddressError::Malformed`].
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_end_matches('/').to_owned();
        let uri = parse(&text)?;
        if uri.query().is_some() { Err(malformed(&text)) } else { Ok(Self { text, uri }) }
    }

    /// The address as the user gave it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The address of what lies below at these parts of a path.
    ///
    /// # Errors
    /// [`AddressError::Malformed`] if it is too long.
    pub(crate) fn below<'a>(&self, parts: impl IntoIterator<Item = &'a str>, query: &str) -> Result<Uri, AddressError> {
        let path: String = parts.into_iter().map(|part| format!("/{}", utf8_percent_encode(part, ESCAPED))).collect();
        parse(&format!("{}{path}{query}", self.text))
    }

    /// `true` if `other` is on this server: only then it may see the token.
    pub(crate) fn is_origin_of(&self, other: &Uri) -> bool {
        origin(&self.uri) == origin(other)
    }
}

/// Where an answer from `from` with the header `location` leads.
///
/// # Errors
/// [`AddressError::Malformed`] and [`AddressError::Downgrade`].
pub(crate) fn redirected(from: &Uri, location: &[u8]) -> Result<Uri, AddressError> {
    let location = str::from_utf8(location).map_err(|_| malformed(&String::from_utf8_lossy(location)))?;
    let location = location.split('#').next().unwrap_or_default();
    let scheme = from.scheme_str().unwrap_or_default();
    let server = format!("{scheme}://{}", from.authority().map_or("", |authority| authority.as_str()));
    let has_scheme = location.split_once(':').is_some_and(|(scheme, _)| !scheme.contains(['/', '?']));
    let to = if has_scheme {
        parse(location)
    } else if location.starts_with("//") {
        parse(&format!("{scheme}:{location}"))
    } else if location.starts_with('/') {
        parse(&format!("{server}{location}"))
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        parse(&format!("{server}{folder}/{location}"))
    }?;
    let is_encrypted = |uri: &Uri| uri.scheme() == Some(&Scheme::HTTPS);
    if is_encrypted(from) && !is_encrypted(&to) {
        return Err(AddressError::Downgrade { to: shortened(&to.to_string()) });
    }
    Ok(to)
}

/// The server of an address, for messages.
pub(crate) fn server(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
}

/// An address with a scheme of HTTP and a host.
fn parse(text: &str) -> Result<Uri, AddressError> {
    let uri: Uri = text.parse().map_err(|_| malformed(text))?;
    let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    if is_http && uri.host().is_some_and(|host| !host.is_empty()) { Ok(uri) } else { Err(malformed(text)) }
}

fn malformed(text: &str) -> AddressError {
    AddressError::Malformed { found: shortened(text) }
}

/// Scheme, host and port.
fn origin(uri: &Uri) -> (Option<&str>, Option<String>, u16) {
    let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    (uri.scheme_str(), uri.host().map(str::to_ascii_lowercase), uri.port_u16().unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_an_address() {
        let endpoint = Endpoint::parse("http://127.0.0.1:8080/hub/").unwrap();
        assert_eq!(endpoint.as_str(), "http://127.0.0.1:8080/hub");
        let uri = endpoint.below(["a", "refs/pr/1", "x y?#%.bin"], "?blobs=true").unwrap();
        assert_eq!(uri.to_string(), "http://127.0.0.1:8080/hub/a/refs%2Fpr%2F1/x%20y%3F%23%25.bin?blobs=true");
        for wrong in
            ["", "nonsense", "ftp://hub", "http://", "http:hub", "file:///etc/passwd", "https://hub?a=b", "a b"]
        {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_same_server_is_the_origin() {
        let is_origin =
            |endpoint: &str, uri: &str| Endpoint::parse(endpoint).unwrap().is_origin_of(&uri.parse().unwrap());
        assert!(is_origin("https://Hub.co", "https://hub.CO:443/a"));
        assert!(is_origin("http://127.0.0.1:80/x", "http://127.0.0.1/y"));
        for other in [
            "https://hub.co.evil/a",
            "https://hub.co@evil/a",
            "http://hub.co/a",
            "https://hub.co:444",
            "https://cdn.hub.co",
        ] {
            assert!(!is_origin("https://hub.co", other), "{other}");
        }
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let from: Uri = "https://hub.co/a/b?c".parse().unwrap();
        for (location, expected) in [
            ("https://cdn.hub.co/x?y#z", "https://cdn.hub.co/x?y"),
            ("//cdn.hub.co/x", "https://cdn.hub.co/x"),
            ("/x?y=https://z", "https://hub.co/x?y=https://z"),
            ("x/y", "https://hub.co/a/x/y"),
        ] {
            assert_eq!(redirected(&from, location.as_bytes()).unwrap().to_string(), expected, "{location}");
        }
        let error = |location: &[u8]| redirected(&from, location).unwrap_err();
        assert!(matches!(error(b"http://hub.co/a/b"), AddressError::Downgrade { .. }));
        for wrong in
            [&b"ftp://hub.co/a"[..], b"file:/etc/passwd", b"javascript:alert(1)", b"https://", b"/a b\x00", b"/\xff"]
        {
            assert!(matches!(error(wrong), AddressError::Malformed { .. }), "{wrong:?}");
        }
    }
}
