//! Comments that silence rules: `# hadolint ignore=DL3006,SC2086 # why`, and `# hadolint global ignore=…`.

/// Gives the rules that a comment silences for the instruction below it.
pub(crate) fn ignored(comment: &str) -> Option<Vec<&str>> {
    codes(words(comment)?.strip_prefix("ignore")?)
}

/// Gives the shell that a comment names for the base image.
pub(crate) fn shell(comment: &str) -> Option<&str> {
    let rest = words(comment)?.strip_prefix("shell")?.trim_start();
    Some(rest.strip_prefix('=')?.trim())
}

/// Lists the rules that comments silence in the whole file.
pub(crate) fn global(text: &str) -> Vec<&str> {
    let comments = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix('#'));
    let of = |comment| {
        let rest = words(comment)?.strip_prefix("global")?.trim_start();
        codes(rest.strip_prefix("ignore")?)
    };
    comments.filter_map(of).flatten().collect()
}

fn words(comment: &str) -> Option<&str> {
    Some(comment.trim().strip_prefix("hadolint")?.trim_start())
}

fn codes(rest: &str) -> Option<Vec<&str>> {
    let list = rest.trim_start().strip_prefix('=')?;
    let list = list.split('#').next().unwrap_or_default();
    Some(
        list.split(',')
            .map(str::trim)
            .filter(|code| !code.is_empty())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_name_rules_and_may_say_why() {
        assert_eq!(
            ignored("hadolint ignore=DL1,SC2 # because"),
            Some(vec!["DL1", "SC2"])
        );
        assert_eq!(ignored(" hadolint  ignore = DL1"), Some(vec!["DL1"]));
        assert_eq!(ignored("lint ignore=DL1"), None);
        assert_eq!(shell("hadolint shell=powershell"), Some("powershell"));
        assert_eq!(
            global("FROM a\n # hadolint global ignore=DL1, DL2\n"),
            ["DL1", "DL2"]
        );
    }
}
