//! Secrets that a client must show.

use std::fmt::{self, Debug};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a client must show, kept as its SHA-256.
///
/// Comparing digests in constant time leaks neither the secret's bytes nor its
/// length, and a look into the memory does not find it here.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// Remembers a secret. An empty one is never matched.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self(Sha256::digest(secret.expose_secret().as_bytes()).into())
    }

    /// Whether the headers carry it as `Authorization: Bearer`.
    pub(super) fn is_bearer_of(&self, headers: &HeaderMap) -> bool {
        authorization(headers)
            .and_then(|value| after(value, b"bearer "))
            .is_some_and(|shown| self.is(shown))
    }

    /// The same, or as the password of `Authorization: Basic`, whoever the user is.
    pub(super) fn is_shown_in(&self, headers: &HeaderMap) -> bool {
        let basic = || {
            let encoded = after(authorization(headers)?, b"basic ")?;
            let decoded = BASE64_STANDARD.decode(encoded).ok()?;
            let colon = decoded.iter().position(|byte| *byte == b':')?;
            Some(self.is(&decoded[colon + 1..]))
        };
        self.is_bearer_of(headers) || basic().unwrap_or(false)
    }

    fn is(&self, shown: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        !shown.is_empty() && bool::from(digest.ct_eq(&self.0))
    }
}

impl Debug for Token {
    /// Not even the digest: a short secret could be guessed from it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The only such header: two could be read differently by a proxy before us.
fn authorization(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    values.next().filter(|_| values.next().is_none())
}

/// What stands after a scheme.
fn after<'a>(value: &'a HeaderValue, scheme: &[u8]) -> Option<&'a [u8]> {
    let (found, shown) = value.as_bytes().split_at_checked(scheme.len())?;
    found.eq_ignore_ascii_case(scheme).then(|| shown.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn shown(token: &str, value: &str) -> bool {
        Token::new(&SecretString::from(token)).is_bearer_of(&headers(&[value]))
    }

    fn shown_either_way(token: &str, value: &str) -> bool {
        Token::new(&SecretString::from(token)).is_shown_in(&headers(&[value]))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    #[test]
    fn only_the_whole_token_opens_the_door() {
        assert!(shown("s3cret", "Bearer s3cret"));
        assert!(shown("s3cret", "bearer  s3cret"));
        for value in ["Bearer s3cre", "Bearer s3crets", "Bearer S3cret", "Basic s3cret", "s3cret"] {
            assert!(!shown("s3cret", value), "{value}");
            assert!(!shown_either_way("s3cret", value), "{value}");
        }
    }

    #[test]
    fn a_browser_shows_it_as_the_password_of_any_user() {
        for pair in ["ops:s3cret", ":s3cret", "a b:s3cret"] {
            assert!(shown_either_way("s3cret", &basic(pair)), "{pair}");
        }
        assert!(shown_either_way("a:b", &basic("ops:a:b")));
        assert!(shown_either_way("s3cret", "Bearer s3cret"));
        for pair in ["s3cret", "s3cret:", "ops:s3cre", "ops:s3crets", "ops: s3cret", ":"] {
            assert!(!shown_either_way("s3cret", &basic(pair)), "{pair}");
        }
        for value in ["Basic", "Basic ", "Basic !!!", "Basic czNjcmV0\u{ff}"] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value);
            assert!(!Token::new(&SecretString::from("s3cret")).is_shown_in(&headers));
        }
        assert!(!shown("s3cret", &basic("ops:s3cret")), "what starts a backup is no password");
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        for value in ["Bearer ", "Bearer", "bearer  ", ""] {
            assert!(!shown("", value), "{value}");
        }
        for pair in [":", "ops:"] {
            assert!(!shown_either_way("", &basic(pair)), "{pair}");
        }
    }

    #[test]
    fn two_headers_are_refused_even_when_one_is_right() {
        let token = Token::new(&SecretString::from("s3cret"));
        let both = headers(&["Bearer s3cret", "Bearer other"]);
        assert!(!token.is_bearer_of(&both) && !token.is_shown_in(&both));
    }

    #[test]
    fn a_token_does_not_show_itself() {
        assert_eq!(format!("{:?}", Token::new(&SecretString::from("s3cret"))), "Token(..)");
    }
}
