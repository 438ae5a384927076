"""Attacks on the kernel from inside a container: a function each, named as the sheet of attacks names them.

Prints a line for each attack, its name and `open` or `shut`; who runs it compares with what must be. Nothing here harms a host on which
it succeeds: what would be written is written back, what would be loaded is nothing.
"""

import ctypes, errno, glob, os, socket, stat, struct, sys

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
ATTACKS = []


def attack(function):
    ATTACKS.append(function)
    return function


def call(number, *arguments):
    """Calls the kernel (x86_64); gives what it says, negative for an error."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    got = LIBC.syscall(ctypes.c_long(number), *words)
    return -ctypes.get_errno() if got == -1 else got


def worked(*results):
    """Whether any of the calls was let through to the kernel's own judgement of its arguments, or succeeded."""
    return any(r not in (-errno.EPERM, -errno.EACCES, -errno.ENOSYS) for r in results)


def done(*results):
    return any(r >= 0 for r in results)


def in_child(does):
    """Runs something in a child that may break itself; gives whether it returned true."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if does() else 1)
        except OSError:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def readable(pattern):
    for path in glob.glob(pattern):
        try:
            with open(path, "rb") as file:
                if file.read(64):
                    return True
        except OSError:
            pass
    return False


def writable(path):
    """Writes back what is there; a file that cannot be read gets nothing written, but is opened for it."""
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    os.close(fd)
    return os.path.realpath(path) != "/dev/null" and not stat.S_ISCHR(os.stat(path).st_mode)


@attack
def keyring_add_key():
    return worked(call(248, b"user", b"hakone", b"x", 1, -4))


@attack
def keyring_request_key():
    return worked(call(249, b"user", b"hakone", None, -4))


@attack
def keyring_keyctl_read():
    return worked(call(250, 0, -3, 0), call(250, 11, -4, None, 0))


@attack
def perf_event_open():
    return worked(call(298, b"\0" * 128, 0, -1, -1, 0))


@attack
def userfaultfd():
    return worked(call(323, 1), call(323, 0)) or os.path.exists("/dev/userfaultfd")


@attack
def unshare_userns():
    return in_child(lambda: done(call(272, 0x10000000)) or done(call(272, 0x10020000)))


@attack
def clone_userns():
    def does():
        child = call(56, 0x10000000 | 17, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        return child > 0
    return in_child(does)


@attack
def clone3_userns():
    arguments = struct.pack("=11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
    def does():
        child = call(435, arguments, 88)
        if child == 0:
            os._exit(0)
        return child > 0
    return in_child(does)


@attack
def unshare_network():
    return in_child(lambda: done(call(272, 0x40000000)))


@attack
def setns_of_another():
    return worked(call(308, -1, 0))


@attack
def mount_tmpfs():
    return in_child(lambda: done(call(165, b"none", b"/mnt", b"tmpfs", 0, None)))


@attack
def mount_new_calls():
    return worked(call(430, b"tmpfs", 0), call(428, -100, b"/", 1), call(442, -100, b"/", 0, b"\0" * 32, 32), call(467, -100, b"/", 1, None, 0))


@attack
def umount_of_masks():
    return in_child(lambda: done(call(166, b"/proc/keys", 2)) or done(call(166, b"/proc/sys", 2)))


@attack
def kexec_load():
    return worked(call(246, 0, 0, None, 0), call(320, -1, -1, 0, None, 0))


@attack
def open_by_handle_at():
    return worked(call(304, -100, struct.pack("=IIQ", 8, 1, 2), 0))


@attack
def syslog_read():
    return worked(call(103, 3, b"\0" * 100, 100), call(103, 10, None, 0)) or readable("/dev/kmsg") or readable("/proc/kmsg")


@attack
def bpf_program():
    return worked(call(321, 5, b"\0" * 128, 128), call(321, 0, b"\0" * 128, 128))


@attack
def io_uring():
    return worked(call(425, 1, b"\0" * 200), call(426, -1, 0, 0, 0, None, 0), call(427, -1, 0, None, 0))


@attack
def kernel_modules():
    return worked(call(175, None, 0, b""), call(313, -1, b"", 0), call(176, b"hakone", 0))


@attack
def power_over_the_machine():
    return worked(call(167, b"/nosuch", 0), call(163, None), call(172, 0), call(173, 0x80, 1, 0), call(153), call(179, 0, None, 0, None))


@attack
def reboot():
    return worked(call(169, 0, 0, 0, None))


@attack
def settime():
    now = struct.pack("=qq", 0, -1)
    return worked(call(227, 0, now), call(164, now, None)) or done(call(159, struct.pack("=I", 1) + b"\0" * 204)) or done(call(305, 0, struct.pack("=I", 1) + b"\0" * 204))


@attack
def memory_of_others():
    return worked(call(279, 1, 0, None, None, None, 0), call(256, 1, 0, None, None), call(438, -1, 0, 0), call(312, 1, 1, 0, 0, 0))


@attack
def personality_without_protection():
    return in_child(lambda: done(call(135, 0x0040000)) or done(call(135, 0x0400000)))


@attack
def fanotify_of_the_file_system():
    return worked(call(300, 0, 0))


@attack
def lists_of_mounts():
    return worked(call(458, b"\x18" + b"\0" * 23, b"\0" * 80, 10, 0), call(457, b"\x18" + b"\0" * 23, b"\0" * 80, 80, 0))


def family(number, kinds=(1, 2, 3, 5)):
    """Whether a family's sockets are made, or refused by the kernel alone: then a module may come for them."""
    return worked(*[call(41, number + high, kind, 0) for kind in kinds for high in (0, 1 << 32)])


# VSOCK, ALG, RDS, TIPC, RXRPC, and old ones.
REFUSED = (40, 38, 21, 30, 33, 3, 4, 5, 6, 9, 11, 12, 20, 23, 26, 34, 35, 36, 37, 39, 41, 42)


def effective():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("CapEff:")).split()[1], 16)


@attack
def socket_af_vsock():
    pair = ctypes.create_string_buffer(8)
    return family(40) or worked(call(53, 40, 1, 0, pair)) and done(call(53, 40, 1, 0, pair)) or os.path.exists("/dev/vsock")


@attack
def socket_af_alg():
    return family(38)


@attack
def socket_af_rds():
    return family(21)


@attack
def socket_af_tipc():
    return family(30)


@attack
def socket_af_rxrpc():
    return family(33)


@attack
def sockets_of_old_families():
    return any(family(n) for n in (3, 4, 5, 6, 8, 9, 11, 12, 20, 23, 26, 27, 34, 35, 36, 37, 39, 41, 42, 45, 46))


def families_of_pairs():
    """Whether a pair's family is judged: TIPC makes pairs, and any family's module may come for the question."""
    pair = ctypes.create_string_buffer(8)
    return worked(*[call(53, n + high, 1, 0, pair) for n in REFUSED for high in (0, 1 << 32)])


@attack
def socketpair_of_refused_families():
    return families_of_pairs()


class Old:
    """Calls as 32-bit programs make them, `int 0x80`, with an array of arguments below 4 GiB."""

    def __init__(self):
        LIBC.mmap.restype = ctypes.c_void_p
        private_anonymous_low = 0x02 | 0x20 | 0x40
        self.page = LIBC.mmap(None, ctypes.c_size_t(4096), 7, private_anonymous_low, -1, ctypes.c_long(0))
        # push rbx; mov eax, edi; mov ebx, esi; mov ecx, edx; xor edx, edx; int 0x80; pop rbx; ret
        code = bytes.fromhex("5389f889f389d131d2cd805bc3")
        ctypes.memmove(self.page + 2048, code, len(code))
        self.enter = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(self.page + 2048)

    def socketcall(self, which, *arguments):
        words = struct.pack(f"={len(arguments)}I", *arguments)
        ctypes.memmove(self.page, words, len(words))
        return self.enter(102, which, self.page)

    def socket(self, family, kind, protocol=0):
        return self.socketcall(1, family, kind, protocol)

    def pair(self, family, kind):
        got = self.socketcall(8, family, kind, 0, self.page + 1024)
        return got, struct.unpack("=2i", ctypes.string_at(self.page + 1024, 8))


@attack
def socketcall_of_refused_families():
    """The arguments lie in memory, where a filter cannot look."""
    def does():
        old = Old()
        return worked(*[old.socket(n, kind) for n in REFUSED for kind in (1, 2, 3, 5)], *[old.pair(n, 1)[0] for n in REFUSED])
    return in_child(does)


@attack
def socketcall_raw():
    """Frames and headers of one's own, for who has no power over the network."""
    if effective() & (1 << 13):
        return False
    return in_child(lambda: done(Old().socket(17, 3, 0x300), Old().socket(17, 2, 0x300), Old().socket(2, 3, 255), Old().socket(2, 3, 1), Old().socket(10, 3, 58)))


@attack
def socketcall_race():
    """Another thread changes the family while it is judged."""
    def does():
        import threading
        old, stop, won = Old(), threading.Event(), []
        def flip():
            cell = ctypes.c_uint32.from_address(old.page)
            while not stop.is_set():
                cell.value = 38
                cell.value = 1
        thread = threading.Thread(target=flip)
        thread.start()
        for _ in range(300):
            got = old.socket(1, 5)
            if got >= 0:
                made = socket.socket(fileno=got)
                won.append(made.family not in (1,))
                made.close()
        stop.set()
        thread.join()
        return any(won)
    return in_child(does)


@attack
def socket_af_key():
    return done(call(41, 15, 3, 2))


@attack
def cgroup_release_agent():
    agents = glob.glob("/sys/fs/cgroup/**/release_agent", recursive=True)
    made = False
    for folder in ["/sys/fs/cgroup"] + glob.glob("/sys/fs/cgroup/*/"):
        try:
            os.mkdir(os.path.join(folder, "hakone-attack"))
            os.rmdir(os.path.join(folder, "hakone-attack"))
            made = True
        except OSError:
            pass
    return made or any(writable(path) for path in agents) or in_child(lambda: done(call(165, b"c", b"/mnt", b"cgroup", 0, b"rdma")))


def limits_of_mine():
    return glob.glob("/sys/fs/cgroup/**/*.max", recursive=True) + glob.glob("/sys/fs/cgroup/**/*limit_in_bytes", recursive=True)


@attack
def cgroup_limits_writable():
    return any(writable(path) for path in limits_of_mine())


@attack
def devices_allowed():
    return any(writable(path) for path in glob.glob("/sys/fs/cgroup/**/devices.allow", recursive=True))


def disks():
    """The disks of the host by number, as sysfs tells; and the first SCSI one."""
    for path in glob.glob("/sys/class/block/*/dev"):
        with open(path) as file:
            major, minor = file.read().strip().split(":")
            yield stat.S_IFBLK, int(major), int(minor)
    yield from [(stat.S_IFBLK, 8, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 2), (stat.S_IFCHR, 1, 4), (stat.S_IFCHR, 1, 11), (stat.S_IFCHR, 10, 237)]


@attack
def mknod_host_disk():
    """Also `/dev/mem`, `/dev/port`, `/dev/kmsg`, `/dev/loop-control`: a node that was made must open nothing."""
    for folder in ("/tmp", "/dev", "/dev/shm", "/volume"):
        for kind, major, minor in disks():
            path = f"{folder}/node"
            try:
                os.mknod(path, kind | 0o666, os.makedev(major, minor))
            except OSError:
                continue
            try:
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
                return True
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EACCES):
                    return True
            finally:
                os.unlink(path)
    return False


@attack
def mknod_allowed_on_volume():
    """A node in a volume opens nothing, not even what every container has."""
    path = "/volume/null"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.close(os.open(path, os.O_RDWR))
        return True
    except OSError:
        return False
    finally:
        if os.path.lexists(path):
            os.unlink(path)


@attack
def proc_sys_writable():
    places = ["/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname",
              "/proc/sys/vm/drop_caches", "/proc/sys/kernel/ns_last_pid", "/proc/sys/net/ipv4/ip_forward", "/sys/kernel/uevent_helper", "/proc/sys/kernel/domainname",
              "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state", "/sys/module/kernel/parameters/panic", "/proc/sys/fs/binfmt_misc/register",
              "/sys/class/net/eth0/tx_queue_len", "/proc/fs/nfsd/versions", "/sys/kernel/slab/kmalloc-64/validate"]
    return any(writable(path) for path in places) or in_child(lambda: socket.sethostname("hakone-attack") is None)


@attack
def sys_writable():
    found = 0
    for root, _, files in os.walk("/sys", followlinks=False):
        found += sum(writable(f"{root}/{name}") for name in files if found == 0)
    return found > 0


@attack
def proc_masked():
    names = ["kcore", "keys", "timer_list", "timer_stats", "latency_stats", "sched_debug", "scsi/scsi", "acpi/*", "asound/*", "vmcore", "kpagecount", "kpageflags", "kpagecgroup", "vmallocinfo"]
    return any(readable(f"/proc/{name}") for name in names) or readable("/sys/firmware/*") or readable("/sys/firmware/*/*") or readable("/sys/kernel/debug/*") or readable("/sys/kernel/tracing/*")


@attack
def proc_interrupts():
    return readable("/proc/interrupts") or readable("/sys/devices/system/cpu/cpu*/thermal_throttle/*") or readable("/sys/devices/virtual/powercap/*/energy_uj")


def is_null(status):
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)


def nulls():
    """Every null device that is at hand and is not the container's own: under masks, and as a stream."""
    own = os.stat("/dev/null")
    for path in glob.glob("/proc/*") + ["/proc/1/fd/0", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"]:
        try:
            status = os.stat(path)
        except OSError:
            continue
        if is_null(status):
            yield path, status, (status.st_dev, status.st_ino) == (own.st_dev, own.st_ino)


@attack
def host_null_changed():
    """The host's `/dev/null` under a mask or as a stream: who owns it inside, root, sets its mode and owner for everybody."""
    def changes(path, status):
        try:
            os.chmod(path, stat.S_IMODE(status.st_mode))
            return True
        except OSError:
            return False
    return any(changes(path, status) for path, status, own in nulls() if not own or path.count("/") == 2)


@attack
def host_null_watched():
    """And sees each time that anybody on the host opens it."""
    def watches(path):
        watch = LIBC.inotify_init()
        try:
            return LIBC.inotify_add_watch(watch, path.encode(), 0x20) >= 0
        finally:
            os.close(watch)
    return any(watches(path) for path, _, own in nulls() if not own and not effective_elsewhere())


def effective_elsewhere():
    """Whether root here is nobody on the host: no device can be made there, and the host's are lent."""
    with open("/proc/self/uid_map") as file:
        return file.read().split()[1] != "0"


@attack
def key_users():
    """How many keys each user of the host has, those of other containers among them."""
    return readable("/proc/key-users")


@attack
def host_facts():
    return any(readable(f"/proc/{name}") for name in ("cmdline", "modules", "kallsyms", "version_signature")) or len(open("/proc/net/dev").readlines()) > 4


@attack
def dev_extra():
    usual = {"console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
    return bool(set(os.listdir("/dev")) - usual)


@attack
def foreign_pids():
    """A process of the kernel, or the engine's own: each is seen by nobody but the host."""
    names = [open(path).read().strip() for path in glob.glob("/proc/[0-9]*/comm")]
    return any(name.startswith(("kthreadd", "kworker", "ksoftirqd", "hakone")) for name in names)


@attack
def less_likely_to_be_killed():
    """Only who has the power over the machine's resources makes itself the last that a lack of memory kills."""
    return in_child(lambda: os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY), b"-900") > 0)


@attack
def real_time_priority():
    return done(call(144, 0, 1, struct.pack("=i", 50)))


def main():
    only = set(sys.argv[1:])
    for function in ATTACKS:
        name = function.__name__
        if only and name not in only:
            continue
        try:
            told = "open" if function() else "shut"
        except Exception as error:
            told = f"failed {error!r}"
        print(name, told, flush=True)


main()
