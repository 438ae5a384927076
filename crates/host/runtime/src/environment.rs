//! The environment of a process.

/// The value of `name`; the last one stands, as for most programs.
pub(crate) fn value<'a>(environment: &'a [String], name: &str) -> Option<&'a str> {
    let mut all = environment.iter().rev();
    all.find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
}

/// Adds `HOME`, when nobody set it.
pub(crate) fn with_home(mut environment: Vec<String>, home: &str) -> Vec<String> {
    if value(&environment, "HOME").is_none() {
        environment.push(format!("HOME={home}"));
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_is_set_stays() {
        let set = vec!["HOMER=1".to_owned(), "HOME=/x".to_owned()];
        assert_eq!(with_home(set.clone(), "/root"), set);
        assert_eq!(with_home(Vec::new(), "/root"), ["HOME=/root"]);
    }
}
