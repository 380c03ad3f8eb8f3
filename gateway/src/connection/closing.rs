//! How a connection ends that is not let through.

use std::time::Duration;

use tokio::net::TcpStream;

use super::Connection;
use super::judged::Judged;
use crate::audit::{Kind, Outcome, hold};
use crate::relay::{reset, write_all};
use crate::turn::Turn;

impl Connection<'_> {
    pub(super) async fn refuse(self, kind: Kind, judged: &Judged<'_>, why: &str) {
        let mut report = self.report(kind, judged);
        report.detail(why);
        drop(report);
        self.close_with(&[]).await;
    }

    /// Ends the connection, with a last message if the protocol has one.
    pub(super) async fn close_with(self, last_words: &[u8]) {
        hold(self.origin.as_ref(), Outcome::Deny).await;
        if last_words.is_empty() {
            reset(&self.stream);
            return;
        }
        if write_all(&self.stream, last_words).await.is_ok() {
            linger(self.stream).await;
        }
    }
}

/// Closes a stream so that its last words arrive: unread bytes would turn the close into a reset,
/// so they are read and thrown away for a moment.
pub(super) async fn linger(stream: TcpStream) {
    const AT_MOST: Duration = Duration::from_millis(500);
    let _ = socket2::SockRef::from(&stream).shutdown(std::net::Shutdown::Write);
    let drain = async {
        let (mut scratch, mut turn) = ([0; 4096], Turn::default());
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scratch) {
                Ok(0) => break,
                Ok(octets) => turn.step(octets).await,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(AT_MOST, drain).await;
}
