//! What the paths of `cp` mean: whose they are, what they end in, and what becomes of a name.

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// On this machine; `-` is an archive.
    Here(String),
    /// In a container.
    There {
        /// The container.
        container: String,
        /// The path inside.
        path: String,
    },
}

impl Side {
    /// Reads an end; `./a:b` and `/a:b` are files here. An empty one is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let split = text.split_once(':');
        Some(match split {
            Some((container, path)) if !text.starts_with(['/', '.']) => Self::There {
                container: container.to_owned(),
                path: path.to_owned(),
            },
            _ => Self::Here(text.to_owned()),
        })
    }
}

/// What stands at the end of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// A folder: things go into it.
    Folder,
    /// Something else: a file goes in its place.
    Other,
    /// Nothing.
    Nothing,
}

/// Where the source goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Landing {
    /// Into the folder, under its own name or, for the contents of a folder, without one.
    Into,
    /// Under the destination's own name, in the folder above it.
    As,
}

/// Decides where a source goes.
///
/// # Errors
/// In docker's words, when a folder would replace a file, or a file go into a folder that is not there.
pub(super) fn land(
    present: Present,
    destination: &str,
    folder: bool,
) -> Result<Landing, &'static str> {
    match (present, folder) {
        (Present::Folder, _) => Ok(Landing::Into),
        (Present::Other, true) => Err("cannot copy directory"),
        (Present::Nothing, false) if means_folder(destination) => Err("no such directory"),
        (Present::Other | Present::Nothing, _) => Ok(Landing::As),
    }
}

/// Reports whether a path means the contents of a folder: it ends in a dot.
pub(super) fn means_contents(path: &str) -> bool {
    path == "." || path.ends_with("/.")
}

/// Reports whether a path can only be a folder.
pub(super) fn means_folder(path: &str) -> bool {
    path.ends_with('/') || means_contents(path) || path == ".." || path.ends_with("/..")
}

/// Gives a path's last name; a dot at the end is a name, slashes are not.
pub(super) fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match (trimmed.is_empty(), path.is_empty()) {
        (true, true) => ".",
        (true, false) => "/",
        (false, _) => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// Gives the folder above a path's last name.
pub(super) fn parent(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((above, _)) => above,
        None if path.starts_with('/') => "/",
        None => ".",
    }
}

/// Puts a name below a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    format!("{}/{name}", folder.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_names_a_container_unless_the_path_says_otherwise() {
        let there = Side::There {
            container: "web".into(),
            path: "/a:b".into(),
        };
        assert_eq!(Side::parse("web:/a:b"), Some(there));
        for here in ["./a:b", "/a:b", "a", "-"] {
            assert_eq!(Side::parse(here), Some(Side::Here(here.into())));
        }
        assert_eq!(Side::parse(""), None);
    }

    #[test]
    fn names_and_folders_are_told_apart() {
        let told = ["/a/b", "/a/b/", "/a/.", "a", "/", "/a"].map(|path| (parent(path), base(path)));
        let wanted = [
            ("/a", "b"),
            ("/a", "b"),
            ("/a", "."),
            (".", "a"),
            ("/", "/"),
            ("/", "a"),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_folder_takes_things_in_and_nothing_else_does() {
        assert_eq!(land(Present::Folder, "/d", true), Ok(Landing::Into));
        assert_eq!(land(Present::Nothing, "/d", true), Ok(Landing::As));
        assert_eq!(land(Present::Nothing, "/d/", true), Ok(Landing::As));
        assert_eq!(land(Present::Other, "/f", false), Ok(Landing::As));
        assert_eq!(
            land(Present::Other, "/f", true),
            Err("cannot copy directory")
        );
        assert_eq!(
            land(Present::Nothing, "/d/", false),
            Err("no such directory")
        );
    }
}
