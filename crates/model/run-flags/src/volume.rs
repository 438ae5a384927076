//! `-v`: a bind or named volume is sent on, an anonymous one belongs to the configuration.

use std::path::{Component, Path, PathBuf};

use crate::Error;

/// What one `-v` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// `source:target[:mode]`, the source absolute or a name.
    Bind(String),
    /// A target alone.
    Anonymous(String),
}

/// Parses one flag; a source that starts with a dot is relative to `folder`.
pub(crate) fn parse(text: &str, folder: &Path) -> Result<Volume, Error> {
    let refuse = |reason: &str| Err(Error::usage(format!("invalid spec: {text}: {reason}")));
    let parts: Vec<&str> = text.split(':').collect();
    if text.is_empty() {
        return refuse("empty volume spec");
    }
    if parts.iter().any(|part| part.is_empty()) {
        return refuse("empty section between colons");
    }
    match parts.as_slice() {
        [target] => Ok(Volume::Anonymous((*target).to_owned())),
        [source, rest @ ..] if rest.len() <= 2 => {
            let source = match source.starts_with('.') || source.starts_with('~') {
                true => absolute(folder, source),
                false => (*source).to_owned(),
            };
            Ok(Volume::Bind(format!("{source}:{}", rest.join(":"))))
        }
        _ => refuse("too many colons"),
    }
}

/// Joins and removes dots by text alone, as Go does.
pub(crate) fn absolute(folder: &Path, path: &str) -> String {
    let mut clean = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_source_is_made_absolute() {
        let bind = |text| parse(text, Path::new("/home/me"));
        assert_eq!(
            bind("./a:/b").unwrap(),
            Volume::Bind("/home/me/a:/b".into())
        );
        assert_eq!(
            bind("../a:/b:ro").unwrap(),
            Volume::Bind("/home/a:/b:ro".into())
        );
        assert_eq!(bind(".:/b").unwrap(), Volume::Bind("/home/me:/b".into()));
        assert_eq!(bind("vol:/b").unwrap(), Volume::Bind("vol:/b".into()));
    }

    #[test]
    fn empty_sections_are_refused() {
        let error = parse(":/x", Path::new("/")).unwrap_err().to_string();
        assert_eq!(error, "invalid spec: :/x: empty section between colons");
    }
}
