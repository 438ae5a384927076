//! Whose a file is inside a container and outside of it.
//!
//! With mapped ids the root of a running container shows the outer ones; what is stored and what a tar stream says are the inner ones.

/// What an id without a name inside is shown as.
const NOBODY: u32 = 65534;

/// A run of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first one inside.
    pub inside: u32,
    /// The first one outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Maps of users and groups; empty ones map every id to itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Of users.
    pub users: Vec<IdRange>,
    /// Of groups.
    pub groups: Vec<IdRange>,
}

impl Ids {
    /// The owner that the kernel knows; none when the container has no such id.
    #[must_use]
    pub fn outside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        Some((outside(&self.users, uid)?, outside(&self.groups, gid)?))
    }

    /// The owner that the container sees.
    #[must_use]
    pub fn inside(&self, uid: u32, gid: u32) -> (u32, u32) {
        (inside(&self.users, uid), inside(&self.groups, gid))
    }
}

fn outside(ranges: &[IdRange], id: u32) -> Option<u32> {
    if ranges.is_empty() {
        return Some(id);
    }
    ranges.iter().find_map(|range| {
        let offset = id.checked_sub(range.inside)?;
        (offset < range.count).then(|| range.outside.checked_add(offset))?
    })
}

fn inside(ranges: &[IdRange], id: u32) -> u32 {
    if ranges.is_empty() {
        return id;
    }
    let found = ranges.iter().find_map(|range| {
        let offset = id.checked_sub(range.outside)?;
        (offset < range.count).then(|| range.inside.checked_add(offset))?
    });
    found.unwrap_or(NOBODY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_out_comes_back_and_a_stranger_is_nobody() {
        let range = IdRange {
            inside: 0,
            outside: 100_000,
            count: 65_536,
        };
        let ids = Ids {
            users: vec![range],
            groups: vec![range],
        };
        assert_eq!(ids.outside(0, 1000), Some((100_000, 101_000)));
        assert_eq!(ids.inside(100_000, 101_000), (0, 1000));
        assert_eq!(ids.inside(0, 0), (NOBODY, NOBODY));
        assert_eq!(ids.outside(70_000, 0), None);
        assert_eq!(Ids::default().outside(7, 8), Some((7, 8)));
    }
}
