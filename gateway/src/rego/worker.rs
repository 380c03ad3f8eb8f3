//! The thread that evaluates, so that no rule holds up anything but what waits for it.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use netns::guard::confine_helper;
use policy::Opinion;
use tokio::sync::oneshot;

use super::{Input, Rules};

/// Evaluations that may wait.
const WAITING: usize = 1024;
/// Octets of its stack: rules may nest.
const STACK: usize = 16 << 20;

/// The way to the thread. It ends when this is dropped and nothing waits any more.
#[derive(Debug)]
pub(super) struct Worker(SyncSender<Task>);

type Task = (Input, oneshot::Sender<Opinion>);

impl Worker {
    pub(super) fn start(mut rules: Rules) -> io::Result<Worker> {
        let (sender, tasks) = sync_channel::<Task>(WAITING);
        thread::Builder::new().name("rego".to_owned()).stack_size(STACK).spawn(move || {
            // Without it nobody evaluates, which denies.
            if confine_helper().is_err() {
                return;
            }
            while let Ok((input, answer)) = tasks.recv() {
                // Who gave up waiting needs no answer.
                if !answer.is_closed() {
                    let _ = answer.send(rules.evaluate(input));
                }
            }
        })?;
        Ok(Worker(sender))
    }

    /// Asks for an evaluation; `None` if too many wait already.
    pub(super) fn ask(&self, input: Input) -> Option<oneshot::Receiver<Opinion>> {
        let (sender, answer) = oneshot::channel();
        self.0.try_send((input, sender)).ok().map(|()| answer)
    }
}
