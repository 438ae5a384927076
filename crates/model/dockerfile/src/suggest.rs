//! "Did you mean …": the known word that a misspelt one was probably meant to be.

/// Finds the known word that is one or two edits away, and not another word altogether.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Docker's own words are short, so a long one was not meant.
    if word.len() > 32 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .iter()
        .map(|one| (distance(&word, &one.to_ascii_lowercase()), *one))
        .filter(|(edits, _)| *edits > 0 && *edits <= (word.len() / 2).min(2))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, one)| one)
}

/// Counts the insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(from != to);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Prints the suggestion, or nothing.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, |one| format!(" (did you mean {one}?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(nearest("FORM", &["RUN", "FROM"]), Some("FROM"));
        assert_eq!(nearest("xyz", &["RUN", "FROM"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
