//! Functions that modules define in parts. Pure.
//!
//! To OPA the bodies of a function may lie in several modules of its package. The engine looks for all of them in
//! the first, so what the others say would be an error, or be missed.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// What the engine tells of a module that it has read; of all else nothing is read.
#[derive(Deserialize)]
struct Module {
    source: Source,
    ast: Tree,
}

#[derive(Deserialize)]
struct Source {
    file: String,
}

#[derive(Deserialize)]
struct Tree {
    package: Package,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Package {
    refr: Path,
}

#[derive(Deserialize)]
enum Rule {
    Spec { head: Head },
    Default { span: Span, refr: Path, args: Vec<IgnoredAny> },
}

#[derive(Deserialize)]
enum Head {
    Func { span: Span, refr: Path },
    Compr(IgnoredAny),
    Set(IgnoredAny),
}

#[derive(Deserialize)]
struct Span {
    line: u32,
    col: u32,
}

/// `a`, `a.b` or `a["b"]`.
#[derive(Deserialize)]
pub(super) enum Path {
    Var { value: String },
    RefDot { refr: Box<Path>, field: (IgnoredAny, String) },
    RefBrack { refr: Box<Path>, index: Index },
}

#[derive(Deserialize)]
pub(super) enum Index {
    String { value: String },
}

/// Whether each function is in one module only, of the engine's modules.
///
/// # Errors
/// What is wrong, with file, line and column.
pub(super) fn are_whole(modules: &[Value]) -> Result<(), String> {
    let modules: Vec<Module> = modules
        .iter()
        .map(Module::deserialize)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("looking for functions in the modules: {error}"))?;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (number, module) in modules.iter().enumerate() {
        let package = module.ast.package.refr.joined();
        for (span, name) in module.ast.rules.iter().filter_map(function) {
            let name = format!("{package}.{}", name.joined());
            let first = *seen.entry(name.clone()).or_insert(number);
            if first != number {
                let (file, other) = (&module.source.file, &modules[first].source.file);
                let Span { line, col } = span;
                return Err(format!(
                    "{file}:{line}:{col}: the function {name} is in {other} as well: write all of it into one file"
                ));
            }
        }
    }
    Ok(())
}

fn function(rule: &Rule) -> Option<(&Span, &Path)> {
    match rule {
        Rule::Spec { head: Head::Func { span, refr } } => Some((span, refr)),
        Rule::Default { span, refr, args } if !args.is_empty() => Some((span, refr)),
        _ => None,
    }
}

impl Path {
    pub(super) fn joined(&self) -> String {
        match self {
            Path::Var { value } => value.clone(),
            Path::RefDot { refr, field: (_, name) } => format!("{}.{name}", refr.joined()),
            Path::RefBrack { refr, index: Index::String { value } } => format!("{}.{value}", refr.joined()),
        }
    }
}
