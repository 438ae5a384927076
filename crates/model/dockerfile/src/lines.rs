//! From bytes to instructions as text: continued lines joined, comments dropped, heredocs collected.
//!
//! The first stage of the parser, and the one that holds the limits of size. What an instruction means is decided in
//! `parse.rs`.

use crate::{Directives, Error, Escape, Heredoc, Limits, Span, directive, error::Problem, words};

/// One instruction as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logical {
    pub(crate) span: Span,
    /// The joined line, trimmed.
    pub(crate) text: String,
    /// The comments right above it, without `#`.
    pub(crate) comments: Vec<String>,
    pub(crate) heredocs: Vec<Heredoc>,
    /// The line after which a continued instruction had empty lines.
    pub(crate) gap: Option<u32>,
}

/// The file, divided.
#[derive(Debug)]
pub(crate) struct Divided {
    pub(crate) directives: Directives,
    pub(crate) instructions: Vec<Logical>,
}

/// Divides a file into instructions.
pub(crate) fn divide(bytes: &[u8], limits: &Limits) -> Result<Divided, Error> {
    if bytes.len() > limits.bytes {
        return Err(beyond("bytes", limits.bytes));
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut divider = Divider::new(text, limits);
    let mut instructions = Vec::new();
    while let Some(one) = divider.next()? {
        if instructions.len() == limits.instructions {
            return Err(beyond("instructions", limits.instructions));
        }
        instructions.push(one);
    }
    if instructions.is_empty() {
        let span = Span::line(divider.number);
        return Err(Problem::new("file with no instructions").in_file(span));
    }
    Ok(Divided {
        directives: divider.directives.finish(),
        instructions,
    })
}

fn beyond(what: &'static str, limit: usize) -> Error {
    Error::Limit { what, limit }
}

struct Divider<'a> {
    lines: std::str::SplitInclusive<'a, char>,
    number: u32,
    directives: directive::Reader,
    comments: Vec<String>,
    limits: &'a Limits,
}

impl<'a> Divider<'a> {
    fn new(text: &'a str, limits: &'a Limits) -> Self {
        Self {
            lines: text.split_inclusive('\n'),
            number: 0,
            directives: directive::Reader::default(),
            comments: Vec::new(),
            limits,
        }
    }

    /// Takes the next line, with its end.
    fn line(&mut self) -> Result<Option<&'a str>, Error> {
        let Some(line) = self.lines.next() else {
            return Ok(None);
        };
        if line.len() > self.limits.line {
            let limit = self.limits.line;
            let problem = Problem::new(format!(
                "dockerfile line greater than maximum allowed size of {limit}"
            ));
            return Err(problem.in_file(Span::line(self.number + 1)));
        }
        self.number += 1;
        Ok(Some(line))
    }

    /// Takes the next instruction.
    fn next(&mut self) -> Result<Option<Logical>, Error> {
        while let Some(line) = self.line()? {
            let line = line.trim_end_matches(['\r', '\n']).trim_start();
            self.directives
                .line(line, self.number)
                .map_err(|problem| problem.in_file(Span::line(self.number)))?;
            if let Some(comment) = line.strip_prefix('#') {
                self.comments.push(comment.trim().to_owned());
                continue;
            }
            // An empty line parts comments from what follows.
            let comments = std::mem::take(&mut self.comments);
            let (start, continued) = continuation(line, self.directives.escape());
            if start.is_empty() && !continued {
                continue;
            }
            return self.instruction(start, continued, comments).map(Some);
        }
        Ok(None)
    }

    fn instruction(
        &mut self,
        start: &str,
        mut continued: bool,
        comments: Vec<String>,
    ) -> Result<Logical, Error> {
        let first = self.number;
        let mut text = start.to_owned();
        let mut gap = None;
        while continued {
            let Some(line) = self.line()? else { break };
            let line = line.trim_end_matches(['\r', '\n']);
            match line.trim_start() {
                "" => gap = Some(self.number),
                comment if comment.starts_with('#') => {}
                _ => {
                    let (more, again) = continuation(line, self.directives.escape());
                    text.push_str(more);
                    continued = again;
                }
            }
            if text.len() > self.limits.instruction {
                return Err(beyond("instruction size", self.limits.instruction));
            }
        }
        let text = text.trim().to_owned();
        let heredocs = self.heredocs(&text, first)?;
        Ok(Logical {
            span: Span {
                first,
                last: self.number,
            },
            text,
            comments,
            heredocs,
            gap,
        })
    }

    /// Collects the heredocs that the joined line opens, if its instruction may have any.
    fn heredocs(&mut self, text: &str, first: u32) -> Result<Vec<Heredoc>, Error> {
        if !text.contains("<<") || !takes_heredocs(text, self.directives.escape()) {
            return Ok(Vec::new());
        }
        let mut heredocs = Heredoc::of_line(text);
        if heredocs.len() > self.limits.heredocs {
            return Err(beyond("heredocs of one instruction", self.limits.heredocs));
        }
        for heredoc in &mut heredocs {
            self.content(heredoc, first)?;
        }
        Ok(heredocs)
    }

    fn content(&mut self, heredoc: &mut Heredoc, first: u32) -> Result<(), Error> {
        while let Some(line) = self.line()? {
            if heredoc.ends_at(line) {
                return Ok(());
            }
            heredoc.content.push_str(line);
        }
        let span = Span {
            first,
            last: self.number,
        };
        Err(Problem::new("unterminated heredoc").in_file(span))
    }
}

/// Reports whether the instruction may open heredocs; `ONBUILD` asks its trigger, and a list of strings never does.
fn takes_heredocs(text: &str, escape: Escape) -> bool {
    let (keyword, rest) = words::keyword(text);
    match keyword.to_ascii_uppercase().as_str() {
        "RUN" | "COPY" | "ADD" => {
            let (_, arguments) = words::flags(rest, escape);
            words::json(arguments).is_none()
        }
        "ONBUILD" => {
            let (trigger, _) = words::keyword(rest);
            !trigger.eq_ignore_ascii_case("ONBUILD") && takes_heredocs(rest, escape)
        }
        _ => false,
    }
}

/// Cuts the escape at the end of a line off, and tells whether there was one.
///
/// Spaces may follow the escape. Two of them are no continuation: the first takes the meaning from the second.
fn continuation(line: &str, escape: Escape) -> (&str, bool) {
    let bare = line.trim_end_matches([' ', '\t']);
    match bare.strip_suffix(escape.char()) {
        Some(cut) if !cut.ends_with(escape.char()) => (cut, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str) -> Vec<(String, u32, u32)> {
        let divided = divide(file.as_bytes(), &Limits::default()).unwrap();
        divided
            .instructions
            .into_iter()
            .map(|one| (one.text, one.span.first, one.span.last))
            .collect()
    }

    #[test]
    fn continued_lines_are_joined_without_comments_and_gaps() {
        let found = texts("FROM a\nRUN one \\\n  # no\n\n two \\ \t\n three\n\nUSER x\n");
        assert_eq!(
            found,
            [
                ("FROM a".into(), 1, 1),
                ("RUN one  two  three".into(), 2, 6),
                ("USER x".into(), 8, 8)
            ]
        );
    }

    #[test]
    fn the_escape_directive_changes_what_continues() {
        let found = texts("# escape=`\nFROM a\nRUN dir c:\\\nRUN b `\nc\n");
        let texts: Vec<_> = found.iter().map(|(text, ..)| text.as_str()).collect();
        assert_eq!(texts, ["FROM a", "RUN dir c:\\", "RUN b c"]);
    }

    #[test]
    fn marks_of_other_systems_do_not_matter() {
        let found = texts("\u{feff}FROM a\r\nRUN b \\\r\n c\r\n");
        assert_eq!(found[0].0, "FROM a");
        assert_eq!(found[1].0, "RUN b  c");
    }

    #[test]
    fn heredocs_end_at_their_names() {
        let file = b"RUN <<A cat <<-'B'\none\nA\n\ttwo $x\n\tB\nUSER x\n";
        let divided = divide(file, &Limits::default()).unwrap();
        let run = &divided.instructions[0];
        assert_eq!(run.span, Span { first: 1, last: 5 });
        let contents: Vec<_> = run
            .heredocs
            .iter()
            .map(|one| one.content.as_str())
            .collect();
        assert_eq!(contents, ["one\n", "\ttwo $x\n"]);
        assert_eq!(divided.instructions.len(), 2);
    }

    #[test]
    fn what_takes_no_heredoc_has_none() {
        for file in [
            "CMD cat <<EOF\n",
            "RUN [\"cat\", \"<<EOF\"]\n",
            "ENV a=<<EOF\n",
        ] {
            let divided = divide(file.as_bytes(), &Limits::default()).unwrap();
            assert_eq!(divided.instructions[0].heredocs, []);
        }
        let divided = divide(b"ONBUILD RUN <<EOF\nx\nEOF\n", &Limits::default()).unwrap();
        assert_eq!(divided.instructions[0].heredocs.len(), 1);
    }

    #[test]
    fn broken_files_say_why() {
        let fails = |file: &str| {
            divide(file.as_bytes(), &Limits::default())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(fails(""), "file with no instructions");
        assert_eq!(fails("# a\n\n"), "file with no instructions");
        assert_eq!(fails("RUN <<EOF\nx\n"), "unterminated heredoc");
        let long = format!("RUN {}\n", "x".repeat(70_000));
        assert_eq!(
            fails(&long),
            "dockerfile line greater than maximum allowed size of 65535"
        );
        assert!(fails(&"USER x\n".repeat(10_001)).contains("limit of 10000"));
        assert!(fails(&"x".repeat(5 << 20)).contains("limit of"));
    }
}
