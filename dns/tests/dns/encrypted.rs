//! Resolvers over TLS and HTTPS, with certificates from `tls/` (for `dns.test`, used nowhere else).

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use dns::{Dns, HostFiles};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use policy::PolicyBuilder;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::*;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dns/tls");

async fn listen<F>(alpn: &[&[u8]], serve: impl Fn(TlsStream<TcpStream>) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let certificates = CertificateDer::pem_file_iter(format!("{FILES}/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{FILES}/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream));
            }
        }
    });
    address
}

fn answer(query: &[u8]) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    reply(&query, vec![address("good.example.", "192.0.2.1")]).to_vec().unwrap()
}

async fn over_tls(mut stream: TlsStream<TcpStream>) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await.unwrap();
        let reply = answer(&query);
        stream.write_u16(reply.len() as u16).await.unwrap();
        stream.write_all(&reply).await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn over_https(stream: TlsStream<TcpStream>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/ask");
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut query = Vec::new();
            while let Some(data) = body.data().await {
                query.extend_from_slice(&data.unwrap());
            }
            let head = http::Response::builder().header("content-type", "application/dns-message");
            let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
            send.send_data(answer(&query).into(), true).unwrap();
        });
    }
}

fn dns(resolver: String) -> Dns {
    let mut builder = PolicyBuilder::new();
    builder.add_allow("good.example");
    builder.set_resolvers([resolver]);
    let files = HostFiles { roots: vec![Path::new(FILES).join("ca.pem")], ..HostFiles::default() };
    Dns::new(builder.build().unwrap().into(), vec![OWN.ip()], files)
}

async fn resolves(dns: &Dns) -> bool {
    let (message, _) = ask(dns, "good.example.", RecordType::A).await;
    assert_eq!(message.metadata.response_code == ResponseCode::ServFail, message.answers.is_empty());
    addresses(&message) == ["192.0.2.1".parse::<IpAddr>().unwrap()]
}

#[tokio::test]
async fn resolves_over_tls() {
    let address = listen(&[], over_tls).await;
    assert!(resolves(&dns(format!("tls://{address}#dns.test"))).await);
}

#[tokio::test]
async fn resolves_over_https() {
    let address = listen(&[b"h2"], over_https).await;
    assert!(resolves(&dns(format!("https://{address}/ask#dns.test"))).await);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let address = listen(&[], over_tls).await;
    assert!(!resolves(&dns(format!("tls://{address}#other.test"))).await);
}
