//! HTTP/2 as a test's server speaks it, with the same answers as over HTTP/1.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request as HyperRequest, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::http::{Handler, Origin, Reply, Request};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Serves a connection until either side has had enough.
pub(crate) async fn serve<S>(stream: S, origin: Origin, handler: Arc<dyn Handler>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: HyperRequest<Incoming>| {
        let (origin, handler) = (origin.clone(), handler.clone());
        async move { Ok::<_, hyper::Error>(answer(handler.handle(read(request, origin).await?))) }
    });
    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn read(request: HyperRequest<Incoming>, origin: Origin) -> hyper::Result<Request> {
    let (parts, body) = request.into_parts();
    let mut headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    if let Some(authority) = parts.uri.authority() {
        headers.push(("host".to_owned(), authority.to_string()));
    }
    Ok(Request {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map_or("*", |target| target.as_str()).to_owned(),
        headers,
        body: body.collect().await?.to_bytes().to_vec(),
        server: origin.server,
        client: origin.client,
        sni: origin.sni,
    })
}

fn answer(reply: Reply) -> Response<Body> {
    let full = |bytes: Vec<u8>| Full::new(Bytes::from(bytes)).boxed_unsync();
    match reply {
        Reply::Full { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(full(body)).unwrap()
        }
        Reply::Bytes(count) => Response::new(full(vec![b'.'; count as usize])),
        Reply::Trailers => {
            let trailers =
                HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
            let body = Full::new(Bytes::from("trailing")).with_trailers(async { Some(Ok(trailers)) });
            Response::new(body.boxed_unsync())
        }
        reply => panic!("HTTP/2 has no {reply:?}"),
    }
}
