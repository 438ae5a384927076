//! `--chown` and `--chmod`: whose the copied files become, by the image's own files of names.

use crate::Error;

/// `USER[:GROUP]`, by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user as written.
    pub user: String,
    /// The group as written; the user's own word when there is none.
    pub group: String,
}

impl Owner {
    /// Reads it.
    ///
    /// # Errors
    /// When it has more than two parts, or an empty one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split(':').collect();
        let (user, group) = match parts.as_slice() {
            [user] => (*user, *user),
            [user, group] => (*user, *group),
            _ => return Err(Error::Owner(text.to_owned())),
        };
        if user.is_empty() || group.is_empty() {
            return Err(Error::Owner(text.to_owned()));
        }
        Ok(Self {
            user: user.to_owned(),
            group: group.to_owned(),
        })
    }

    /// Reports whether the image's files of names need not be read.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        self.user.parse::<u32>().is_ok() && self.group.parse::<u32>().is_ok()
    }

    /// Finds the numbers, by the text of `/etc/passwd` and `/etc/group`.
    ///
    /// # Errors
    /// What name is missing, in Docker's words.
    pub fn numbers(&self, passwd: &str, group: &str) -> Result<(u32, u32), String> {
        let uid = number(&self.user, passwd).ok_or_else(|| {
            let name = &self.user;
            format!("can't find uid for user {name}: no such user: {name}")
        })?;
        let gid = number(&self.group, group).ok_or_else(|| {
            let name = &self.group;
            format!("can't find gid for group {name}: no such group: {name}")
        })?;
        Ok((uid, gid))
    }
}

/// A number stands for itself; a name is looked up.
fn number(wanted: &str, table: &str) -> Option<u32> {
    if let Ok(number) = wanted.parse() {
        return Some(number);
    }
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _password, number) = (fields.next()?, fields.next()?, fields.next()?);
        (name == wanted).then(|| number.trim().parse().ok())?
    })
}

/// Reads the octal mode of `--chmod`.
///
/// # Errors
/// When it is none.
pub fn mode(text: &str) -> Result<u32, Error> {
    let octal = u32::from_str_radix(text, 8).ok();
    octal
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Error::Mode(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/:\nbroken\nweb:x:33:44::/:\n";
    const GROUP: &str = "root:x:0:\nwww:x:55:web\nweb:x:66:\n";

    fn numbers(text: &str) -> Result<(u32, u32), String> {
        Owner::parse(text).unwrap().numbers(PASSWD, GROUP)
    }

    #[test]
    fn names_are_the_images_own() {
        assert_eq!(numbers("web:www"), Ok((33, 55)));
        assert_eq!(numbers("web"), Ok((33, 66)));
        assert_eq!(numbers("7"), Ok((7, 7)));
        assert_eq!(numbers("7:www"), Ok((7, 55)));
        let missing = numbers("nobody").unwrap_err();
        assert_eq!(
            missing,
            "can't find uid for user nobody: no such user: nobody"
        );
        assert!(Owner::parse("a:b:c").is_err() && Owner::parse(":b").is_err());
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("755"), Ok(0o755));
        assert_eq!(mode("4755"), Ok(0o4755));
        assert!(mode("u+x").is_err() && mode("99").is_err() && mode("17777").is_err());
    }
}
