//! A place in the text: what is next, and moving on.

/// Characters, and how far they are read.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    text: Vec<char>,
    at: usize,
}

impl Cursor {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.chars().collect(),
            at: 0,
        }
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.look(0)
    }

    pub(crate) fn look(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let next = self.peek();
        if next.is_some() {
            self.at += 1;
        }
        next
    }

    /// Takes the text if it is next.
    pub(crate) fn take(&mut self, wanted: &str) -> bool {
        let found = self.is(wanted);
        if found {
            self.at += wanted.chars().count();
        }
        found
    }

    pub(crate) fn is(&self, wanted: &str) -> bool {
        wanted
            .chars()
            .enumerate()
            .all(|(ahead, c)| self.look(ahead) == Some(c))
    }

    pub(crate) const fn place(&self) -> usize {
        self.at
    }

    pub(crate) const fn back(&mut self, place: usize) {
        self.at = place;
    }

    /// Passes spaces, joined lines and comments; not the end of a line.
    pub(crate) fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.look(1) == Some('\n') => self.at += 2,
                Some('#') => self.line(),
                _ => break,
            }
        }
    }

    /// Passes blanks and ends of lines.
    pub(crate) fn lines(&mut self) {
        self.blanks();
        while self.peek() == Some('\n') {
            self.at += 1;
            self.blanks();
        }
    }

    fn line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    /// Takes a line without its end, for heredocs.
    pub(crate) fn whole_line(&mut self) -> Option<String> {
        self.peek()?;
        let start = self.at;
        self.line();
        let line = self
            .text
            .get(start..self.at)
            .unwrap_or_default()
            .iter()
            .collect();
        self.next();
        Some(line)
    }
}
