//! What a client is told of a request that did not get through.

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode, Version};
use policy::Reason;

use super::super::denial;
use super::super::report::Report;
use super::body::{self, Body};
use super::head::Asked;
use crate::audit::printable;
use crate::causes::chain;

/// The request was not let through.
pub(super) fn refusal(asked: &Asked, report: &Report, version: Version) -> Response<Body> {
    let status = match report.why().0 {
        Some(Reason::Malformed | Reason::NoHost) => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    respond_text(status, denial::text(&format!("{} {}", asked.method, asked.url()), report), version)
}

/// The request was let through, and did not reach the other side.
pub(super) fn failure(
    asked: &Asked,
    report: &Report,
    error: &dyn std::error::Error,
    version: Version,
) -> Response<Body> {
    if report.why().0 != Some(Reason::UpstreamFailed) {
        return refusal(asked, report, version);
    }
    let text = format!(
        "cijail-net allowed {} {} but could not reach the host.\nreason: {}: {}\n",
        asked.method,
        printable(&asked.url()),
        Reason::UpstreamFailed,
        printable(&chain(error)),
    );
    respond_text(StatusCode::BAD_GATEWAY, text, version)
}

fn respond_text(status: StatusCode, text: String, version: Version) -> Response<Body> {
    let mut response = Response::new(body::full(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // HTTP/2 has no such field, and its other streams go on.
    if version != Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
