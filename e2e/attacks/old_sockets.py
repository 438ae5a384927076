"""Sockets as 32-bit programs make them: `int 0x80`, `socketcall`, arguments below 4 GiB. Prints what it gets, a line each."""

import ctypes, fcntl, os, socket, struct, sys

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
PAGE = LIBC.mmap(None, ctypes.c_size_t(4096), 7, 0x02 | 0x20 | 0x40, -1, ctypes.c_long(0))
# push rbx; mov eax, edi; mov ebx, esi; mov ecx, edx; xor edx, edx; int 0x80; pop rbx; ret
CODE = bytes.fromhex("5389f889f389d131d2cd805bc3")
ctypes.memmove(PAGE + 2048, CODE, len(CODE))
ENTER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(PAGE + 2048)


def socketcall(which, *arguments):
    words = struct.pack(f"={len(arguments)}I", *arguments)
    ctypes.memmove(PAGE, words, len(words))
    return ENTER(102, which, PAGE)


def made(got):
    return "made" if got >= 0 else -got


def stream():
    """A stream that is listened on and connected to, both made the old way."""
    server = socket.socket(fileno=socketcall(1, 2, 1 | 0o2000000, 6))
    server.bind(("127.0.0.1", 0))
    server.listen()
    client = socket.socket(fileno=socketcall(1, 2, 1 | 0o4000, 0))
    client.setblocking(True)
    client.connect(server.getsockname())
    client.sendall(b"hello")
    return server.accept()[0].recv(9).decode()


def flags():
    close, block = socketcall(1, 1, 2 | 0o2000000, 0), socketcall(1, 10, 2 | 0o4000, 0)
    return fcntl.fcntl(close, fcntl.F_GETFD), bool(fcntl.fcntl(block, fcntl.F_GETFL) & os.O_NONBLOCK), os.fstat(close).st_uid == os.geteuid()


def pair():
    got = socketcall(8, 1, 5, 0, PAGE + 1024)
    one, other = [socket.socket(fileno=n) for n in struct.unpack("=2i", ctypes.string_at(PAGE + 1024, 8))]
    one.send(b"through")
    _, uid, _ = struct.unpack("=3i", other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return got, other.recv(9).decode(), uid == os.geteuid()


def where():
    """Our network namespace lists the socket among its own."""
    made = socket.socket(fileno=socketcall(1, 2, 2, 0))
    made.bind(("127.0.0.1", 0))
    with open("/proc/net/udp") as file:
        return any(line.split()[9] == str(os.fstat(made.fileno()).st_ino) for line in file)


print("stream", stream())
print("flags", *flags())
print("pair", *pair())
print("netlink", made(socketcall(1, 16, 3, 0)))
print("place", where())
print("packet", made(socketcall(1, 17, 3, 0x300)))
print("raw", made(socketcall(1, 2, 3, 255)))
print("vsock", made(socketcall(1, 40, 1, 0)))
print("pair of tipc", made(socketcall(8, 30, 1, 0, PAGE + 1024)))
print("nowhere", made(ENTER(102, 1, 16)), made(socketcall(8, 1, 1, 0, 16)))
print("no such flag", made(socketcall(1, 1, 1 | 0o10000000, 0)))
