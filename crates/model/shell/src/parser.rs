//! The grammar of commands: lists, pipelines, and the compound commands.

use crate::{
    ast::{AndOr, Assignment, Command, Connective, List, Pipeline, Redirect, Simple, Word},
    cursor::Cursor,
};

/// Levels of commands within commands.
const DEPTH: usize = 40;
/// Bytes of a script.
const BYTES: usize = 1 << 20;
/// Commands of a script.
const COMMANDS: usize = 20_000;

/// Why a script cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no shell script that we know.
    #[error("the shell script does not hold together")]
    Syntax,
    /// It is too long or too deeply nested.
    #[error("the shell script is too large")]
    TooLarge,
}

pub(crate) type Read<T> = Result<T, Fault>;

/// Reads a script.
///
/// # Errors
/// It does not hold together, or is too large.
pub fn parse(text: &str) -> Result<List, Fault> {
    if text.len() > BYTES {
        return Err(Fault::TooLarge);
    }
    let mut parser = Parser {
        cursor: Cursor::new(text),
        depth: 0,
        commands: 0,
        heredocs: Vec::new(),
    };
    let list = parser.list(&[])?;
    match parser.cursor.peek() {
        None => Ok(list),
        Some(_) => Err(Fault::Syntax),
    }
}

/// The state of reading.
pub(crate) struct Parser {
    pub(crate) cursor: Cursor,
    depth: usize,
    commands: usize,
    /// Heredocs whose content begins on the next line: the end, and whether tabs go.
    heredocs: Vec<(String, bool)>,
}

impl Parser {
    /// Reads within one level more.
    pub(crate) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::TooLarge);
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads commands up to the end, a closing bracket, or one of the words.
    pub(crate) fn list(&mut self, ends: &[&str]) -> Read<List> {
        let mut list = List::new();
        loop {
            self.newlines();
            if self.ends(ends) {
                return Ok(list);
            }
            let mut one = self.and_or()?;
            self.cursor.blanks();
            match self.cursor.peek() {
                Some('&') => {
                    self.cursor.next();
                    one.background = true;
                }
                Some(';') if self.cursor.look(1) != Some(';') => drop(self.cursor.next()),
                Some('\n') | None => {}
                Some(_) if self.ends(ends) => {}
                Some(_) => return Err(Fault::Syntax),
            }
            list.push(one);
        }
    }

    fn ends(&mut self, ends: &[&str]) -> bool {
        match self.cursor.peek() {
            None | Some(')') => true,
            Some(';') => self.cursor.is(";;"),
            Some('}') => ends.contains(&"}"),
            Some(_) => ends.iter().any(|word| self.is_word(word)),
        }
    }

    /// Passes ends of lines; the contents of heredocs stand behind the first.
    fn newlines(&mut self) {
        loop {
            self.cursor.blanks();
            if self.cursor.peek() != Some('\n') {
                return;
            }
            self.cursor.next();
            self.contents();
        }
    }

    fn contents(&mut self) {
        for (end, chomp) in std::mem::take(&mut self.heredocs) {
            while self
                .cursor
                .whole_line()
                .is_some_and(|line| !is_end(&line, &end, chomp))
            {}
        }
    }

    fn and_or(&mut self) -> Read<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.cursor.blanks();
            let connective = if self.cursor.take("&&") {
                Connective::And
            } else if self.cursor.take("||") {
                Connective::Or
            } else {
                break;
            };
            self.newlines();
            rest.push((connective, self.pipeline()?));
        }
        Ok(AndOr {
            first,
            rest,
            background: false,
        })
    }

    fn pipeline(&mut self) -> Read<Pipeline> {
        let mut negated = false;
        while self.word_next("!") {
            negated = !negated;
        }
        let mut commands = vec![self.command()?];
        loop {
            self.cursor.blanks();
            if self.cursor.is("||") || !self.cursor.take("|") {
                break;
            }
            self.cursor.take("&");
            self.newlines();
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    fn command(&mut self) -> Read<Command> {
        self.commands += 1;
        if self.commands > COMMANDS {
            return Err(Fault::TooLarge);
        }
        self.deeper(Self::any_command)
    }

    fn any_command(&mut self) -> Read<Command> {
        self.cursor.blanks();
        let command = if let Some(arithmetic) = self.arithmetic() {
            arithmetic
        } else if self.cursor.take("(") {
            Command::Subshell(self.closed(")")?)
        } else if self.word_next("{") {
            Command::Group(self.body(&["}"], "}")?)
        } else if self.word_next("[[") {
            self.test()?
        } else if self.word_next("if") {
            self.condition()?
        } else if self.word_next("while") || self.word_next("until") {
            let condition = self.body(&["do"], "do")?;
            let body = self.body(&["done"], "done")?;
            Command::Loop { condition, body }
        } else if self.word_next("for") || self.word_next("select") {
            self.each()?
        } else if self.word_next("case") {
            self.case()?
        } else if let Some(name) = self.function_head() {
            self.newlines();
            let body = Box::new(self.command()?);
            return Ok(Command::Function { name, body });
        } else {
            return self.simple().map(Command::Simple);
        };
        // What a compound command redirects is of no matter to any rule.
        while self.redirect()?.is_some() {}
        Ok(command)
    }

    /// Reads a list and the word that ends it.
    fn body(&mut self, ends: &[&str], end: &str) -> Read<List> {
        let list = self.list(ends)?;
        if self.word_next(end) {
            Ok(list)
        } else {
            Err(Fault::Syntax)
        }
    }

    /// Reads a list and the bracket that ends it.
    pub(crate) fn closed(&mut self, bracket: &str) -> Read<List> {
        let list = self.list(&[])?;
        if self.cursor.take(bracket) {
            Ok(list)
        } else {
            Err(Fault::Syntax)
        }
    }

    /// Takes `((…))`, if that is next; what only begins so is a subshell in a subshell.
    fn arithmetic(&mut self) -> Option<Command> {
        let start = self.cursor.place();
        let text = self
            .cursor
            .take("((")
            .then(|| self.until_double_bracket())?;
        if text.is_err() {
            self.cursor.back(start);
        }
        text.ok().map(Command::Arithmetic)
    }

    /// Takes the text up to `))`, brackets in it balanced.
    pub(crate) fn until_double_bracket(&mut self) -> Read<String> {
        let mut text = String::new();
        let mut open = 0_usize;
        loop {
            if open == 0 && self.cursor.take("))") {
                return Ok(text);
            }
            let next = self.cursor.next().ok_or(Fault::Syntax)?;
            match next {
                '(' => open += 1,
                ')' => open = open.checked_sub(1).ok_or(Fault::Syntax)?,
                _ => {}
            }
            text.push(next);
        }
    }

    fn test(&mut self) -> Read<Command> {
        let mut words = Vec::new();
        loop {
            self.cursor.lines();
            if self.word_next("]]") {
                return Ok(Command::Test(words));
            }
            let operator = ["&&", "||", "(", ")", "<", ">"]
                .into_iter()
                .find(|one| self.cursor.take(one));
            words.push(match operator {
                Some(operator) => Word::bare(operator),
                None => self.word_of(true)?.ok_or(Fault::Syntax)?,
            });
        }
    }

    fn condition(&mut self) -> Read<Command> {
        let mut arms = Vec::new();
        loop {
            let condition = self.body(&["then"], "then")?;
            let body = self.list(&["elif", "else", "fi"])?;
            arms.push((condition, body));
            if self.word_next("fi") {
                let otherwise = List::new();
                return Ok(Command::If { arms, otherwise });
            }
            if self.word_next("else") {
                let otherwise = self.body(&["fi"], "fi")?;
                return Ok(Command::If { arms, otherwise });
            }
            if !self.word_next("elif") {
                return Err(Fault::Syntax);
            }
        }
    }

    fn each(&mut self) -> Read<Command> {
        self.cursor.blanks();
        if let Some(Command::Arithmetic(name)) = self.arithmetic() {
            let body = self.loop_body()?;
            let words = Some(Vec::new());
            return Ok(Command::For { name, words, body });
        }
        let name = self.word()?.ok_or(Fault::Syntax)?.text();
        self.cursor.lines();
        let words = match self.word_next("in") {
            true => Some(self.words()?),
            false => None,
        };
        let body = self.loop_body()?;
        Ok(Command::For { name, words, body })
    }

    fn loop_body(&mut self) -> Read<List> {
        self.cursor.blanks();
        self.cursor.take(";");
        self.cursor.lines();
        if !self.word_next("do") {
            return Err(Fault::Syntax);
        }
        self.body(&["done"], "done")
    }

    fn words(&mut self) -> Read<Vec<Word>> {
        let mut words = Vec::new();
        while let Some(word) = self.word()? {
            words.push(word);
        }
        Ok(words)
    }

    fn case(&mut self) -> Read<Command> {
        let subject = self.word()?.ok_or(Fault::Syntax)?;
        self.cursor.lines();
        if !self.word_next("in") {
            return Err(Fault::Syntax);
        }
        let mut arms = Vec::new();
        loop {
            self.cursor.lines();
            if self.word_next("esac") {
                return Ok(Command::Case { subject, arms });
            }
            arms.push(self.arm()?);
        }
    }

    fn arm(&mut self) -> Read<(Vec<Word>, List)> {
        self.cursor.take("(");
        let mut patterns = Vec::new();
        loop {
            self.cursor.blanks();
            patterns.push(self.word()?.ok_or(Fault::Syntax)?);
            self.cursor.blanks();
            if !self.cursor.take("|") {
                break;
            }
        }
        if !self.cursor.take(")") {
            return Err(Fault::Syntax);
        }
        let body = self.list(&["esac"])?;
        if self.cursor.take(";;") {
            self.cursor.take("&");
        } else if !self.is_word("esac") {
            return Err(Fault::Syntax);
        }
        Ok((patterns, body))
    }

    /// Takes `name ()` or `function name`, if that is next.
    fn function_head(&mut self) -> Option<String> {
        let start = self.cursor.place();
        let keyword = self.word_next("function");
        self.cursor.blanks();
        let mut name = String::new();
        while let Some(c) = self
            .cursor
            .peek()
            .filter(|c| c.is_alphanumeric() || "_-.:".contains(*c))
        {
            name.push(c);
            self.cursor.next();
        }
        self.cursor.blanks();
        let brackets = self.cursor.take("(") && {
            self.cursor.blanks();
            self.cursor.take(")")
        };
        if name.is_empty() || !(brackets || keyword) {
            self.cursor.back(start);
            return None;
        }
        Some(name)
    }

    fn simple(&mut self) -> Read<Simple> {
        let mut simple = Simple::default();
        loop {
            self.cursor.blanks();
            if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
                continue;
            }
            if simple.words.is_empty()
                && let Some(assignment) = self.assignment()?
            {
                simple.assignments.push(assignment);
                continue;
            }
            match self.word()? {
                Some(word) => simple.words.push(word),
                None => break,
            }
        }
        let empty =
            simple.words.is_empty() && simple.assignments.is_empty() && simple.redirects.is_empty();
        if empty {
            Err(Fault::Syntax)
        } else {
            Ok(simple)
        }
    }

    fn assignment(&mut self) -> Read<Option<Assignment>> {
        let start = self.cursor.place();
        let mut name = String::new();
        while let Some(c) = self
            .cursor
            .peek()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        {
            name.push(c);
            self.cursor.next();
        }
        if self.cursor.peek() == Some('[') && !name.is_empty() {
            while self.cursor.peek().is_some_and(|c| !"]= \n".contains(c)) {
                self.cursor.next();
            }
            self.cursor.take("]");
        }
        let append = self.cursor.take("+=");
        let named = name.starts_with(|c: char| !c.is_ascii_digit());
        if !named || !(append || self.cursor.take("=")) {
            self.cursor.back(start);
            return Ok(None);
        }
        let array = self.cursor.take("(");
        let values = if array {
            self.elements()?
        } else {
            self.value()?
        };
        Ok(Some(Assignment {
            name,
            append,
            values,
            array,
        }))
    }

    fn value(&mut self) -> Read<Vec<Word>> {
        let bare = self.cursor.peek().is_none_or(|c| " \t\r\n;&|)".contains(c));
        if bare {
            return Ok(vec![Word::default()]);
        }
        Ok(self.word()?.into_iter().collect())
    }

    fn elements(&mut self) -> Read<Vec<Word>> {
        let mut values = Vec::new();
        loop {
            self.cursor.lines();
            if self.cursor.take(")") {
                return Ok(values);
            }
            values.push(self.word()?.ok_or(Fault::Syntax)?);
        }
    }

    fn redirect(&mut self) -> Read<Option<Redirect>> {
        const OPERATORS: [&str; 13] = [
            "&>>", "&>", "<<<", "<<-", "<<", "<>", "<&", ">>", ">&", ">|", "<", ">", "",
        ];
        self.cursor.blanks();
        let start = self.cursor.place();
        while self.cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.cursor.next();
        }
        let process = self.cursor.is("<(") || self.cursor.is(">(");
        let found = OPERATORS
            .into_iter()
            .find(|one| self.cursor.is(one))
            .unwrap_or_default();
        if found.is_empty() || process {
            self.cursor.back(start);
            return Ok(None);
        }
        self.cursor.take(found);
        self.cursor.blanks();
        let target = self.word()?.ok_or(Fault::Syntax)?;
        if matches!(found, "<<" | "<<-") {
            self.heredocs.push((target.text(), found == "<<-"));
        }
        let operator = found.to_owned();
        Ok(Some(Redirect { operator, target }))
    }

    /// Takes a reserved word, if it is next.
    fn word_next(&mut self, word: &str) -> bool {
        self.cursor.blanks();
        let found = self.is_word(word);
        if found {
            self.cursor.take(word);
        }
        found
    }

    fn is_word(&self, word: &str) -> bool {
        let after = self.cursor.look(word.chars().count());
        self.cursor.is(word) && after.is_none_or(|c| " \t\r\n;&|()<>".contains(c))
    }
}

/// Reports whether a line ends a heredoc.
fn is_end(line: &str, end: &str, chomp: bool) -> bool {
    let line = line.trim_end_matches('\r');
    let tabs: &[char] = if chomp { &['\t'] } else { &[] };
    line.trim_start_matches(tabs) == end
}

#[cfg(test)]
mod tests;
