//! What is read from and written to single requests, past the SDK's own surface.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use aws_sdk_s3::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
            BeforeTransmitInterceptorContextRef, InterceptorContext,
        },
        retry::{ClassifyRetry, RetryAction},
    },
    error::BoxError,
};
use chrono::{DateTime, Utc};

use super::{checksum::content_md5, errors::xml_element, facts::Address};

/// Counts how often one call went over the wire. After a second attempt a
/// "precondition failed" may be about the object that the first one wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(Arc<AtomicU32>);

impl Attempts {
    pub(super) fn were_repeated(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Keeps the `Date` header of an answer, whatever its status: a refusal tells
/// the time as well as a welcome.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerDate(Arc<Mutex<Option<String>>>);

impl ServerDate {
    pub(super) fn get(&self) -> Option<DateTime<Utc>> {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        DateTime::parse_from_rfc2822(&text).ok().map(|time| time.to_utc())
    }
}

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(date.to_owned());
        }
        Ok(())
    }
}

/// Puts `Content-MD5` in the place of the newer checksum headers, which the
/// SDK insists on where S3 requires a checksum and not every store knows.
#[derive(Debug)]
pub(super) struct ContentMd5;

impl Intercept for ContentMd5 {
    fn name(&self) -> &'static str {
        "ContentMd5"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let body = request.body().bytes().ok_or("the body is not in memory")?;
        let md5 = content_md5(body);
        let headers = request.headers_mut();
        let newer: Vec<String> = headers
            .iter()
            .map(|(name, _)| name.to_owned())
            .filter(|name| {
                name.starts_with("x-amz-checksum-") || name == "x-amz-sdk-checksum-algorithm"
            })
            .collect();
        for name in newer {
            headers.remove(name);
        }
        headers.insert("content-md5", md5);
        Ok(())
    }
}

/// Notes where a request goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Destination(Arc<Mutex<Address>>);

impl Destination {
    pub(super) fn get(&self) -> Address {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Intercept for Destination {
    fn name(&self) -> &'static str {
        "Destination"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address(context.request().uri())?;
        Ok(())
    }
}

fn address(uri: &str) -> Result<Address, BoxError> {
    let url = url::Url::parse(uri)?;
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok(Address { host, tls: url.scheme() == "https" })
}

/// Keeps a request from leaving for any host that the rule does not allow.
#[derive(Debug)]
pub(super) struct OnlyTo(pub(super) fn(&Address) -> bool);

impl Intercept for OnlyTo {
    fn name(&self) -> &'static str {
        "OnlyTo"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let address = address(context.request().uri())?;
        if (self.0)(&address) { Ok(()) } else { Err("this is not sent to that host".into()) }
    }
}

/// Sends a request to another address, with a header of its own: for the one
/// question to the account that is asked in the very words of one to a bucket.
#[derive(Debug)]
pub(super) struct Redirect {
    pub(super) uri: String,
    pub(super) header: (&'static str, String),
}

impl Intercept for Redirect {
    fn name(&self) -> &'static str {
        "Redirect"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.set_uri(self.uri.clone())?;
        request.headers_mut().insert(self.header.0, self.header.1.clone());
        Ok(())
    }
}

/// Sends again what arrived damaged; the SDK by itself would give up.
#[derive(Debug)]
pub(super) struct RetryDamage;

impl ClassifyRetry for RetryDamage {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let damaged = context
            .response()
            .filter(|response| response.status().as_u16() == 400)
            .and_then(|response| response.body().bytes())
            .and_then(|body| xml_element(body, "Code"))
            .is_some_and(|code| super::errors::DAMAGED.contains(&code.as_str()));
        if damaged { RetryAction::transient_error() } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "RetryDamage"
    }
}
