//! Lines of `key: value`, in blocks that empty lines part: how dpkg and apk write their databases.

/// Bytes of one value that is kept.
const LONGEST: usize = 1024;
/// Packages of one database.
const MOST: usize = 200_000;

/// One block: its keys and values, in order. What continues a value on further lines is not kept.
pub(crate) struct Stanza<'a>(Vec<(&'a str, &'a str)>);

impl Stanza<'_> {
    /// Gives a value by its key, cut to a bearable length; none for an empty one.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| *known == key);
        let value: String = found?.1.chars().take(LONGEST).collect();
        Some(value).filter(|value| !value.is_empty())
    }
}

/// Reads the blocks of a database, of each the lines with these keys.
pub(crate) fn stanzas<'a>(
    text: &'a str,
    keys: &'a [&'a str],
) -> impl Iterator<Item = Stanza<'a>> + 'a {
    let mut lines = text.lines();
    let next = move || {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        let mut any = false;
        let rest = lines.by_ref().skip_while(|line| is_blank(line));
        for line in rest.take_while(|line| !is_blank(line)) {
            any = true;
            let known = line.split_once(':').filter(|(key, _)| keys.contains(key));
            // A key that comes twice counts once, so no block is longer than the keys.
            let known = known.filter(|(key, _)| fields.iter().all(|(old, _)| old != key));
            fields.extend(known.map(|(key, value)| (key, value.trim())));
        }
        any.then_some(Stanza(fields))
    };
    std::iter::from_fn(next).take(MOST)
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_parted_by_empty_lines_and_hold_the_keys_asked_for() {
        let text = "\n\nA: 1\nB: 2\n more\nA: 3\n\n \nA: 4\n";
        let all: Vec<_> = stanzas(text, &["A"]).collect();
        let values: Vec<_> = all.iter().map(|one| one.get("A").unwrap()).collect();
        assert_eq!(values, ["1", "4"]);
        assert!(all.iter().all(|one| one.get("B").is_none()));
    }
}
