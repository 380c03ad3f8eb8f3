//! The internet's DNS server.

use std::io;
use std::net::UdpSocket;
use std::thread;

use crate::world::SERVER;

const DNS: u16 = 53;

/// Answers from now on.
pub(crate) fn serve() -> io::Result<()> {
    let socket = UdpSocket::bind((SERVER, DNS))?;
    thread::spawn(move || answer_names(&socket));
    Ok(())
}

/// Every name has the server's IPv4 address and no other record (RFC 1035 section 4.1).
fn answer_names(socket: &UdpSocket) {
    const ADDRESS: [u8; 2] = [0, 1];
    let mut message = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut message) {
        let Some(end) = question_end(&message[..length]) else { continue };
        let has_answer = message[end - 4..end - 2] == ADDRESS;
        let mut answer = message[..end].to_vec();
        // A recursive answer without error, one question, no further sections.
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
        if has_answer {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4]);
            answer.extend(SERVER.octets());
        }
        // A lost answer is asked for again.
        let _ = socket.send_to(&answer, client);
    }
}

/// Where the only question ends.
fn question_end(message: &[u8]) -> Option<usize> {
    let name = message.get(12..)?;
    let end = 12 + name.iter().position(|octet| *octet == 0)? + 5;
    (end <= message.len()).then_some(end)
}
