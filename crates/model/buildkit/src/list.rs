//! Lists in attributes: one line of comma-separated values, in which a value may stand in quotes.
//!
//! Clients write them as CSV, so a quoted value holds commas and a doubled quote is a quote.

/// Splits such a line; quotes that never close end with the line.
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut value = String::new();
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => values.push(std::mem::take(&mut value)),
            c => value.push(c),
        }
    }
    if !value.is_empty() || !values.is_empty() {
        values.push(value);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_value_holds_commas_and_quotes() {
        assert_eq!(split(r#"a,"b,c","d""e""#), ["a", "b,c", "d\"e"]);
    }

    #[test]
    fn an_empty_line_holds_nothing() {
        assert!(split("").is_empty());
        assert_eq!(split("a,"), ["a", ""]);
    }
}
