//! `FROM` lines with digests: which images of a file have none, and the file with them.
//!
//! A tag is whatever its registry says today; a digest is one image for ever. Nothing but the words of `FROM` changes:
//! comments, spaces and the ends of lines stay. Used by `hakone build --pin`.

use std::collections::BTreeMap;

use crate::{Dockerfile, Stage};

/// What a stage begins with, as far as a digest goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pin {
    /// Nothing, another stage, or an image with a digest: there is nothing to do.
    Settled,
    /// An image that only a tag names, or nothing but its name.
    Open(String),
    /// A variable decides which image it is.
    Variable(String),
}

/// Tells of a stage what its `FROM` names.
#[must_use]
pub fn pin(file: &Dockerfile, stage: &Stage) -> Pin {
    let image = &stage.from.image;
    let earlier = file.stages.iter().take(stage.index);
    let settled = image == "scratch" || image.contains('@');
    match () {
        () if image.contains('$') => Pin::Variable(image.clone()),
        () if settled || earlier.into_iter().any(|other| other.is_named(image)) => Pin::Settled,
        () => Pin::Open(image.clone()),
    }
}

/// Gives the text of the file with other images in its `FROM` lines: `images` has the old words and the new ones.
///
/// A word that is not found as it is, because a line ends within it, stays.
#[must_use]
pub fn with_images(text: &str, file: &Dockerfile, images: &BTreeMap<String, String>) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for stage in &file.stages {
        let (Pin::Open(old), span) = (pin(file, stage), stage.head.span) else {
            continue;
        };
        let Some(new) = images.get(&old) else {
            continue;
        };
        let first = span.first.saturating_sub(1) as usize;
        let count = (span.last as usize).saturating_sub(first);
        let own = lines.iter_mut().skip(first).take(count);
        // A comment may stand within a continued line.
        let own = own.filter(|line| !line.trim_start().starts_with('#'));
        for line in own {
            if let Some(changed) = replaced(line, &old, new) {
                *line = changed;
                break;
            }
        }
    }
    lines.concat()
}

/// Replaces the first word that is `old`.
fn replaced(line: &str, old: &str, new: &str) -> Option<String> {
    let whole = |at: &usize| {
        let before = line.get(..*at).and_then(|part| part.chars().next_back());
        let after = line.get(at + old.len()..);
        let after = after.and_then(|part| part.chars().next());
        before.is_none_or(char::is_whitespace) && after.is_none_or(char::is_whitespace)
    };
    let at = line.match_indices(old).map(|(at, _)| at).find(whole)?;
    let (before, rest) = line.split_at_checked(at)?;
    Some(format!("{before}{new}{}", rest.get(old.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# syntax=x\r\nARG V=1\nfrom --platform=linux/amd64 debian:12 AS debian\r\nRUN echo debian:12\n\
        FROM img:$V\nFROM debian\nFROM scratch\nFROM \\\n  # busybox\n  busybox\nFROM reg:5000/a/b:1@sha256:0 as x\nFROM busybox AS again\n";

    #[test]
    fn images_without_a_digest_are_found() {
        let file = Dockerfile::parse(FILE.as_bytes()).unwrap();
        let found: Vec<Pin> = file.stages.iter().map(|stage| pin(&file, stage)).collect();
        let open = |image: &str| Pin::Open(image.to_owned());
        let wanted = [
            open("debian:12"),
            Pin::Variable("img:$V".to_owned()),
            Pin::Settled,
            Pin::Settled,
            open("busybox"),
            Pin::Settled,
            open("busybox"),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn only_the_words_of_from_change() {
        let file = Dockerfile::parse(FILE.as_bytes()).unwrap();
        let image = |image: &str| (image.to_owned(), format!("{image}@sha256:1"));
        let images = BTreeMap::from([image("debian:12"), image("busybox")]);
        let changed = with_images(FILE, &file, &images);
        let wanted = FILE
            .replace("amd64 debian:12 ", "amd64 debian:12@sha256:1 ")
            .replace("\n  busybox", "\n  busybox@sha256:1")
            .replace("FROM busybox", "FROM busybox@sha256:1");
        assert_eq!(changed, wanted);
        let again = Dockerfile::parse(changed.as_bytes()).unwrap();
        let open = |stage: &&Stage| matches!(pin(&again, stage), Pin::Open(_));
        assert_eq!(again.stages.iter().find(open), None);
        assert_eq!(with_images(&changed, &again, &images), changed);
    }
}
