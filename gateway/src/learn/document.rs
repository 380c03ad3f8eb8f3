//! A policy file that rules are added to. What is there already, comments above all, stays as it is.

use std::collections::BTreeSet;

use policy::learn::LearnedRule;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

/// A file that rules cannot be added to.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no TOML.
    #[error("the file is not valid TOML")]
    Toml(#[from] toml_edit::TomlError),
    /// A key means something else there.
    #[error("`{0}` is not a list in the file")]
    NotAList(&'static str),
}

/// A policy file.
#[derive(Debug, Default)]
pub struct Document(DocumentMut);

impl Document {
    /// Reads a file that exists.
    ///
    /// # Errors
    /// It is no TOML.
    pub fn parse(text: &str) -> Result<Document, DocumentError> {
        Ok(Document(text.parse()?))
    }

    /// Adds rules, each below a comment that names the programs that need it.
    ///
    /// # Errors
    /// The file has something else where rules go.
    pub fn add(&mut self, rules: &[(LearnedRule, BTreeSet<String>)]) -> Result<(), DocumentError> {
        let is_long = |rule: &LearnedRule| rule.allow_private || rule.max_names.is_some();
        let (long, short): (Vec<_>, Vec<_>) = rules.iter().partition(|(rule, _)| is_long(rule));
        if !short.is_empty() {
            let empty = || Item::Value(Value::Array(Array::new()));
            let allow = self.0.entry("allow").or_insert_with(empty);
            let allow = allow.as_array_mut().ok_or(DocumentError::NotAList("allow"))?;
            // A comment behind the last entry is not to end up behind the new ones.
            let mut before = allow.trailing().as_str().unwrap_or_default().trim_end().to_owned();
            for (rule, programs) in short {
                let mut entry = Value::from(rule.text.as_str());
                entry.decor_mut().set_prefix(format!("{before}\n{}  ", comment(programs, "  ")));
                allow.push_formatted(entry);
                before.clear();
            }
            allow.set_trailing("\n");
            allow.set_trailing_comma(true);
        }
        for (rule, programs) in long {
            let empty = || Item::ArrayOfTables(ArrayOfTables::new());
            let tables = self.0.entry("rule").or_insert_with(empty);
            let tables = tables.as_array_of_tables_mut().ok_or(DocumentError::NotAList("rule"))?;
            let mut table = long_form(rule);
            table.decor_mut().set_prefix(format!("\n{}", comment(programs, "")));
            tables.push(table);
        }
        Ok(())
    }

    /// Adds comments at the end.
    pub fn remark(&mut self, lines: &[String]) {
        let mut text = self.0.trailing().as_str().unwrap_or_default().to_owned();
        text.extend(lines.iter().map(|line| format!("# {line}\n")));
        self.0.set_trailing(text);
    }

    /// The file's text.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}

fn comment(programs: &BTreeSet<String>, indent: &str) -> String {
    if programs.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = programs.iter().map(String::as_str).collect();
    // The log escapes them; what is left of a name that is no name stays one line.
    let names = names.join(", ").replace(|character: char| character.is_control(), "?");
    format!("{indent}# {names}\n")
}

/// A rule as a table: its parts are those of the short form.
fn long_form(rule: &LearnedRule) -> Table {
    let mut table = Table::new();
    let (methods, rest) = rule.text.split_once(' ').unwrap_or(("", &rule.text));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    let (authority, path) = match scheme {
        "" => (rest, ""),
        _ => rest.split_at(rest.find('/').unwrap_or(rest.len())),
    };
    // What follows `dns:` is no port.
    let port_at = authority.rsplit_once(':').filter(|_| !authority.starts_with("dns:"));
    let (host, port) = port_at.unwrap_or((authority, ""));
    table.insert("host", value(host));
    if !port.is_empty() {
        table.insert("ports", value(Array::from_iter([port])));
    }
    if !scheme.is_empty() {
        table.insert("scheme", value(scheme));
    }
    if !methods.is_empty() {
        table.insert("methods", value(methods.split(',').collect::<Array>()));
    }
    if !path.is_empty() {
        table.insert("paths", value(Array::from_iter([path])));
    }
    if rule.allow_private {
        table.insert("allow-private", value(true));
    }
    if let Some(most) = rule.max_names {
        table.insert("max-names", value(most as i64));
    }
    table
}

#[cfg(test)]
mod tests {
    use policy::PolicyBuilder;

    use super::*;

    fn rule(text: &str, allow_private: bool, programs: &[&str]) -> (LearnedRule, BTreeSet<String>) {
        let rule = LearnedRule { text: text.to_owned(), allow_private, max_names: None };
        (rule, programs.iter().map(|program| (*program).to_owned()).collect())
    }

    fn rules(text: &str) -> Vec<String> {
        let mut builder = PolicyBuilder::new();
        builder.add_file("p", text.as_bytes());
        let policy = builder.build().unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        policy.rules().iter().map(|rule| rule.text().to_owned()).collect()
    }

    #[test]
    fn a_new_file_reads_well() {
        let mut document = Document::default();
        let added = [
            rule("https://a.test/", false, &["curl", "git"]),
            rule("b.test:22", false, &[]),
            rule("GET,HEAD https://db.test:8443/p/", true, &["psql"]),
            rule("dns:inner.test", true, &[]),
        ];
        document.add(&added).unwrap();
        document.remark(&["icmp 192.0.2.1: no rule allows it".to_owned()]);
        assert_eq!(
            document.text(),
            "allow = [\n  # curl, git\n  \"https://a.test/\",\n  \"b.test:22\",\n]\n\n# psql\n[[rule]]\n\
             host = \"db.test\"\nports = [\"8443\"]\nscheme = \"https\"\nmethods = [\"GET\", \"HEAD\"]\n\
             paths = [\"/p/\"]\nallow-private = true\n\n[[rule]]\nhost = \"dns:inner.test\"\nallow-private = true\n# icmp 192.0.2.1: no rule allows it\n"
        );
        assert_eq!(rules(&document.text()).len(), 4);
    }

    #[test]
    fn what_a_person_wrote_stays() {
        let before = "# ours\nmode = \"enforce\" # always\nallow = [\"a.test\", # the mirror\n]\n\n\
                      [dns]\nttl-min = 5 # seconds\n\n[[rule]]\nhost = \"b.test\"\n";
        let mut document = Document::parse(before).unwrap();
        document.add(&[rule("c.test", false, &["x\u{1b}[31m"]), rule("d.test:1", true, &[])]).unwrap();
        let after = document.text();
        for comment in ["# ours", "# always", "# the mirror", "# seconds", "# x?[31m"] {
            assert!(after.contains(comment), "{after}");
        }
        assert_eq!(rules(&after).len(), 4, "{after}");
        // One line only, and no comma.
        let mut document = Document::parse("allow = ['a.test']").unwrap();
        document.add(&[rule("c.test", false, &[])]).unwrap();
        assert_eq!(rules(&document.text()), ["a.test", "c.test"]);
    }

    #[test]
    fn refuses_what_is_no_list() {
        let mut document = Document::parse("allow = 5").unwrap();
        document.add(&[rule("c.test", false, &[])]).unwrap_err();
        Document::parse("allow = ").unwrap_err();
    }
}
