//! Rules in Rego beside the policy's own: they are asked about each name, connection, request and flow.
//!
//! `rules` and `question` are pure; `worker` evaluates on a thread of its own, and this file brings
//! questions there and answers back, within a deadline.

mod addresses;
mod cache;
mod functions;
mod input;
mod iteration;
mod kntrl;
mod labels;
mod looks;
mod patterns;
mod question;
mod recursion;
mod rules;
mod worker;

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::{Advice, Objection, Opinion};
use tokio::sync::Semaphore;

use crate::audit::Origin;

use cache::Cache;
use worker::Worker;

pub use input::Input;
pub use labels::{LabelError, Labels};
pub use question::{Protocol, Question};
pub use rules::{Document, RegoError, Rules};

/// How long an opinion is waited for, with those that are evaluated before it.
const DEADLINE: Duration = Duration::from_secs(2);

/// Questions that are under way at once, most of them waiting for their program to be known.
const UNDER_WAY: usize = 4096;

/// The way to ask the rules of a run.
#[derive(Debug)]
pub struct Rego {
    worker: Worker,
    /// Whether an opinion depends on the process that asks.
    looks_at_process: bool,
    cache: Mutex<Cache>,
    /// Questions that may be under way more.
    places: Semaphore,
}

impl Rego {
    /// Starts the thread that evaluates.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(rules: Rules) -> io::Result<Rego> {
        let looks_at_process = rules.looks_at_process();
        let (cache, places) = (Mutex::default(), Semaphore::new(UNDER_WAY));
        Ok(Rego { worker: Worker::start(rules)?, looks_at_process, cache, places })
    }

    /// What the rules say. Only rules that look at the process wait for it, and without it deny.
    pub async fn advise(&self, question: Question, origin: Option<&Origin>) -> Opinion {
        let Ok(_place) = self.places.try_acquire() else { return late("too many questions at once") };
        if !self.looks_at_process {
            if let Some(opinion) = self.cache().get(&question) {
                return opinion;
            }
            let opinion = self.evaluate(question.input(None)).await;
            // What failed may do better the next time.
            let is_final = !matches!(opinion.advice, Advice::Deny(Objection::Deadline | Objection::Error));
            if is_final && question.is_short() {
                self.cache().put(question, opinion.clone());
            }
            return opinion;
        }
        let program = match origin {
            Some(origin) => origin.answer().await,
            None => None,
        };
        match program {
            Some(program) => self.evaluate(question.input(Some(&program))).await,
            None => Opinion {
                advice: Advice::Deny(Objection::Process),
                detail: Some("Rego rules look at the process, and it is not known whose this is".to_owned()),
            },
        }
    }

    async fn evaluate(&self, input: Input) -> Opinion {
        let Some(answer) = self.worker.ask(input) else { return late("too many evaluations at once") };
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(opinion)) => opinion,
            Ok(Err(_)) => late("nobody evaluates any more"),
            Err(_) => late("no answer in time"),
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn late(what: &str) -> Opinion {
    Opinion { advice: Advice::Deny(Objection::Deadline), detail: Some(format!("Rego: {what}")) }
}

#[cfg(test)]
mod tests;
