//! Finds the numbers of a user and their groups in the image's own `/etc/passwd` and `/etc/group`.
//!
//! Both files come from the image and are hostile: lines that do not parse are skipped, as libc does, and numbers beyond
//! the kernel's range are refused rather than cut. The texts of the refusals are runc's, which clients look for.

use std::collections::BTreeSet;

use hakone_base::{Fault, Kind};

/// Who a process runs as, in numbers of the container's user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedUser {
    /// The user.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// All groups of the process, the first one too, without repetition, in rising order.
    pub additional_gids: Vec<u32>,
    /// The home folder of the user's entry, `/` for a number without one.
    pub home: String,
}

/// Why a user cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// A name that the image does not know.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// A group name that the image does not know.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// A name of `--group-add` that the image does not know.
    #[error("Unable to find group {0}: no matching entries in group file")]
    NoExtraGroup(String),
    /// A number outside the kernel's range.
    #[error("uids and gids must be in range 0-2147483647")]
    Range,
}

impl Fault for UserError {
    fn kind(&self) -> Kind {
        match self {
            Self::NoUser(_) | Self::NoGroup(_) | Self::NoExtraGroup(_) | Self::Range => {
                Kind::InvalidParameter
            }
        }
    }
}

/// The largest id that Docker lets pass: `(uid_t) -1` means "leave it" to the kernel, and runc stops at `i32::MAX`.
const MAX: u32 = 0x7fff_ffff;

/// Resolves `name|uid[:name|gid]` (empty means root) and the additional groups of `--group-add`.
///
/// # Errors
/// When a name is not in the files or a number is out of range.
pub fn resolve(
    passwd: &str,
    group: &str,
    user: &str,
    groups: &[String],
) -> Result<ResolvedUser, UserError> {
    let (user, chosen) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let entry = passwd_entry(passwd, user)?;
    let gid = match chosen {
        Some(name) => group_id(group, name)?.ok_or_else(|| UserError::NoGroup(name.to_owned()))?,
        None => entry.gid,
    };
    let mut additional = match chosen {
        Some(_) => BTreeSet::new(),
        None => memberships(group, &entry.name),
    };
    additional.insert(gid);
    for name in groups {
        let extra = group_id(group, name)?.ok_or_else(|| UserError::NoExtraGroup(name.clone()))?;
        additional.insert(extra);
    }
    Ok(ResolvedUser {
        uid: entry.uid,
        gid,
        additional_gids: additional.into_iter().collect(),
        home: entry.home,
    })
}

struct Entry {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

/// Finds a user by name, else by number; a number without an entry is taken as it stands, with group 0.
fn passwd_entry(passwd: &str, user: &str) -> Result<Entry, UserError> {
    let wanted = if user.is_empty() { "0" } else { user };
    let number = parse_id(wanted)?;
    let entries = || passwd.lines().filter_map(parse_passwd);
    let found = entries()
        .find(|entry| entry.name == wanted)
        .or_else(|| entries().find(|entry| Some(entry.uid) == number));
    match (found, number) {
        (Some(entry), _) => Ok(entry),
        (None, Some(uid)) => Ok(Entry {
            name: String::new(),
            uid,
            gid: 0,
            home: "/".into(),
        }),
        (None, None) => Err(UserError::NoUser(wanted.to_owned())),
    }
}

fn parse_passwd(line: &str) -> Option<Entry> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = parse_id(fields.nth(1)?).ok()??;
    let gid = parse_id(fields.next()?).ok()??;
    let home = fields.nth(1).filter(|home| !home.is_empty());
    Some(Entry {
        name,
        uid,
        gid,
        home: home.unwrap_or("/").to_owned(),
    })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn parse_group(line: &str) -> Option<Group<'_>> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = parse_id(fields.nth(1)?).ok()??;
    let members = fields.next().unwrap_or("");
    Some(Group { name, gid, members })
}

fn group_id(group: &str, wanted: &str) -> Result<Option<u32>, UserError> {
    let number = parse_id(wanted)?;
    let named = group
        .lines()
        .filter_map(parse_group)
        .find(|group| group.name == wanted);
    Ok(named.map(|group| group.gid).or(number))
}

fn memberships(group: &str, name: &str) -> BTreeSet<u32> {
    let is_member =
        |group: &Group<'_>| !name.is_empty() && group.members.split(',').any(|m| m == name);
    group
        .lines()
        .filter_map(parse_group)
        .filter(is_member)
        .map(|group| group.gid)
        .collect()
}

/// Reads a number; a text that is not one is a name.
fn parse_id(text: &str) -> Result<Option<u32>, UserError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(id) if id <= MAX => Ok(Some(id)),
        _ => Err(UserError::Range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken line\nweb:x:33:34::/srv:/bin/false\n1000:x:7:7::/n:\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nlogs:x:4:web,other\nadm:x:9:web\n";

    fn user(text: &str) -> (u32, u32, Vec<u32>, String) {
        let found = resolve(PASSWD, GROUP, text, &[]).unwrap();
        (found.uid, found.gid, found.additional_gids, found.home)
    }

    #[test]
    fn nobody_named_is_root() {
        assert_eq!(user(""), (0, 0, vec![0], "/root".into()));
    }

    #[test]
    fn a_name_brings_its_groups_and_a_chosen_group_leaves_them() {
        assert_eq!(user("web"), (33, 34, vec![4, 9, 34], "/srv".into()));
        assert_eq!(user("web:adm"), (33, 9, vec![9], "/srv".into()));
        assert_eq!(user("33:77"), (33, 77, vec![77], "/srv".into()));
    }

    #[test]
    fn a_number_without_entry_is_taken_with_group_zero() {
        assert_eq!(user("4711"), (4711, 0, vec![0], "/".into()));
    }

    #[test]
    fn a_name_of_digits_wins_over_the_number() {
        assert_eq!(user("1000").0, 7);
    }

    #[test]
    fn unknown_names_and_wild_numbers_are_refused() {
        let refusal = |text: &str| resolve(PASSWD, GROUP, text, &[]).unwrap_err().to_string();
        assert_eq!(
            refusal("nope"),
            "unable to find user nope: no matching entries in passwd file"
        );
        assert_eq!(
            refusal("web:nope"),
            "unable to find group nope: no matching entries in group file"
        );
        assert_eq!(
            refusal("4294967295"),
            "uids and gids must be in range 0-2147483647"
        );
    }

    #[test]
    fn group_add_takes_names_and_numbers() {
        let groups = ["logs".to_owned(), "50".to_owned()];
        let found = resolve("", GROUP, "5", &groups).unwrap();
        assert_eq!(found.additional_gids, [0, 4, 50]);
        let unknown = resolve("", GROUP, "5", &["nope".to_owned()]).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "Unable to find group nope: no matching entries in group file"
        );
    }
}
