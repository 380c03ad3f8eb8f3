//! Modules and data documents, and what they say to an input. Pure: texts are handed in.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use policy::{Advice, Objection, Opinion};
use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};
use regorus::{Engine, Value};

use super::iteration::as_opa;
use super::labels::Labels;
use super::looks::looks_at_process;
use super::{Input, addresses, functions, patterns, recursion};

/// How long the rules may take for one input.
const MOST: Duration = Duration::from_millis(250);
/// Steps between two looks at the clock.
const STEPS: NonZeroU32 = NonZeroU32::new(256).expect("not zero");
/// Characters of a message that are kept.
const SHOWN: usize = 300;

/// The engine's word for a path at which there is no rule.
const NO_RULE: &str = "not a valid rule path";
const ALLOW: &str = "data.cijail.allow";
const DENY: &str = "data.cijail.deny";
/// What kntrl asks its bundle.
const KNTRL_POLICY: &str = "data.kntrl.policy";
/// What rules of kntrl's add to for what is denied whatever allows it.
const KNTRL_DENIED: &str = "data.kntrl.ancestry_denied";

/// A module, or a data document in JSON, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A module.
    Module {
        /// What errors call it.
        source: String,
        /// Rego.
        text: String,
    },
    /// Data, put beneath `data` at the path that its directory has.
    Data {
        /// What errors call it.
        source: String,
        /// The keys above it, the outermost first.
        path: Vec<String>,
        /// JSON.
        text: String,
    },
}

/// Rules that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RegoError(String);

/// Rules that have been read.
#[derive(Debug, Clone)]
pub struct Rules {
    engine: Engine,
    /// As it was before any evaluation, for after one that failed: what its `with` had replaced would stay so.
    pristine: Engine,
    /// Which of the four are there.
    asked: Vec<&'static str>,
    looks_at_process: bool,
    /// Of the run, an object.
    labels: serde_json::Value,
}

/// The clock of the time limit.
struct Clock;

impl TimeSource for Clock {
    fn now(&self) -> Option<Duration> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Some(START.elapsed())
    }
}

impl Rules {
    /// Reads modules and data.
    ///
    /// # Errors
    /// One of them is not valid, two contradict each other, or none has a rule that is asked for. A mistake
    /// in a module has its file, line and column.
    pub fn new(documents: &[Document]) -> Result<Rules, RegoError> {
        // Another instance may have set it, to the same.
        let _ = set_time_source(&Clock);
        let mut engine = Engine::new();
        engine.set_execution_timer_config(ExecutionTimerConfig { limit: MOST, check_interval: STEPS });
        addresses::add(&mut engine).map_err(|error| RegoError(error.to_string()))?;
        let mut looks = false;
        for document in documents {
            match document {
                Document::Module { source, text } => {
                    looks |= looks_at_process(text);
                    engine
                        .add_policy(source.clone(), as_opa(text).into_owned())
                        .map_err(|error| RegoError(place(&error.to_string())))?;
                }
                Document::Data { source, path, text } => {
                    let data = data(path, text).map_err(|error| RegoError(format!("{source}: {error}")))?;
                    engine
                        .add_data(data)
                        .map_err(|error| RegoError(format!("{source}: {}", place(&error.to_string()))))?;
                }
            }
        }
        let modules = engine.get_ast_as_json().map_err(|error| RegoError(error.to_string()))?;
        let modules: Vec<serde_json::Value> = serde_json::from_str(&modules)
            .map_err(|error| RegoError(format!("looking at the modules as JSON: {error}")))?;
        functions::are_whole(&modules).map_err(RegoError)?;
        recursion::is_absent(&modules).map_err(RegoError)?;
        patterns::are_right(&modules).map_err(RegoError)?;
        engine.set_input(Value::new_object());
        // No rule has this path: the modules are made ready, and nothing is evaluated.
        if let Err(error) = engine.eval_rule(String::new())
            && error.to_string() != NO_RULE
        {
            return Err(RegoError(place(&error.to_string())));
        }
        let pristine = engine.clone();
        let mut asked = Vec::new();
        for query in [DENY, KNTRL_DENIED, ALLOW, KNTRL_POLICY] {
            match engine.eval_rule(query.to_owned()) {
                Err(error) if error.to_string() == NO_RULE => {}
                // What it gives for no input says nothing; what fails before anything is evaluated does.
                Err(error) if is_static(&error.to_string()) => {
                    return Err(RegoError(place(&error.to_string())));
                }
                _ => asked.push(query),
            }
        }
        if asked.is_empty() {
            return Err(RegoError(format!(
                "the Rego modules have none of the rules that are asked for: add {ALLOW} or {DENY}, as in `package cijail` and `allow if input.name == \"example.com\"`"
            )));
        }
        Ok(Rules {
            engine: pristine.clone(),
            pristine,
            asked,
            looks_at_process: looks,
            labels: Labels::default().to_json(),
        })
    }

    /// The same for a run with these labels.
    #[must_use]
    pub fn with_labels(self, labels: &Labels) -> Rules {
        Rules { labels: labels.to_json(), ..self }
    }

    /// Whether what they say depends on the process.
    pub fn looks_at_process(&self) -> bool {
        self.looks_at_process
    }

    /// What the rules say. A rule that fails, takes too long or gives what is no answer denies.
    pub fn evaluate(&mut self, input: Input) -> Opinion {
        let evaluated = catch_unwind(AssertUnwindSafe(|| self.ask(input)));
        let opinion = evaluated.unwrap_or_else(|_| failed(Objection::Error, "the evaluation broke off"));
        if matches!(opinion.advice, Advice::Deny(Objection::Error | Objection::Deadline)) {
            self.engine = self.pristine.clone();
        }
        opinion
    }

    fn ask(&mut self, mut input: Input) -> Opinion {
        input.cijail.insert("labels".to_owned(), self.labels.clone());
        let cijail = Value::from(serde_json::Value::from(input.cijail));
        let kntrl = Value::from(serde_json::Value::from(input.kntrl));
        let mut advice = Advice::Silent;
        // Those that deny come first.
        for &query in &self.asked {
            let is_kntrls = matches!(query, KNTRL_DENIED | KNTRL_POLICY);
            self.engine.set_input(if is_kntrls { kntrl.clone() } else { cijail.clone() });
            // Rules of kntrl's rely on OPA's way, to which a call with an argument of another kind is
            // undefined. Elsewhere a rule that cannot be evaluated must not go by in silence.
            self.engine.set_strict_builtin_errors(!is_kntrls);
            let value = match self.engine.eval_rule(query.to_owned()) {
                Ok(value) => value,
                Err(error) => {
                    let late = error.to_string().contains("execution exceeded time limit");
                    let objection = if late { Objection::Deadline } else { Objection::Error };
                    return failed(objection, &place(&error.to_string()));
                }
            };
            let denies = matches!(query, DENY | KNTRL_DENIED);
            match (value, denies) {
                (Value::Undefined | Value::Bool(false), _) => {}
                (Value::Bool(true), true) => {
                    return Opinion { advice: Advice::Deny(Objection::Rule), detail: Some(query.to_owned()) };
                }
                (Value::Bool(true), false) => advice = Advice::Allow,
                (Value::Set(messages), true) if messages.is_empty() => {}
                (Value::Set(messages), true) => {
                    let texts: Vec<String> = messages.iter().map(message).collect();
                    return Opinion {
                        advice: Advice::Deny(Objection::Rule),
                        detail: Some(short(&format!("{query}: {}", texts.join("; ")))),
                    };
                }
                _ => return failed(Objection::Error, &format!("{query} is neither true nor false")),
            }
        }
        Opinion { advice, detail: None }
    }
}

/// The document beneath its keys.
fn data(path: &[String], text: &str) -> Result<Value, String> {
    let mut value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if path.is_empty() && !value.is_object() {
        return Err("data is a JSON object".to_owned());
    }
    for key in path.iter().rev() {
        value = serde_json::json!({ key: value });
    }
    Ok(Value::from(value))
}

fn message(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    }
}

fn failed(objection: Objection, what: &str) -> Opinion {
    Opinion { advice: Advice::Deny(objection), detail: Some(short(&format!("Rego: {what}"))) }
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Whether an error is about the rules themselves rather than their evaluation.
fn is_static(text: &str) -> bool {
    [
        "recursion",
        "unsafe variable",
        "undefined variable",
        "conflict",
        "could not find function",
        "use of undefined",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// `file.rego:3:5: what is wrong`, of the library's `--> file.rego:3:5`, an excerpt, and `error: what is wrong`.
fn place(text: &str) -> String {
    let at = text.lines().find_map(|line| line.strip_prefix("--> "));
    let what = text.lines().find_map(|line| line.trim_start().strip_prefix("error: "));
    match (at, what) {
        (Some(at), Some(what)) => format!("{at}: {what}"),
        _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
