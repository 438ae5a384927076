"""Builds and sends the frames of the attack tables, and listens for them.

Runs in the network namespace of a container or a machine, with raw sockets. A table is a function of the world (who is who) that gives
named attacks, each a list of frames; every frame carries a mark that says which attack it is, wherever it arrives.

    frames.py listen packet IFACE | listen udp PORT    prints the marks that come, ends at the first honest one
    frames.py attack IFACE TABLE WORLD                 sends a table's attacks; WORLD is JSON
    frames.py names TABLE WORLD                        prints the names
"""

import json, re, select, socket, struct, sys
from types import SimpleNamespace

MARK = re.compile(rb"(ATTACK|HONEST):([a-z0-9_]*);")


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip4(text):
    return socket.inet_pton(socket.AF_INET, text)


def ip6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def link_local(ether):
    m = mac(ether)
    return socket.inet_ntop(
        socket.AF_INET6, b"\xfe\x80" + bytes(6) + bytes([m[0] ^ 2]) + m[1:3] + b"\xff\xfe" + m[3:]
    )


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ether(dst, src, kind, payload):
    return mac(dst) + mac(src) + struct.pack("!H", kind) + payload


def arp(op, sha, spa, tha, tpa):
    return struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + mac(sha) + ip4(spa) + mac(tha) + ip4(tpa)


def v4(src, dst, proto, payload, options=b"", fragment=0, ttl=64):
    length = 20 + len(options)
    head = struct.pack(
        "!BBHHHBBH", 0x40 + length // 4, 0, length + len(payload), 7, fragment, ttl, proto, 0
    )
    head += ip4(src) + ip4(dst) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def v6(src, dst, next_header, payload, hops=255):
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, hops) + ip6(src) + ip6(dst) + payload


def udp(sport, dport, data=b""):
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def udp6(src, dst, sport, dport, data):
    pseudo = ip6(src) + ip6(dst) + struct.pack("!II", 8 + len(data), 17)
    plain = udp(sport, dport, data)
    return plain[:6] + struct.pack("!H", checksum(pseudo + plain) or 0xFFFF) + plain[8:]


def icmp6(src, dst, kind, body):
    head = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = ip6(src) + ip6(dst) + struct.pack("!II", len(head), 58)
    return head[:2] + struct.pack("!H", checksum(pseudo + head)) + head[4:]


def tcp_syn(src, dst, sport, dport):
    head = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, 2, 1024, 0, 0)
    pseudo = ip4(src) + ip4(dst) + struct.pack("!BBH", 0, 6, len(head))
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


def group_mac(address):
    if ":" in address:
        return "33:33:" + ":".join(f"{b:02x}" for b in ip6(address)[12:])
    low = ip4(address)
    return "01:00:5e:" + ":".join(f"{b:02x}" for b in (low[1] & 0x7F, low[2], low[3]))


def tag(frame, kind=0x8100, vlan=0):
    return frame[:12] + struct.pack("!HH", kind, vlan) + frame[12:]


def marked(name, kind="ATTACK"):
    return f"{kind}:{name};".encode()


# Where a datagram carries its mark, so that a socket hears it too; two bytes of it keep the checksum as it is.
HOLE = b"#" * 52


def total(data):
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


def signed(frame, name):
    """Marks a frame: in the hole that its payload has, else behind its end."""
    if HOLE not in frame:
        return frame + marked(name)
    text = marked(name).ljust(len(HOLE) - 2)
    rest = (total(HOLE) - total(text)) % 0xFFFF
    return frame.replace(HOLE, text + struct.pack("!H", rest), 1)


def listen(kind, where):
    if kind == "packet":
        own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        own.bind((where, 0))
        index = socket.if_nametoindex(where)
        own.setsockopt(263, 1, struct.pack("iHH8s", index, 1, 0, b""))
        sockets = [own]
    else:
        six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        six.bind(("::", int(where)))
        sockets = [six]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
    print("listening", flush=True)
    while True:
        for each in select.select(sockets, [], [])[0]:
            data, sender = each.recvfrom(65536)
            if kind == "packet" and sender[2] == 4:
                continue  # what this machine sends itself
            for what, name in MARK.findall(data):
                print(what.decode(), name.decode(), flush=True)
                if what == b"HONEST":
                    return


def attack(interface, table, world):
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    for name, frames in TABLES[table](world).items():
        for frame in frames:
            out.send(signed(frame, name))


def world_of(text):
    return json.loads(text, object_hook=lambda pairs: SimpleNamespace(**pairs))


TABLES = {}


def table(make):
    TABLES[make.__name__] = make
    return make


if __name__ == "__main__":
    import os

    sys.modules["frames"] = sys.modules["__main__"]
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import tables  # noqa: F401  (fills TABLES)

    command, *arguments = sys.argv[1:]
    if command == "listen":
        listen(*arguments)
    elif command == "attack":
        attack(arguments[0], arguments[1], world_of(arguments[2]))
    else:
        print("\n".join(TABLES[arguments[0]](world_of(arguments[1]))))
