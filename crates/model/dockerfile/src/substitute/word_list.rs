//! Words being collected: spaces that stand bare divide, all else belongs to a word.

/// The words so far, and the one being written.
#[derive(Debug, Default)]
pub(super) struct WordList {
    done: Vec<String>,
    current: String,
}

impl WordList {
    /// Adds a bare character.
    pub(super) fn char(&mut self, c: char) {
        if c.is_whitespace() {
            self.end();
        } else {
            self.current.push(c);
        }
    }

    /// Adds bare text, which spaces divide: the value of a variable.
    pub(super) fn text(&mut self, text: &str) {
        text.chars().for_each(|c| self.char(c));
    }

    /// Adds text that stays in one word: what was quoted or escaped.
    pub(super) fn whole(&mut self, text: &str) {
        self.current.push_str(text);
    }

    pub(super) fn finish(mut self) -> Vec<String> {
        self.end();
        self.done
    }

    fn end(&mut self) {
        if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
    }
}
