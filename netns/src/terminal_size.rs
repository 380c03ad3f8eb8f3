//! How large a terminal is (ioctl_tty(2), TIOCGWINSZ).

use std::os::fd::{AsFd, AsRawFd};

/// The columns of the terminal behind a descriptor; `None` if there is none, or if it does not know.
pub fn terminal_columns(descriptor: impl AsFd) -> Option<u16> {
    terminal_size(descriptor).map(|(columns, _)| columns)
}

/// Its columns and rows; rows are zero if only those are not known.
pub fn terminal_size(descriptor: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel writes one `winsize`.
    let answer = unsafe { libc::ioctl(descriptor.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (answer == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    use nix::pty::openpty;

    use super::*;

    #[test]
    fn only_terminals_have_columns() {
        let size = libc::winsize { ws_row: 24, ws_col: 132, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        assert_eq!(terminal_columns(&pty.slave), Some(132));
        assert_eq!(terminal_size(&pty.slave), Some((132, 24)));
        let unknown = openpty(None, None).unwrap();
        assert_eq!(terminal_columns(&unknown.slave), None);
        assert_eq!(terminal_columns(std::fs::File::open("/dev/null").unwrap()), None);
    }
}
