//! The default profile: what a container may call unless it says otherwise.
//!
//! The effect is that of Docker's default profile (compared name by name with the profiles of Docker 28 and of Debian's
//! `golang-github-containers-common` 0.50): everything fails with EPERM except what is listed, kernel features with a record
//! of holes (keyrings, `userfaultfd`, `io_uring`, new namespaces, the new mount calls) stay shut, and a capability opens the
//! calls that belong to it. Where we differ, we are narrower: see `socket` below.

use crate::{Action, Architecture, Condition, KernelVersion, Operator, Profile, Rule, Selector};

/// Files, folders, their names and attributes.
const FILES: &str = "
    access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr
    flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat
    getcwd getdents getdents64 getxattr getxattrat ioctl lchown lchown32 lgetxattr link linkat listxattr listxattrat
    llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat
    open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr
    removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat splice stat stat64 statfs statfs64
    statx symlink symlinkat sync sync_file_range syncfs tee truncate truncate64 umask unlink unlinkat utime utimensat
    utimensat_time64 utimes vmsplice write writev";

/// Waiting for several things at once, and being told of changes.
const EVENTS: &str = "
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
    fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents
    io_pgetevents io_pgetevents_time64 io_setup io_submit _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select
    signalfd signalfd4 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64";

/// Memory of one's own.
const MEMORY: &str = "
    brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
    remap_file_pages";

/// Processes, threads, signals and their order.
const PROCESSES: &str = "
    alarm execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake
    get_robust_list get_thread_area getcpu getitimer getpgid getpgrp getpid getppid getpriority getrlimit getrusage getsid
    gettid ioprio_get ioprio_set kill pause pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall rseq rt_sigaction
    rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_yield set_robust_list set_thread_area set_tid_address setitimer setpgid setpriority setrlimit
    setsid sigaltstack sigprocmask sigreturn sysinfo tgkill times tkill ugetrlimit uname uretprobe vfork wait4 waitid waitpid";

/// Users, groups, capabilities, and locking oneself in.
const IDENTITY: &str = "
    capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid
    getresuid32 getuid getuid32 landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp setfsgid setfsgid32
    setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32
    setreuid setreuid32 setuid setuid32";

/// Pipes, sockets (but for making one), queues, shared memory.
const CHANNELS: &str = "
    accept accept4 bind connect getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recv recvfrom
    recvmmsg recvmmsg_time64 recvmsg semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto setsockopt
    shmat shmctl shmdt shmget shutdown socketcall";

/// Clocks (reading them; `adjtimex` needs a capability to write) and chance.
const CLOCKS: &str = "
    adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 getrandom gettimeofday nanosleep time timer_create timer_delete timer_getoverrun timer_gettime
    timer_gettime64 timer_settime timer_settime64";

/// Calls that a capability opens.
const BY_CAPABILITY: [(&str, &str); 14] = [
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie mount mount_setattr move_mount
         open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns statmount syslog umount umount2
         unshare",
    ),
    ("CAP_BPF", "bpf"),
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    ("CAP_PERFMON", "perf_event_open"),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    ("CAP_SYS_PACCT", "acct"),
    (
        "CAP_SYS_PTRACE",
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    ("CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
];

/// Calls of one architecture.
const BY_ARCHITECTURE: [(&[&str], &str); 2] = [
    (&["amd64"], "arch_prctl modify_ldt"),
    (
        &["arm64"],
        "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    ),
];

/// Tracing one's own processes is safe since the kernel checks seccomp again after the tracer changed the call.
const TRACING: (KernelVersion, &str) = (
    KernelVersion { major: 4, minor: 8 },
    "process_vm_readv process_vm_writev ptrace",
);

/// Personalities that change no protection: Linux, `uname` of 2.6, with or without 32-bit addresses, and asking (personality(2)).
const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// `CLONE_NEW*`: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// The families of which containers make sockets: UNIX, INET, INET6, KEY, NETLINK, PACKET, PPPOX, CAN, BLUETOOTH, SMC, XDP.
///
/// `AF_VSOCK` reaches the hypervisor past every network namespace. The others, from `AF_ALG` to `AF_TIPC`, bring modules into the
/// kernel that hardly anybody uses and that have a record of holes, or know no network namespaces at all.
pub(crate) const FAMILIES: [u64; 11] = [1, 2, 10, 15, 16, 17, 24, 29, 31, 43, 44];

/// The only of these families that has pairs. The kernel loads a family's module before it finds that it has none.
pub(crate) const PAIRS: u64 = 1;

/// "No such call": makes libc fall back to `clone`, whose flags can be looked at.
const ENOSYS: u16 = 38;
const EPERM: u16 = 1;

impl Profile {
    /// Gives the default profile.
    #[must_use]
    pub fn default_profile() -> Self {
        let plain = [FILES, EVENTS, MEMORY, PROCESSES, IDENTITY, CHANNELS, CLOCKS];
        let rules = plain.map(|names| allow(names, vec![])).into_iter();
        let rules = rules
            .chain(sockets())
            .chain(
                PERSONALITIES
                    .map(|value| allow("personality", vec![argument(0, Operator::Equal, value)])),
            )
            .chain([tracing()])
            .chain(BY_ARCHITECTURE.map(|(names, calls)| of_architecture(names, calls)))
            .chain(BY_CAPABILITY.map(|(capability, calls)| of_capability(capability, calls)))
            .chain(clone());
        Self {
            default: Action::Errno(EPERM),
            architectures: vec![Architecture::X86, Architecture::Arm],
            rules: rules.collect(),
        }
    }
}

fn allow(names: &str, conditions: Vec<Condition>) -> Rule {
    Rule {
        names: names.split_whitespace().map(str::to_owned).collect(),
        action: Action::Allow,
        conditions,
        includes: Selector::default(),
        excludes: Selector::default(),
    }
}

const fn argument(index: u8, operator: Operator, value: u64) -> Condition {
    Condition {
        index,
        operator,
        value,
    }
}

/// Families are named one by one: "not 40" would let 2^32 + 40 pass, which the kernel reads as 40.
fn sockets() -> impl Iterator<Item = Rule> {
    let one = |name, family| allow(name, vec![argument(0, Operator::Equal, family)]);
    let single = FAMILIES.into_iter().map(move |each| one("socket", each));
    single.chain([one("socketpair", PAIRS)])
}

fn tracing() -> Rule {
    let (oldest, names) = TRACING;
    let mut rule = allow(names, vec![]);
    rule.includes.min_kernel = Some(oldest);
    rule
}

fn of_architecture(architectures: &[&str], names: &str) -> Rule {
    let mut rule = allow(names, vec![]);
    rule.includes.architectures = architectures
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    rule
}

fn of_capability(capability: &str, names: &str) -> Rule {
    let mut rule = allow(names, vec![]);
    rule.includes.capabilities = vec![capability.to_owned()];
    rule
}

/// New processes without new namespaces; the flags of `clone3` lie in memory, where a filter cannot look.
fn clone() -> [Rule; 2] {
    let flags = argument(
        0,
        Operator::MaskedEqual {
            mask: NEW_NAMESPACES,
        },
        0,
    );
    let without_power = |mut rule: Rule| {
        rule.excludes.capabilities = vec!["CAP_SYS_ADMIN".to_owned()];
        rule
    };
    let mut clone3 = allow("clone3", vec![]);
    clone3.action = Action::Errno(ENOSYS);
    [
        without_power(allow("clone", vec![flags])),
        without_power(clone3),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, number};

    const NEW: KernelVersion = KernelVersion { major: 6, minor: 1 };

    fn verdict(name: &str, arguments: [u64; 6], capabilities: &[&str]) -> Action {
        let resolved = Profile::default_profile().resolve(|name| capabilities.contains(&name), NEW);
        let architecture = resolved.architectures[0];
        let number = number(architecture, name).unwrap();
        resolved.action(&Call {
            architecture,
            number,
            arguments,
        })
    }

    #[test]
    fn everyday_calls_pass_and_dangerous_ones_do_not() {
        for name in ["read", "openat", "futex", "listen", "ptrace", "execve"] {
            assert_eq!(verdict(name, [0; 6], &[]), Action::Allow, "{name}");
        }
        let shut = [
            "add_key",
            "keyctl",
            "request_key",
            "perf_event_open",
            "userfaultfd",
            "unshare",
            "mount",
            "kexec_load",
            "open_by_handle_at",
            "syslog",
            "bpf",
            "io_uring_setup",
            "setns",
            "init_module",
            "reboot",
            "swapon",
            "chroot",
            "open_tree",
            "pidfd_getfd",
            "mbind",
            "acct",
            "iopl",
            "clock_settime",
        ];
        for name in shut {
            assert_eq!(verdict(name, [0; 6], &[]), Action::Errno(1), "{name}");
        }
    }

    #[test]
    fn a_capability_opens_what_belongs_to_it() {
        assert_eq!(
            verdict("chroot", [0; 6], &["CAP_SYS_CHROOT"]),
            Action::Allow
        );
        assert_eq!(verdict("mount", [0; 6], &["CAP_SYS_ADMIN"]), Action::Allow);
        assert_eq!(verdict("clone3", [0; 6], &["CAP_SYS_ADMIN"]), Action::Allow);
        assert_eq!(
            verdict("keyctl", [0; 6], &["CAP_SYS_ADMIN"]),
            Action::Errno(1)
        );
    }

    #[test]
    fn a_process_may_be_made_but_no_namespace() {
        assert_eq!(verdict("clone", [0x11, 0, 0, 0, 0, 0], &[]), Action::Allow);
        for flag in [
            0x0002_0000,
            0x0200_0000,
            0x0400_0000,
            0x0800_0000,
            0x1000_0000,
            0x2000_0000,
            0x4000_0000,
        ] {
            assert_eq!(
                verdict("clone", [flag, 0, 0, 0, 0, 0], &[]),
                Action::Errno(1)
            );
        }
        assert_eq!(verdict("clone3", [0; 6], &[]), Action::Errno(38));
    }

    #[test]
    fn families_that_lead_out_or_that_nobody_needs_are_shut_whatever_the_upper_half_says() {
        for family in 0..64 {
            let allowed = match FAMILIES.contains(&family) {
                true => Action::Allow,
                false => Action::Errno(1),
            };
            let asked = |family| verdict("socket", [family, 1, 0, 0, 0, 0], &["CAP_NET_ADMIN"]);
            assert_eq!(asked(family), allowed, "{family}");
            assert_eq!(asked((1 << 32) + family), Action::Errno(1), "{family}");
            let pair = |family| verdict("socketpair", [family, 1, 0, 0, 0, 0], &[]);
            assert_eq!(pair(family) == Action::Allow, family == 1, "{family}");
            assert_eq!(pair((1 << 32) + family), Action::Errno(1), "{family}");
        }
        // VSOCK, ALG, RDS, TIPC, RXRPC.
        assert!(
            [40, 38, 21, 30, 33]
                .iter()
                .all(|family| !FAMILIES.contains(family))
        );
    }

    #[test]
    fn only_harmless_personalities_pass() {
        assert_eq!(
            verdict("personality", [0xffff_ffff, 0, 0, 0, 0, 0], &[]),
            Action::Allow
        );
        assert_eq!(
            verdict("personality", [0x0040_0000, 0, 0, 0, 0, 0], &[]),
            Action::Errno(1)
        );
    }

    #[test]
    fn an_old_kernel_does_not_trace() {
        let old = KernelVersion { major: 4, minor: 4 };
        let resolved = Profile::default_profile().resolve(|_| false, old);
        assert!(
            !resolved
                .rules
                .iter()
                .any(|rule| rule.names.iter().any(|name| name == "ptrace"))
        );
    }

    #[test]
    fn no_call_is_named_twice_without_reason() {
        let mut seen = std::collections::BTreeSet::new();
        for names in [FILES, EVENTS, MEMORY, PROCESSES, IDENTITY, CHANNELS, CLOCKS] {
            for name in names.split_whitespace() {
                assert!(seen.insert(name), "{name}");
            }
        }
    }
}
