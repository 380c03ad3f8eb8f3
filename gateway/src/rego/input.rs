//! The `input` that rules see of a question. Pure.

use netns::job::Program;
use serde_json::{Map, Value, json};

use super::{Question, kntrl};

/// The input of rules of our own, and that of rules written for kntrl.
#[derive(Debug, Clone)]
pub struct Input {
    /// Has the keys of the other as well, so that rules of our own can ask rules written for kntrl.
    pub(super) cijail: Map<String, Value>,
    /// As kntrl gives it, and nothing more: its rules go through all values of it.
    pub(super) kntrl: Map<String, Value>,
}

impl Question {
    /// What rules see of it. Without a program the input has none of the keys that tell of the process.
    pub fn input(&self, program: Option<&Program>) -> Input {
        let kntrl = kntrl::event(self, program);
        let mut cijail = kntrl.clone();
        cijail.insert("protocol".into(), self.protocol.as_str().into());
        let known = [("name", &self.name), ("method", &self.method), ("url", &self.url)];
        for (key, text) in known {
            if let Some(text) = text {
                cijail.insert(key.into(), text.as_str().into());
            }
        }
        if let Some(address) = self.address {
            cijail.insert("address".into(), address.to_canonical().to_string().into());
        }
        if let Some(port) = self.port {
            cijail.insert("port".into(), port.into());
        }
        if let Some(Program { pid, exe, args, parents }) = program {
            let process = json!({ "pid": pid, "exe": exe, "args": args, "parents": parents });
            cijail.insert("process".into(), process);
        }
        Input { cijail, kntrl }
    }
}
