//! A run on a terminal's alternate screen, drawn anew each second until a key or a signal ends it.

use std::io::{self, Write};
use std::time::Duration;

use netns::Keys;
use netns::job::signals::{TERMINAL_STOP, stop_self};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::interval;

use crate::live::ask::{AskError, ask};
use crate::live::name::RunName;
use crate::live::snapshot::Snapshot;
use crate::live::table::table;

const EVERY: Duration = Duration::from_secs(1);
/// Columns and rows of a terminal that does not know.
const USUAL: (u16, u16) = (80, 24);

/// Enters the alternate screen and hides the cursor (xterm, DECSET 1049 and 25).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first place; the rest of a line, and of the screen, is emptied as it is drawn.
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\r\n";
const REST: &str = "\x1b[J";

/// Keys that leave; the last is Ctrl-D.
const LEAVING: [u8; 3] = [b'q', b'Q', 4];

/// Why it is left.
enum Left {
    Asked,
    Stopped,
    Ended(AskError),
}

/// Shows the run until somebody leaves it, or there is nothing more to show, for the reason that is returned.
///
/// # Errors
/// The event loop could not be started, or the terminal takes nothing.
pub(super) fn watch(name: &RunName, first: Snapshot) -> io::Result<Option<AskError>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut ends = End::listen()?;
        let mut view = View { name, before: None, now: first };
        loop {
            match view.show(&mut ends).await? {
                Left::Asked => return Ok(None),
                Left::Ended(error) => return Ok(Some(error)),
                // The screen is as it was before us while we are stopped.
                Left::Stopped => stop_self(),
            }
        }
    })
}

/// Signals that would leave the terminal as it is.
struct End {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hangup: Signal,
    stop: Signal,
    resized: Signal,
}

impl End {
    fn listen() -> io::Result<End> {
        Ok(End {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            stop: signal(SignalKind::from_raw(TERMINAL_STOP))?,
            resized: signal(SignalKind::window_change())?,
        })
    }
}

struct View<'a> {
    name: &'a RunName,
    before: Option<Snapshot>,
    now: Snapshot,
}

impl View<'_> {
    async fn show(&mut self, ends: &mut End) -> io::Result<Left> {
        let screen = Screen::enter()?;
        // Without a keyboard a signal ends it.
        let keys = Keys::take().map(netns::watch).transpose()?;
        let mut ticks = interval(EVERY);
        // The first is at once.
        ticks.tick().await;
        loop {
            screen.draw(&self.now, self.before.as_ref())?;
            tokio::select! {
                _ = ticks.tick() => match ask(self.name) {
                    Ok(now) => self.before = Some(std::mem::replace(&mut self.now, now)),
                    Err(error) => return Ok(Left::Ended(error)),
                },
                leaves = pressed(keys.as_ref()) => if leaves { return Ok(Left::Asked) },
                _ = ends.resized.recv() => {}
                _ = ends.stop.recv() => return Ok(Left::Stopped),
                _ = ends.interrupt.recv() => return Ok(Left::Asked),
                _ = ends.quit.recv() => return Ok(Left::Asked),
                _ = ends.terminate.recv() => return Ok(Left::Asked),
                _ = ends.hangup.recv() => return Ok(Left::Asked),
            }
        }
    }
}

/// Whether a key says to leave; never without a keyboard.
async fn pressed(keys: Option<&AsyncFd<Keys>>) -> bool {
    let Some(keys) = keys else { return std::future::pending().await };
    let Ok(mut ready) = keys.readable().await else { return true };
    ready.clear_ready();
    // A terminal that has hung up says so by a signal as well.
    keys.get_ref().read(&mut [0; 64]).map_or(true, |pressed| pressed.iter().any(|key| LEAVING.contains(key)))
}

/// The alternate screen, as long as this lives.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Screen> {
        let screen = Screen;
        write(ENTER)?;
        Ok(screen)
    }

    fn draw(&self, now: &Snapshot, before: Option<&Snapshot>) -> io::Result<()> {
        let (columns, rows) = netns::terminal_size(io::stdout()).unwrap_or(USUAL);
        let rows = usize::from(if rows == 0 { USUAL.1 } else { rows });
        let mut lines = table(now, before, columns.into());
        let is_cut = lines.len() >= rows;
        lines.truncate(rows.saturating_sub(1));
        let mut text = String::from(HOME);
        for line in lines {
            text.push_str(&line);
            text.push_str(END_OF_LINE);
        }
        text.push_str(if is_cut { "more does not fit; q leaves" } else { "q leaves" });
        text.push_str(REST);
        write(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that has hung up needs nothing.
        let _ = write(LEAVE);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
