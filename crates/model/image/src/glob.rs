//! Go's `path.Match`, which the `reference` filter uses: `*` and `?` stop at `/`, `[a-z]` is a class.

/// Reports whether the whole text fits the pattern; a malformed pattern fits nothing.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    fits(&pattern, &text)
}

/// Greedy with one point of return: the last star, as stars before it need never give back.
fn fits(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match step(pattern, p, text.get(t).copied().unwrap_or_default()) {
            Step::Star => {
                star = Some((p + 1, t));
                p += 1;
            }
            Step::One(next) => (p, t) = (next, t + 1),
            Step::No => match star {
                Some((after, at)) if text.get(at) != Some(&'/') => {
                    star = Some((after, at + 1));
                    (p, t) = (after, at + 1);
                }
                _ => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

enum Step {
    Star,
    One(usize),
    No,
}

fn step(pattern: &[char], at: usize, c: char) -> Step {
    let literal = |found: char, width: usize| match found == c {
        true => Step::One(at + width),
        false => Step::No,
    };
    match pattern.get(at..).unwrap_or_default() {
        ['*', ..] => Step::Star,
        ['?', ..] if c != '/' => Step::One(at + 1),
        ['?', ..] | [] => Step::No,
        ['\\', escaped, ..] => literal(*escaped, 2),
        ['[', class @ ..] => match in_class(class, c) {
            Some(width) if c != '/' => Step::One(at + 1 + width),
            _ => Step::No,
        },
        [found, ..] => literal(*found, 1),
    }
}

/// Gives the width of the class, with its `]`, when `c` is in it.
fn in_class(class: &[char], c: char) -> Option<usize> {
    let end = class.iter().skip(1).position(|c| *c == ']')? + 1;
    let body = class.get(..end)?;
    let (negated, body) = match body {
        ['^', rest @ ..] => (true, rest),
        _ => (false, body),
    };
    let mut found = false;
    let mut rest = body;
    while let [low, tail @ ..] = rest {
        if let ['-', high, after @ ..] = tail {
            found |= (*low..=*high).contains(&c);
            rest = after;
        } else {
            found |= *low == c;
            rest = tail;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_slashes() {
        assert!(matches("busy*", "busybox"));
        assert!(matches("*/app:*", "me/app:1"));
        assert!(!matches("*", "me/app"));
        assert!(matches("b?sy[a-c]ox*", "busybox:1"));
        assert!(!matches("busybox", "busybox:1"));
        assert!(!matches("[^a-z]*", "abc"));
        assert!(!matches("[", "["));
    }
}
