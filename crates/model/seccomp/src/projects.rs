//! A bound on files that holds: whose files are counted by project may not take them out of it.
//!
//! Root of a container without ids of its own owns its files, and the kernel lets the owner of a file move it to another project, or
//! a folder leave what is made in it to none (`chattr -p`, `chattr -P`). Both are calls of `ioctl`, whose argument a filter cannot
//! read: they fail for a container whose size is bounded. Read by `service/container/seccomp.rs`.

use crate::{Action, Resolved, ResolvedRule, ping::is};

/// `FS_IOC_FSSETXATTR`, and `FS_IOC_SETFLAGS` for 64-bit and 32-bit programs.
const SET_PROJECT: [u64; 3] = [0x401c_5820, 0x4008_6602, 0x4004_6602];
/// The newer call of the same purpose.
const FILE_SETATTR: &str = "file_setattr";
const EPERM: u16 = 1;

impl Resolved {
    /// Keeps files in their project, before all other rules.
    #[must_use]
    pub fn with_projects_kept(mut self) -> Self {
        let refuse = |name: &str, conditions| ResolvedRule {
            names: vec![name.to_owned()],
            action: Action::Errno(EPERM),
            conditions,
        };
        let first = SET_PROJECT.map(|request| refuse("ioctl", vec![is(1, request)]));
        self.rules.splice(..0, first);
        self.rules.insert(0, refuse(FILE_SETATTR, Vec::new()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Architecture, Call, KernelVersion, Profile, number};

    #[test]
    fn no_file_leaves_its_project() {
        let kernel = KernelVersion { major: 6, minor: 1 };
        let open = r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#;
        for profile in [Profile::default_profile(), Profile::parse(open).unwrap()] {
            let resolved = profile.resolve(|_| true, kernel).with_projects_kept();
            let ask = |request| {
                resolved.action(&Call {
                    architecture: Architecture::X86_64,
                    number: number(Architecture::X86_64, "ioctl").unwrap(),
                    arguments: [3, request, 0, 0, 0, 0],
                })
            };
            for request in SET_PROJECT {
                assert_eq!(ask(request), Action::Errno(EPERM));
                // The kernel reads 32 bits of it.
                assert_eq!(ask(request | 1 << 32), Action::Errno(EPERM));
            }
            assert_eq!(ask(0x5401), Action::Allow);
        }
    }
}
