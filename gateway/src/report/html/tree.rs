//! The job's processes as a tree: programs that talked, and how they came to be started. Pure.

use crate::report::excerpt::Shown;
use crate::report::program::name;

/// A row of the drawn tree. Ancestors that did nothing but start one other share its row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// `sh > npm`
    pub(super) label: String,
    pub(super) depth: usize,
    /// The row that it hangs from.
    pub(super) parent: Option<usize>,
    /// The place of the program in the list, if it talked itself.
    pub(super) program: Option<usize>,
}

/// Files from the eldest ancestor on, as they came to be started.
#[derive(Debug, Default)]
struct Node<'a> {
    file: &'a str,
    label: String,
    program: Option<usize>,
    children: Vec<Node<'a>>,
}

/// The tree of these programs, from top to bottom.
pub(super) fn rows(programs: &[Shown<'_>]) -> Vec<Row> {
    let mut root = Node::default();
    for (number, program) in programs.iter().enumerate() {
        match program.who.lineage() {
            Some(files) => root.insert(&files, number),
            None => root.children.push(Node {
                label: program.who.shown(),
                program: Some(number),
                ..Node::default()
            }),
        }
    }
    let mut rows = Vec::new();
    for child in root.children {
        child.lay(0, None, &mut rows);
    }
    rows
}

impl<'a> Node<'a> {
    fn insert(&mut self, files: &[&'a str], program: usize) {
        let Some((file, rest)) = files.split_first() else {
            self.program = Some(program);
            return;
        };
        let known = self.children.iter().position(|child| child.file == *file);
        let index = known.unwrap_or_else(|| {
            self.children.push(Node { file, label: name(file), ..Node::default() });
            self.children.len() - 1
        });
        self.children[index].insert(rest, program);
    }

    fn lay(mut self, depth: usize, parent: Option<usize>, rows: &mut Vec<Row>) {
        while self.program.is_none() && self.children.len() == 1 {
            let only = self.children.remove(0);
            let label = format!("{} > {}", self.label, only.label);
            self = Node { label, ..only };
        }
        let row = rows.len();
        rows.push(Row { label: self.label, depth, parent, program: self.program });
        for child in self.children {
            child.lay(depth + 1, Some(row), rows);
        }
    }
}
