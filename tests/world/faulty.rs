//! Servers that do what servers should not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::sockets;

const CHUNK: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Takes the connection and never reads nor writes.
    Stalls,
    /// Sends that much after the first byte came, and then a reset.
    Resets(usize),
    /// Sends for as long as anybody takes it.
    NeverEnds,
    /// Sends for that long without reading, and resets.
    Floods(Duration),
    /// Speaks only that long after the client has ended its side.
    AnswersLate(Duration),
    /// Answers a request of HTTP before it has its body, which it then takes.
    AnswersEarly,
    /// Answers a request of HTTP with less than it says, and hangs up.
    AnswersInPart,
    /// Takes so much of a request of HTTP and hangs up.
    HangsUpAfter(usize),
}

/// To be called in the internet namespace, on its runtime.
pub(super) fn serve(address: SocketAddr, fault: Fault) -> io::Result<()> {
    let listener = sockets::tcp_listener(address)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(stream, fault));
        }
    });
    Ok(())
}

async fn misbehave(mut stream: TcpStream, fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Stalls => std::future::pending().await,
        Fault::Resets(length) => {
            stream.read_u8().await?;
            stream.write_all(&vec![b'.'; length]).await?;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            Ok(())
        }
        Fault::NeverEnds => {
            stream.read_u8().await?;
            let chunk = vec![b'.'; CHUNK];
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Fault::Floods(time) => {
            stream.read_u8().await?;
            let flood = async { while stream.write_all(&vec![b'.'; CHUNK]).await.is_ok() {} };
            // A client that reads nothing soon stops it.
            let _ = tokio::time::timeout(time, flood).await;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            Ok(())
        }
        Fault::AnswersEarly => {
            read_head(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(|_| ())
        }
        Fault::AnswersInPart => {
            read_head(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart.").await?;
            stream.shutdown().await
        }
        Fault::HangsUpAfter(length) => {
            read_head(&mut stream).await?;
            stream.read_exact(&mut vec![0; length]).await.map(|_| ())
        }
        Fault::AnswersLate(pause) => {
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await?;
            tokio::time::sleep(pause).await;
            stream.write_all(&heard).await?;
            stream.shutdown().await
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(stream.read_u8().await?);
    }
    Ok(())
}
