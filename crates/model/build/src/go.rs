//! Values as Go prints them, because histories of images are written that way and compared by people and programs.

/// Prints a list as `%q` does: `["a" "b"]`.
pub(crate) fn quoted(list: &[String]) -> String {
    let parts: Vec<String> = list.iter().map(|one| quote(one)).collect();
    format!("[{}]", parts.join(" "))
}

/// Prints a text as `%q` does.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Prints a small number as `%q` does: as the character that it stands for.
pub(crate) fn character(number: u32) -> String {
    match char::from_u32(number) {
        Some('\n') => "'\\n'".to_owned(),
        Some('\t') => "'\\t'".to_owned(),
        Some('\r') => "'\\r'".to_owned(),
        Some('\u{7}') => "'\\a'".to_owned(),
        Some('\u{8}') => "'\\b'".to_owned(),
        Some('\u{c}') => "'\\f'".to_owned(),
        Some('\u{b}') => "'\\v'".to_owned(),
        Some('\'') => "'\\''".to_owned(),
        Some('\\') => "'\\\\'".to_owned(),
        Some(c) if c.is_ascii_control() => format!("'\\x{number:02x}'"),
        Some(c) => format!("'{c}'"),
        None => "'\u{fffd}'".to_owned(),
    }
}

/// Prints a duration as `1m30s`.
pub(crate) fn duration(value: std::time::Duration) -> String {
    let nanos = value.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let fraction = |value: u128, unit: u128, name: &str| {
        let (whole, rest) = (value / unit, value % unit);
        let width = unit.ilog10() as usize;
        let digits = format!("{rest:0width$}");
        match digits.trim_end_matches('0') {
            "" => format!("{whole}{name}"),
            digits => format!("{whole}.{digits}{name}"),
        }
    };
    match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => return fraction(nanos, 1_000, "µs"),
        1_000_000..1_000_000_000 => return fraction(nanos, 1_000_000, "ms"),
        _ => {}
    }
    let (hours, rest) = (nanos / 3_600_000_000_000, nanos % 3_600_000_000_000);
    let (minutes, rest) = (rest / 60_000_000_000, rest % 60_000_000_000);
    let seconds = fraction(rest, 1_000_000_000, "s");
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn values_are_printed_as_go_does() {
        let list = ["a".to_owned(), "b \"c\"\n".to_owned()];
        assert_eq!(quoted(&list), r#"["a" "b \"c\"\n"]"#);
        assert_eq!(character(3), r"'\x03'");
        assert_eq!(character(10), r"'\n'");
        let printed = [0, 1_500, 30_000, 90_000, 3_600_000];
        let printed = printed.map(|millis| duration(Duration::from_millis(millis)));
        assert_eq!(printed, ["0s", "1.5s", "30s", "1m30s", "1h0m0s"]);
        assert_eq!(duration(Duration::from_micros(1_500)), "1.5ms");
    }
}
