//! Heredocs: files and scripts written within the Dockerfile.
//!
//! `<<EOF`, `<<-EOF` (tabs at the start of lines go), `3<<EOF`, and `<<"EOF"`: a name with quotes keeps the `$` of its
//! content. Found in the words of `RUN`, `COPY` and `ADD`; `lines.rs` then collects the contents.

use crate::{
    Escape, Variables,
    substitute::{Quotes, Text},
};

/// One heredoc: its name and content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heredoc {
    /// The word that ends it, without quotes.
    pub name: String,
    /// The lines, as they stand in the file; see [`Heredoc::text`].
    pub content: String,
    /// Whether variables in it are replaced: not when the name was quoted.
    pub expand: bool,
    /// Whether tabs at the start of each line are removed.
    pub chomp: bool,
    /// The file descriptor before `<<`; 0 when there is none.
    pub descriptor: u32,
}

impl Heredoc {
    /// Gives the content, without the leading tabs if `<<-` asks for that.
    #[must_use]
    pub fn text(&self) -> String {
        if !self.chomp {
            return self.content.clone();
        }
        self.content
            .split_inclusive('\n')
            .map(|line| line.trim_start_matches('\t'))
            .collect()
    }

    /// Reports whether the line ends this heredoc.
    pub(crate) fn ends_at(&self, line: &str) -> bool {
        let line = line.trim_end_matches(['\r', '\n']);
        let line = if self.chomp {
            line.trim_start_matches('\t')
        } else {
            line
        };
        line == self.name
    }

    /// Reads a word such as `<<-"EOF"`; other words are none.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let digits = word.find(|c: char| !c.is_ascii_digit())?;
        let (descriptor, rest) = word.split_at_checked(digits)?;
        let rest = rest.strip_prefix("<<")?;
        let (chomp, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        let name = single(rest, Quotes::Removed)?;
        let raw = single(rest, Quotes::Kept)?;
        Some(Self {
            expand: name == raw,
            name,
            content: String::new(),
            chomp,
            descriptor: descriptor.parse().unwrap_or(0),
        })
    }

    /// Finds the heredocs that a line opens.
    pub(crate) fn of_line(line: &str) -> Vec<Self> {
        let none = Variables::default();
        let text = Text::new(Escape::Backslash, &none)
            .quotes(Quotes::Kept)
            .keep_unset();
        let words = text.words(line).unwrap_or_default();
        words.iter().filter_map(|word| Self::parse(word)).collect()
    }
}

fn single(text: &str, quotes: Quotes) -> Option<String> {
    let none = Variables::default();
    let words = Text::new(Escape::Backslash, &none)
        .quotes(quotes)
        .keep_unset()
        .words(text)
        .ok()?;
    <[String; 1]>::try_from(words).ok().map(|[word]| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_the_name_keep_variables() {
        let plain = Heredoc::parse("<<EOF").unwrap();
        assert!(plain.expand && !plain.chomp && plain.descriptor == 0);
        for quoted in ["<<'EOF'", "<<\"EOF\"", "<<E\\OF", "3<<-E\"O\"F"] {
            let found = Heredoc::parse(quoted).unwrap();
            assert_eq!(
                (found.name.as_str(), found.expand),
                ("EOF", false),
                "{quoted}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_a_heredoc_is_none() {
        for word in ["<<", "<<<EOF", "a<<EOF", "<EOF", "<<a<b", ""] {
            assert_eq!(Heredoc::parse(word), None, "{word}");
        }
    }

    #[test]
    fn a_line_may_open_several() {
        let found = Heredoc::of_line("COPY <<a <<-b /dest \"<<c d\"");
        let names: Vec<_> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn chomping_takes_tabs_alone() {
        let mut found = Heredoc::parse("<<-EOF").unwrap();
        found.content = "\t\ta\n \tb\n\n".into();
        assert_eq!(found.text(), "a\n \tb\n\n");
        assert!(found.ends_at("\tEOF\r\n") && !found.ends_at(" EOF\n"));
    }
}
