//! Query parameters as clients of ten years send them.

/// Reads a flag: `1`, `true`, `True`, `yes` and the like are true; empty, `0`, `no`, `false`, `none` are false.
#[must_use]
pub fn flag(value: &str) -> bool {
    !matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "" | "0" | "no" | "false" | "none"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_py_sends_capitalised_flags() {
        assert!(flag("True") && flag("1") && flag("yes"));
        assert!(!flag("False") && !flag("0") && !flag("") && !flag("none"));
    }
}
