//! Markup under construction. What is literal in this program is markup, everything else is escaped text. Pure.

use std::fmt::{Display, Write};

/// A document, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

/// Attributes of an element. Their names are literal, their values are text.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Markup {
    /// Adds markup that is written in this program.
    pub(super) fn literal(&mut self, markup: &'static str) -> &mut Markup {
        self.0.push_str(markup);
        self
    }

    /// Adds text.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Markup {
        // Writing to a String cannot fail, here and below.
        let _ = write!(Escaping(&mut self.0), "{text}");
        self
    }

    /// Adds an element with its content.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Markup),
    ) -> &mut Markup {
        self.open(name, attributes);
        content(self);
        self.literal("</").literal(name).literal(">")
    }

    /// Adds an element that holds only text.
    pub(super) fn leaf(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) -> &mut Markup {
        self.element(name, attributes, |content| {
            content.text(text);
        })
    }

    /// Adds an element of SVG without content.
    pub(super) fn shape(&mut self, name: &'static str, attributes: Attributes<'_>) -> &mut Markup {
        self.open(name, attributes).literal("</").literal(name).literal(">")
    }

    /// Adds the beginning of an element.
    pub(super) fn open(&mut self, name: &'static str, attributes: Attributes<'_>) -> &mut Markup {
        self.literal("<").literal(name);
        for (name, value) in attributes {
            self.literal(" ").literal(name).literal("=\"").text(value).literal("\"");
        }
        self.literal(">")
    }

    /// Octets so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Writes text so that it is text, between tags and in quoted attributes (HTML, 13.3), and shows what
/// would be invisible or move what is around it.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                ' '..='~' => self.0.push(character),
                _ => write!(self.0, "{}", character.escape_unicode())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_have_what_is_in_them() {
        let mut markup = Markup::default();
        markup.element("p", &[("class", &"a"), ("title", &"\"x\" onload='1'")], |p| {
            p.text("1 < 2 & ").leaf("b", &[], "</b><script>").literal("&middot;");
        });
        assert_eq!(
            markup.finish(),
            "<p class=\"a\" title=\"&quot;x&quot; onload=&#39;1&#39;\">1 &lt; 2 &amp; \
             <b>&lt;/b&gt;&lt;script&gt;</b>&middot;</p>"
        );
    }

    proptest! {
        #[test]
        fn text_stays_text(text in any::<String>()) {
            let mut markup = Markup::default();
            let written = markup.text(&text).len();
            let shown = markup.finish();
            prop_assert_eq!(written, shown.len());
            prop_assert!(shown.chars().all(|character| matches!(character, ' '..='~')));
            prop_assert!(!shown.contains(['<', '>', '"', '\'']));
        }
    }
}
