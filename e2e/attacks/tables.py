"""The attacks, as tables: a line of a table is a name and the frames that the attacker sends.

`w.me`, `w.victim`, `w.gateway` and others have `mac`, `ip`, `ip6`. None of these frames may arrive at any of the ears that the test has set up; to add
an attack, add a line.
"""

from frames import *

NOBODY = "02:00:00:00:00:77"
ALL = "ff:ff:ff:ff:ff:ff"
DATA = HOLE


def frame4(w, src=None, dst=None, proto=17, payload=None, to=None, ether_src=None, **more):
    payload = udp(4000, 7000, DATA) if payload is None else payload
    packet = v4(src or w.me.ip, dst or w.victim.ip, proto, payload, **more)
    return ether(to or w.victim.mac, ether_src or w.me.mac, 0x0800, packet)


def frame6(w, src=None, dst=None, kind=17, payload=None, to=None):
    src, dst = src or w.me.ip6, dst or w.victim.ip6
    payload = udp6(src, dst, 4000, 7000, DATA) if payload is None else payload
    return ether(to or w.victim.mac, w.me.mac, 0x86DD, v6(src, dst, kind, payload))


def arp_frame(w, op, sha, spa, tpa=None, to=None, ether_src=None, tha="00:00:00:00:00:00"):
    content = arp(op, sha, spa, tha, tpa or w.victim.ip)
    return ether(to or w.victim.mac, ether_src or w.me.mac, 0x0806, content)


def discovery(w, kind, target, src=None, dst=None, to=None, lladdr=None, flags=0x60000000):
    src, dst = src or w.me.ip6, dst or w.victim.ip6
    option = bytes([2 if kind == 136 else 1, 1]) + mac(lladdr or w.me.mac)
    body = struct.pack("!I", flags if kind == 136 else 0) + ip6(target) + option
    return frame6(w, src, dst, 58, icmp6(src, dst, kind, body), to)


def router_advertisement(w, src):
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + ip6("fd66::")
    body = struct.pack("!BBHII", 64, 0, 1800, 0, 0) + prefix
    return icmp6(src, "ff02::1", 134, body)


def headers(first, *chain):
    """Chains extension headers of eight bytes; gives the first header's number and the bytes."""
    out, numbers = b"", [number for number, _ in chain]
    for (number, body), following in zip(chain, numbers[1:] + [first]):
        out += bytes([following]) + body
    return (numbers or [first])[0], out


PAD = b"\x00\x01\x04" + bytes(4)
FRAGMENT_FIRST = b"\x00\x00\x01\x00\x00\x00\x09"


@table
def forged(w):
    """Lies about who one is, and protocols that containers do not speak: on a network whose members may talk."""
    ll, victim_ll = link_local(w.me.mac), link_local(w.victim.mac)
    gateway_ll = link_local(w.gateway.mac)
    mdns = b"\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00\x05local\x00\x00\x01\x00\x01"
    honest4, ra = frame4(w), router_advertisement
    inner_ra = ra(w, ll)
    first, chain = headers(58, (0, PAD))
    second, chain2 = headers(58, (60, PAD))
    third, chain3 = headers(58, (44, FRAGMENT_FIRST))
    fourth, chain4 = headers(58, (43, b"\x00\x00\x00" + bytes(4)))
    fifth, chain5 = headers(58, (44, FRAGMENT_FIRST), (60, PAD))
    all6 = "33:33:00:00:00:01"
    return {
        # ARP
        "arp_spoof_gateway": [arp_frame(w, 2, w.me.mac, w.gateway.ip)],
        "arp_spoof_gateway_broadcast": [arp_frame(w, 1, w.me.mac, w.gateway.ip, w.gateway.ip, ALL)],
        "arp_spoof_gateway_by_request": [arp_frame(w, 1, w.me.mac, w.gateway.ip)],
        "arp_spoof_peer_to_host": [arp_frame(w, 2, w.me.mac, w.victim.ip, w.gateway.ip, ALL)],
        "arp_blackhole": [arp_frame(w, 2, NOBODY, w.gateway.ip)],
        "arp_other_ether_sender": [arp_frame(w, 2, NOBODY, w.me.ip)],
        "arp_frame_of_another": [arp_frame(w, 2, w.me.mac, w.me.ip, ether_src=NOBODY)],
        "arp_gratuitous_peer": [arp_frame(w, 1, w.me.mac, w.victim.ip, w.victim.ip, ALL)],
        "arp_invented_sender": [arp_frame(w, 1, w.me.mac, w.unused.ip, w.victim.ip, ALL)],
        "arp_probe": [arp_frame(w, 1, w.me.mac, "0.0.0.0", w.victim.ip, ALL)],
        "arp_of_six_byte_addresses": [ether(w.victim.mac, w.me.mac, 0x0806, struct.pack("!HHBBH", 6, 0x800, 6, 4, 2) + bytes(20))],
        "rarp": [ether(w.victim.mac, w.me.mac, 0x8035, arp(3, w.me.mac, w.me.ip, w.me.mac, w.me.ip))],
        # sources
        "ip_spoof_peer": [frame4(w, src=w.other.ip)],
        "ip_spoof_gateway": [frame4(w, src=w.gateway.ip)],
        "ip_spoof_unassigned": [frame4(w, src=w.unused.ip)],
        "ip_spoof_loopback": [frame4(w, src="127.0.0.1")],
        "ip_spoof_public": [frame4(w, src="198.51.100.77")],
        "ip_spoof_victim_itself": [frame4(w, src=w.victim.ip)],
        "ip_spoof_nobody": [frame4(w, src="0.0.0.0")],
        "ip_spoof_broadcast": [frame4(w, src="255.255.255.255")],
        "ip_spoof_multicast": [frame4(w, src="224.0.0.5")],
        "ip_spoof_resolver": [frame4(w, src="127.0.0.11", payload=udp(53, 7000, DATA))],
        "ip_spoof_peer_in_fragment": [frame4(w, src=w.other.ip, fragment=0x2000)],
        "mac_steal_peer": [frame4(w, ether_src=w.victim.mac, to=ALL)],
        "mac_of_gateway": [frame4(w, ether_src=w.gateway.mac)],
        "mac_invented": [frame4(w, ether_src=NOBODY)],
        "mac_multicast_source": [frame4(w, ether_src="01:00:5e:00:00:01")],
        # what a frame may carry
        "ethertype_88b5": [ether(w.victim.mac, w.me.mac, 0x88B5, DATA)],
        "ethertype_broadcast": [ether(ALL, w.me.mac, 0x88B6, DATA)],
        "vlan_tagged_ipv4": [tag(honest4, vlan=7)],
        "vlan0_priority_tag_ipv4": [tag(honest4)],
        "vlan_q_in_q": [tag(tag(honest4), 0x88A8)],
        "vlan_service_tag": [tag(honest4, 0x88A8)],
        "vlan_tagged_arp": [tag(arp_frame(w, 2, w.me.mac, w.gateway.ip))],
        "pppoe_ipv4": [ether(w.victim.mac, w.me.mac, 0x8864, b"\x11\x00\x00\x01\x00\x1e\x00\x21" + honest4[14:])],
        "pppoe_discovery": [ether(ALL, w.me.mac, 0x8863, b"\x11\x09" + bytes(20))],
        "mpls": [ether(w.victim.mac, w.me.mac, 0x8847, b"\x00\x01\x01\x40" + honest4[14:])],
        "lldp": [ether(w.victim.mac, w.me.mac, 0x88CC, DATA)],
        "lldp_group": [ether("01:80:c2:00:00:0e", w.me.mac, 0x88CC, DATA)],
        "spanning_tree": [ether("01:80:c2:00:00:00", w.me.mac, 0x26, b"\x42\x42\x03" + bytes(35))],
        "llc_to_victim": [ether(w.victim.mac, w.me.mac, 0x26, b"\xaa\xaa\x03" + bytes(35))],
        "pause": [ether("01:80:c2:00:00:01", w.me.mac, 0x8808, b"\x00\x01\xff\xff" + bytes(40))],
        "eapol": [ether("01:80:c2:00:00:03", w.me.mac, 0x888E, b"\x01\x01\x00\x00" + bytes(40))],
        "macsec": [ether(w.victim.mac, w.me.mac, 0x88E5, DATA)],
        "vlan_three_tags": [tag(tag(tag(honest4), 0x88A8), 0x88A8)],
        "vlan_old_service_tag": [tag(honest4, 0x9100)],
        "gvrp": [ether("01:80:c2:00:00:21", w.me.mac, 0x27, b"\x42\x42\x03\x00\x01" + bytes(34))],
        "cisco_discovery": [ether("01:00:0c:cc:cc:cc", w.me.mac, 0x26, b"\xaa\xaa\x03\x00\x00\x0c\x20\x00" + bytes(30))],
        "ethernet_loopback": [ether(w.victim.mac, w.me.mac, 0x9000, bytes(4) + DATA)],
        "precision_time": [ether("01:1b:19:00:00:00", w.me.mac, 0x88F7, bytes(34))],
        "wake_on_lan": [ether(ALL, w.me.mac, 0x0842, bytes(6) + DATA)],
        "tipc": [ether(w.victim.mac, w.me.mac, 0x88CA, DATA)],
        "batman": [ether(ALL, w.me.mac, 0x4305, DATA)],
        "fibre_channel": [ether(w.victim.mac, w.me.mac, 0x8906, DATA)],
        "ata_over_ethernet": [ether(ALL, w.me.mac, 0x88A2, DATA)],
        "erspan": [ether(w.victim.mac, w.me.mac, 0x88BE, DATA)],
        "ipx": [ether(ALL, w.me.mac, 0x8137, DATA)],
        "novell_raw_length": [ether(ALL, w.me.mac, 0x0030, b"\xff\xff" + bytes(46))],
        "type_zero": [ether(w.victim.mac, w.me.mac, 0, DATA)],
        "ip_of_nothing": [ether(w.victim.mac, w.me.mac, 0x0800, b"")],
        "ip_of_half_a_header": [honest4[:26]],
        "ip_header_too_short": [honest4[:14] + b"\x44" + honest4[15:]],
        "ip_of_version_5": [honest4[:14] + b"\x55" + honest4[15:]],
        "ip6_of_wrong_type": [ether(w.victim.mac, w.me.mac, 0x0800, frame6(w)[14:])],
        "arp_cut_off": [arp_frame(w, 2, w.me.mac, w.gateway.ip)[:30]],
        "arp_of_ipv6_length": [ether(w.victim.mac, w.me.mac, 0x0806, struct.pack("!HHBBH", 1, 0x800, 6, 16, 2) + mac(w.me.mac) + ip6(w.gateway.ip6) + bytes(22))],
        "ip_of_wrong_type": [ether(w.victim.mac, w.me.mac, 0x86DD, honest4[14:])],
        # IPv4: routes, leases, groups
        "source_route_loose": [frame4(w, options=b"\x83\x07\x04" + ip4(w.gateway.ip) + b"\x00")],
        "source_route_strict": [frame4(w, options=b"\x89\x07\x04" + ip4(w.gateway.ip) + b"\x00")],
        "source_route_behind_padding": [frame4(w, options=b"\x01\x83\x07\x04" + ip4(w.gateway.ip))],
        "source_route_used_up": [frame4(w, options=b"\x83\x07\x08" + ip4(w.gateway.ip) + b"\x00")],
        "record_route": [frame4(w, options=b"\x07\x07\x04\x00\x00\x00\x00\x00")],
        "icmp_redirect": [frame4(w, proto=1, payload=b"\x05\x01\x00\x00" + ip4(w.me.ip) + honest4[14:42])],
        "icmp_router_advertisement": [frame4(w, dst="255.255.255.255", to=ALL, proto=1, payload=b"\x09\x00\x00\x00\x01\x02\x07\x08" + ip4(w.me.ip) + bytes(4))],
        "rogue_dhcp": [frame4(w, dst="255.255.255.255", to=ALL, payload=udp(67, 68, bytes(240)))],
        "rogue_dhcp_unicast": [frame4(w, payload=udp(67, 68, bytes(240)))],
        "rogue_dhcp_first_fragment": [frame4(w, payload=udp(67, 68, bytes(240)), fragment=0x2000)],
        "igmp_query": [frame4(w, dst="224.0.0.1", to=group_mac("224.0.0.1"), proto=2, payload=b"\x11\x64\xee\x9b\x00\x00\x00\x00", ttl=1)],
        "igmp_query_router_alert": [frame4(w, dst="224.0.0.1", to=group_mac("224.0.0.1"), proto=2, payload=b"\x11\x64\xee\x9b\x00\x00\x00\x00", ttl=1, options=b"\x94\x04\x00\x00")],
        "mdns_poison": [frame4(w, dst="224.0.0.251", to=group_mac("224.0.0.251"), payload=udp(5353, 5353, mdns))],
        "llmnr": [frame4(w, dst="224.0.0.252", to=group_mac("224.0.0.252"), payload=udp(5355, 5355, mdns))],
        "ssdp": [frame4(w, dst="239.255.255.250", to=group_mac("239.255.255.250"), payload=udp(1900, 1900, DATA))],
        "multicast_in_unicast_frame": [frame4(w, dst="224.0.0.251", payload=udp(5353, 5353, mdns))],
        "multicast_fragment": [frame4(w, dst="224.0.0.251", to=group_mac("224.0.0.251"), fragment=9)],
        # IPv6
        "ndp_spoof": [discovery(w, 136, w.other.ip6, src=w.other.ip6)],
        "ndp_spoof_own_source": [discovery(w, 136, w.other.ip6)],
        "ndp_spoof_gateway": [discovery(w, 136, w.gateway.ip6, src=ll)],
        "ndp_spoof_gateway_link_local": [discovery(w, 136, gateway_ll, src=gateway_ll)],
        "ndp_unsolicited_to_all": [discovery(w, 136, w.gateway.ip6, dst="ff02::1", to=all6, flags=0x20000000)],
        "ndp_solicitation_of_another": [discovery(w, 135, w.victim.ip6, src=w.other.ip6)],
        "dad_denial": [discovery(w, 136, w.victim.ip6, src=w.victim.ip6, dst="ff02::1", to=all6, flags=0x20000000)],
        "dad_denial_by_probe": [discovery(w, 135, w.victim.ip6, src="::", dst="ff02::1", to=all6)],
        "dad_denial_link_local": [discovery(w, 136, victim_ll, src=victim_ll, dst="ff02::1", to=all6)],
        "ra_spoof": [frame6(w, ll, "ff02::1", 58, ra(w, ll), all6)],
        "ra_spoof_as_gateway": [frame6(w, gateway_ll, "ff02::1", 58, ra(w, gateway_ll), all6)],
        "ra_spoof_unicast": [frame6(w, ll, w.victim.ip6, 58, ra(w, ll))],
        "ra_behind_hop_by_hop": [frame6(w, ll, "ff02::1", first, chain + inner_ra, all6)],
        "ra_behind_options": [frame6(w, ll, "ff02::1", second, chain2 + inner_ra, all6)],
        "ra_in_fragment": [frame6(w, ll, "ff02::1", third, chain3 + inner_ra, all6)],
        "ra_behind_routing": [frame6(w, ll, "ff02::1", fourth, chain4 + inner_ra, all6)],
        "ra_behind_options_in_fragment": [frame6(w, ll, "ff02::1", fifth, chain5 + inner_ra, all6)],
        "redirect_v6": [frame6(w, ll, w.victim.ip6, 58, icmp6(ll, w.victim.ip6, 137, bytes(4) + ip6(w.me.ip6) + ip6(w.other.ip6)))],
        "router_solicitation": [frame6(w, ll, "ff02::2", 58, icmp6(ll, "ff02::2", 133, bytes(4)), "33:33:00:00:00:02")],
        "mld_query": [frame6(w, ll, "ff02::1", 0, b"\x3a\x00\x05\x02\x00\x00\x01\x00" + icmp6(ll, "ff02::1", 130, bytes(20)), all6)],
        "routing_header": [frame6(w, kind=43, payload=b"\x11\x02\x00\x01" + bytes(20) + udp(4000, 7000, DATA))],
        "ip6_spoof_peer": [frame6(w, src=w.other.ip6)],
        "ip6_spoof_gateway": [frame6(w, src=w.gateway.ip6)],
        "ip6_spoof_link_local": [frame6(w, src=victim_ll)],
        "ip6_spoof_public": [frame6(w, src="2001:db8:66::6")],
        "ip6_spoof_nobody": [frame6(w, src="::")],
        "ip6_spoof_loopback": [frame6(w, src="::1")],
        "rogue_dhcp_v6": [frame6(w, ll, victim_ll, 17, udp6(ll, victim_ll, 547, 546, DATA))],
        "ip6_spoof_mapped": [frame6(w, src="::ffff:" + w.other.ip)],
        "ip6_spoof_compatible": [frame6(w, src="::" + w.other.ip)],
        "ip6_spoof_6to4": [frame6(w, src="2002:0a47:0003::1")],
        "ip6_spoof_teredo": [frame6(w, src="2001:0:c000:201::1")],
        "ip6_spoof_isatap": [frame6(w, src="fe80::5efe:" + w.other.ip)],
        "ip6_spoof_multicast": [frame6(w, src="ff02::1")],
        "ip6_spoof_in_fragment": [frame6(w, src=w.other.ip6, kind=44, payload=b"\x11\x00\x00\x01" + bytes(4) + udp(4000, 7000, DATA))],
        "segment_routing": [frame6(w, kind=43, payload=b"\x11\x02\x04\x01\x01" + bytes(3) + ip6(w.other.ip6) + udp(4000, 7000, DATA))],
        "mobility": [frame6(w, kind=135, payload=b"\x3b\x00\x05\x00" + bytes(4))],
        "destination_options": [frame6(w, kind=60, payload=b"\x11\x00\x01\x04" + bytes(4) + udp6(w.me.ip6, w.victim.ip6, 4000, 7000, DATA))],
        "hop_by_hop_jumbo": [frame6(w, kind=0, payload=b"\x11\x00\xc2\x04\x00\x01\x00\x00" + udp6(w.me.ip6, w.victim.ip6, 4000, 7000, DATA))],
        "fragment_of_options": [frame6(w, kind=44, payload=b"\x3c\x00\x00\x01" + bytes(4) + b"\x11\x00\x01\x04" + bytes(4) + udp(4000, 7000, DATA))],
        "fragment_of_fragment": [frame6(w, kind=44, payload=b"\x2c\x00\x00\x01" + bytes(4) + b"\x11\x00\x00\x01" + bytes(4) + udp(4000, 7000, DATA))],
        "mld_report": [frame6(w, ll, "ff02::16", 0, b"\x3a\x00\x05\x02\x00\x00\x01\x00" + icmp6(ll, "ff02::16", 143, bytes(4)), "33:33:00:00:00:16")],
        "node_information": [frame6(w, kind=58, payload=icmp6(w.me.ip6, w.victim.ip6, 139, bytes(12)))],
        "router_renumbering": [frame6(w, ll, "ff02::1", 58, icmp6(ll, "ff02::1", 138, bytes(12)), all6)],
        "mdns_poison_v6": [frame6(w, ll, "ff02::fb", 17, udp6(ll, "ff02::fb", 5353, 5353, mdns), group_mac("ff02::fb"))],
        "echo_to_all_nodes": [frame6(w, ll, "ff02::1", 58, icmp6(ll, "ff02::1", 128, bytes(4)), all6)],
    }


@table
def isolated(w):
    """Everything that could reach a member of a network without icc, honest frames above all."""
    ll, all6 = link_local(w.me.mac), "33:33:00:00:00:01"
    honest4 = frame4(w)
    return {
        "icc_off_udp": [honest4],
        "icc_off_tcp": [frame4(w, proto=6, payload=tcp_syn(w.me.ip, w.victim.ip, 4001, 80))],
        "icc_off_ping": [frame4(w, proto=1, payload=b"\x08\x00\x00\x00" + bytes(12))],
        "icc_off_sctp": [frame4(w, proto=132, payload=bytes(32))],
        "icc_off_gre": [frame4(w, proto=47, payload=bytes(32))],
        "icc_off_fragment": [frame4(w, fragment=9)],
        "icc_off_broadcast": [frame4(w, dst="255.255.255.255", to=ALL)],
        "icc_off_subnet_broadcast": [frame4(w, dst=w.broadcast.ip, to=ALL)],
        "icc_off_unicast_in_broadcast_frame": [frame4(w, to=ALL)],
        "icc_off_multicast": [frame4(w, dst="224.0.0.251", to=group_mac("224.0.0.251"))],
        "icc_off_through_gateway": [frame4(w, to=w.gateway.mac)],
        "icc_off_through_gateway_tcp": [frame4(w, to=w.gateway.mac, proto=6, payload=tcp_syn(w.me.ip, w.victim.ip, 4002, 80))],
        "icc_off_through_gateway_ping": [frame4(w, to=w.gateway.mac, proto=1, payload=b"\x08\x00\x00\x00" + bytes(12))],
        "icc_off_via_published_port": [frame4(w, dst=w.gateway.ip, to=w.gateway.mac, payload=udp(4003, 7007, DATA))],
        "icc_off_via_published_lan": [frame4(w, dst="10.99.0.1", to=w.gateway.mac, payload=udp(4004, 7007, DATA))],
        "arp_reaches_neighbour": [arp_frame(w, 1, w.me.mac, w.me.ip)],
        "arp_broadcast_reaches_neighbour": [arp_frame(w, 1, w.me.mac, w.me.ip, to=ALL)],
        "arp_reply_reaches_neighbour": [arp_frame(w, 2, w.me.mac, w.me.ip)],
        "icc_off_vlan": [tag(honest4, vlan=5)],
        "icc_off_vlan0": [tag(honest4)],
        "icc_off_ethertype": [ether(w.victim.mac, w.me.mac, 0x88B5, DATA)],
        "icc_off_pppoe": [ether(w.victim.mac, w.me.mac, 0x8864, b"\x11\x00\x00\x01\x00\x1e\x00\x21" + honest4[14:])],
        "icc_off_spanning_tree": [ether("01:80:c2:00:00:00", w.me.mac, 0x26, b"\x42\x42\x03" + bytes(35))],
        "icc_off_lldp": [ether("01:80:c2:00:00:0e", w.me.mac, 0x88CC, DATA)],
        "icc_off_v6": [frame6(w)],
        "icc_off_v6_link_local": [frame6(w, ll, link_local(w.victim.mac))],
        "icc_off_v6_all_nodes": [frame6(w, ll, "ff02::1", 17, udp6(ll, "ff02::1", 4000, 7000, DATA), all6)],
        "icc_off_v6_solicitation": [discovery(w, 135, w.victim.ip6)],
        "icc_off_v6_advertisement": [discovery(w, 136, w.me.ip6)],
        "icc_off_v6_ping": [frame6(w, kind=58, payload=icmp6(w.me.ip6, w.victim.ip6, 128, bytes(4)))],
        "icc_off_v6_through_gateway": [frame6(w, to=w.gateway.mac)],
    }


@table
def outwards(w):
    """Sources that are not one's own, towards the world; addresses of the machine's cloud."""
    out = lambda **more: [frame4(w, to=w.gateway.mac, **more)]
    return {
        "egress_spoof_public": out(src="198.51.100.7", dst="10.99.0.2"),
        "egress_spoof_lan_neighbour": out(src="10.99.0.9", dst="10.99.0.2"),
        "egress_spoof_host": out(src="10.99.0.1", dst="10.99.0.2"),
        "egress_spoof_peer": out(src=w.victim.ip, dst="10.99.0.2"),
        "egress_spoof_unassigned": out(src=w.unused.ip, dst="10.99.0.2"),
        "egress_spoof_gateway": out(src=w.gateway.ip, dst="10.99.0.2"),
        "egress_spoof_other_network": out(src=w.foreign.ip, dst="10.99.0.2"),
        "egress_spoof_loopback": out(src="127.0.0.1", dst="10.99.0.2"),
        "egress_source_route": out(dst="10.99.0.2", options=b"\x83\x07\x04" + ip4("10.99.0.2") + b"\x00"),
        "egress_no_flow": out(dst="10.99.0.2", proto=6, payload=struct.pack("!HHIIBBHHH", 9, 9, 1, 1, 0x50, 0x10, 9, 0, 0)),
        "metadata_service": out(dst="169.254.169.254"),
        "metadata_service_other": out(dst="169.254.170.2"),
        "metadata_service_ping": out(dst="169.254.169.254", proto=1, payload=b"\x08\x00\x00\x00" + bytes(12)),
        "egress_no_flow_reset": out(dst="10.99.0.2", proto=6, payload=struct.pack("!HHIIBBHHH", 9, 9, 1, 1, 0x50, 0x04, 9, 0, 0)),
        "egress_no_flow_echo_reply": out(dst="10.99.0.2", proto=1, payload=b"\x00\x00\xff\xff" + bytes(4)),
        "egress_no_flow_unreachable": out(dst="10.99.0.2", proto=1, payload=b"\x03\x01\xfc\xfe" + bytes(4)),
        "egress_multicast": out(dst="239.1.2.3"),
        "egress_lan_broadcast": out(dst="10.99.0.255"),
        "egress_v6_link_local": [frame6(w, link_local(w.me.mac), "fd99::2", to=w.gateway.mac)],
        "egress_v6_6to4_source": [frame6(w, "2002:0a47:0002::1", "fd99::2", to=w.gateway.mac)],
        "egress_v6_source_route": [frame6(w, dst="fd99::2", to=w.gateway.mac, kind=43, payload=b"\x11\x02\x00\x01" + bytes(20) + udp(4000, 7000, DATA))],
        "egress_spoof_v6": [frame6(w, "2001:db8:66::6", "fd99::2", to=w.gateway.mac)],
        "egress_spoof_v6_host": [frame6(w, "fd99::1", "fd99::2", to=w.gateway.mac)],
        "egress_spoof_v6_peer": [frame6(w, w.victim.ip6, "fd99::2", to=w.gateway.mac)],
        "metadata_service_v6": [frame6(w, dst="fd00:ec2::254", to=w.gateway.mac)],
    }


@table
def to_host(w):
    """Ways to a service of the host that listens on every address."""
    at = lambda **more: [frame4(w, **{"to": w.gateway.mac, **more})]
    inner = v4(w.victim.ip, w.gateway.ip, 17, udp(4000, 7000, DATA))
    return {
        "host_loopback_service": at(dst="127.0.0.1"),
        "host_loopback_service_any": at(dst="127.8.8.8"),
        "host_spoofed_peer": at(src=w.victim.ip, dst=w.gateway.ip),
        "host_spoofed_host": at(src="10.99.0.1", dst=w.gateway.ip),
        "host_spoofed_gateway": at(src=w.gateway.ip, dst=w.gateway.ip),
        "other_networks_gateway": at(dst=w.foreign_gateway.ip),
        "other_networks_gateway_v6": [frame6(w, dst=w.foreign_gateway.ip6, to=w.gateway.mac)],
        "ipip_to_host": at(dst=w.gateway.ip, proto=4, payload=inner),
        "gre_to_host": at(dst=w.gateway.ip, proto=47, payload=b"\x00\x00\x08\x00" + inner),
        "ip6_in_ip_to_host": at(dst=w.gateway.ip, proto=41, payload=v6(w.victim.ip6, w.gateway.ip6, 17, udp6(w.victim.ip6, w.gateway.ip6, 4000, 7000, DATA))),
        "ip_in_ip6_to_host": [frame6(w, dst=w.gateway.ip6, to=w.gateway.mac, kind=4, payload=inner)],
        "gre6_to_host": [frame6(w, dst=w.gateway.ip6, to=w.gateway.mac, kind=47, payload=b"\x00\x00\x08\x00" + inner)],
        "esp_to_host": at(dst=w.gateway.ip, proto=50, payload=bytes(8) + inner),
        "host_v6_mapped_loopback": [frame6(w, dst="::ffff:127.0.0.1", to=w.gateway.mac)],
        "host_v6_mapped_gateway": [frame6(w, dst="::ffff:" + w.gateway.ip, to=w.gateway.mac)],
        "host_v6_compatible_loopback": [frame6(w, dst="::127.0.0.1", to=w.gateway.mac)],
        "host_v6_segment_routing": [frame6(w, dst=w.gateway.ip6, to=w.gateway.mac, kind=43, payload=b"\x11\x02\x04\x01\x01" + bytes(3) + ip6("::1") + udp(4000, 7000, DATA))],
        "source_route_host": at(dst=w.gateway.ip, options=b"\x83\x07\x04" + ip4(w.victim.ip) + b"\x00"),
        "metadata_on_host": at(dst="169.254.169.254"),
        "past_the_bridge_lldp": at(dst=w.gateway.ip, to="01:80:c2:00:00:0e"),
        "past_the_bridge_eapol": at(dst=w.gateway.ip, to="01:80:c2:00:00:03"),
        "past_the_bridge_other": at(dst="10.99.0.1", to="01:80:c2:00:00:0f"),
        "past_the_bridge_v6": [frame6(w, dst=w.gateway.ip6, to="01:80:c2:00:00:0e")],
        "host_vlan0": [tag(frame4(w, dst=w.gateway.ip, to=w.gateway.mac))],
        "host_v6_spoofed": [frame6(w, src=w.victim.ip6, dst=w.gateway.ip6, to=w.gateway.mac)],
        "host_v6_loopback": [frame6(w, dst="::1", to=w.gateway.mac)],
    }


@table
def inward(w):
    """From one network to a member of another, and through a container that is on both."""
    victim, through = w.foreign, w.gateway.mac
    go = lambda **more: [frame4(w, **{"dst": victim.ip, "to": through, **more})]
    return {
        "cross_direct_udp": go(),
        "cross_direct_tcp": go(proto=6, payload=tcp_syn(w.me.ip, victim.ip, 4005, 80)),
        "cross_direct_ping": go(proto=1, payload=b"\x08\x00\x00\x00" + bytes(12)),
        "cross_direct_gre": go(proto=47, payload=bytes(20)),
        "cross_spoofed_source": go(src=w.foreign_other.ip),
        "cross_spoofed_host_source": go(src="10.99.0.1"),
        "cross_spoofed_gateway_source": go(src=w.foreign_gateway.ip),
        "cross_foreign_mac": go(to=victim.mac),
        "cross_broadcast": go(dst=w.foreign_broadcast.ip),
        "cross_source_route": go(options=b"\x83\x07\x04" + ip4(victim.ip) + b"\x00"),
        "cross_via_multihomed_router": go(to=w.router.mac),
        "cross_via_willing_router": go(to=w.willing.mac),
        "cross_via_willing_router_ping": go(to=w.willing.mac, proto=1, payload=b"\x08\x00\x00\x00" + bytes(12)),
        "cross_from_port_53": go(payload=udp(53, 7000, DATA)),
        "cross_sctp": go(proto=132, payload=bytes(32)),
        "cross_fragment": go(fragment=9),
        "cross_first_fragment": go(fragment=0x2000),
        "cross_acknowledgement": go(proto=6, payload=struct.pack("!HHIIBBHHH", 80, 4005, 1, 1, 0x50, 0x10, 9, 0, 0)),
        "cross_unreachable": go(proto=1, payload=b"\x03\x03\x00\x00" + bytes(4) + v4(victim.ip, w.me.ip, 17, udp(7000, 4000, b"") )),
        "cross_ip_in_ip": go(proto=4, payload=v4(w.me.ip, victim.ip, 17, udp(4000, 7000, DATA))),
        "cross_ip_in_ip_by_gateway": go(dst=w.gateway.ip, proto=4, payload=v4(w.me.ip, victim.ip, 17, udp(4000, 7000, DATA))),
        "cross_multicast": go(dst="239.1.2.3"),
        "cross_v6_mapped": [frame6(w, dst="::ffff:" + victim.ip, to=through)],
        "cross_v6_ping": [frame6(w, dst=victim.ip6, to=through, kind=58, payload=icmp6(w.me.ip6, victim.ip6, 128, bytes(4)))],
        "cross_v6_link_local_of_victim": [frame6(w, link_local(w.me.mac), link_local(victim.mac), to=through)],
        "cross_v6_fragment": [frame6(w, dst=victim.ip6, to=through, kind=44, payload=b"\x11\x00\x00\x49" + bytes(4) + DATA)],
        "cross_v6": [frame6(w, dst=victim.ip6, to=through)],
        "cross_v6_spoofed": [frame6(w, src=w.foreign_other.ip6, dst=victim.ip6, to=through)],
        "cross_v6_via_multihomed_router": [frame6(w, dst=victim.ip6, to=w.router.mac)],
        "cross_v6_via_willing_router": [frame6(w, dst=victim.ip6, to=w.willing.mac)],
    }


@table
def confined(w):
    """From an internal network: out, to the host, through a container that is also elsewhere."""
    go = lambda **more: [frame4(w, **{"to": w.gateway.mac, **more})]
    return {
        "internal_raw_egress": go(dst="10.99.0.2"),
        "internal_raw_egress_ping": go(dst="10.99.0.2", proto=1, payload=b"\x08\x00\x00\x00" + bytes(12)),
        "internal_host_service": go(dst=w.gateway.ip),
        "internal_host_lan_ip": go(dst="10.99.0.1"),
        "internal_host_lan_ping": go(dst="10.99.0.1", proto=1, payload=b"\x08\x00\x00\x00" + bytes(12)),
        "internal_published_port": go(dst=w.gateway.ip, payload=udp(4006, 7008, DATA)),
        "internal_other_network": go(dst=w.foreign.ip),
        "internal_other_gateway": go(dst=w.foreign_gateway.ip),
        "internal_metadata": go(dst="169.254.169.254"),
        "internal_via_multihomed": go(dst="10.99.0.2", to=w.router.mac),
        "internal_via_willing_router": go(dst="10.99.0.2", to=w.willing.mac),
        "internal_past_the_bridge": go(dst=w.gateway.ip, to="01:80:c2:00:00:0e"),
        "internal_v6_egress": [frame6(w, dst="fd99::2", to=w.gateway.mac)],
        "internal_v6_host": [frame6(w, dst=w.gateway.ip6, to=w.gateway.mac)],
        "internal_v6_host_lan": [frame6(w, dst="fd99::1", to=w.gateway.mac)],
        "internal_v6_link_local": [frame6(w, link_local(w.me.mac), link_local(w.gateway.mac), to=w.gateway.mac)],
    }


@table
def from_lan(w):
    """From a machine of the LAN, whose router the host is, on a host with a FORWARD policy of ACCEPT."""
    go = lambda **more: [frame4(w, **{"to": w.gateway.mac, **more})]
    return {
        "lan_unpublished_direct": go(),
        "lan_unpublished_tcp": go(proto=6, payload=tcp_syn(w.me.ip, w.victim.ip, 4007, 81)),
        "lan_unpublished_ping": go(proto=1, payload=b"\x08\x00\x00\x00" + bytes(12)),
        "lan_published_directly": go(payload=udp(4008, 7000, DATA)),
        "lan_loopback_published_direct": go(payload=udp(4009, 7009, DATA)),
        "lan_loopback_published_frame": go(dst="127.0.0.1", payload=udp(4010, 7009, DATA)),
        "lan_loopback_published_host": go(dst="10.99.0.1", payload=udp(4011, 7009, DATA)),
        "lan_spoofs_member": go(src=w.other.ip),
        "lan_spoofs_gateway": go(src=w.container_gateway.ip),
        "lan_spoofs_loopback": go(src="127.0.0.1"),
        "lan_spoofs_itself": go(src=w.victim.ip),
        "lan_source_route": go(dst="10.99.0.1", options=b"\x83\x07\x04" + ip4(w.victim.ip) + b"\x00"),
        "lan_subnet_broadcast": go(dst=w.broadcast.ip),
        "lan_from_port_53": go(payload=udp(53, 7000, DATA)),
        "lan_acknowledgement": go(proto=6, payload=struct.pack("!HHIIBBHHH", 80, 4005, 1, 1, 0x50, 0x10, 9, 0, 0)),
        "lan_unreachable": go(proto=1, payload=b"\x03\x03\x00\x00" + bytes(4) + v4(w.victim.ip, w.me.ip, 17, udp(7000, 4000, b""))),
        "lan_sctp": go(proto=132, payload=bytes(32)),
        "lan_gre": go(proto=47, payload=bytes(20)),
        "lan_fragment": go(fragment=9),
        "lan_ip_in_ip": go(dst="10.99.0.1", proto=4, payload=v4(w.me.ip, w.victim.ip, 17, udp(4000, 7000, DATA))),
        "lan_ip6_in_ip": go(dst="10.99.0.1", proto=41, payload=v6(w.me.ip6, w.victim.ip6, 17, udp6(w.me.ip6, w.victim.ip6, 4000, 7000, DATA))),
        "lan_container_gateway": go(dst=w.container_gateway.ip, payload=udp(4012, 7009, DATA)),
        "lan_spoofs_resolver": go(src="127.0.0.11", payload=udp(53, 7000, DATA)),
        "lan_mapped": [frame6(w, dst="::ffff:" + w.victim.ip, to=w.gateway.mac)],
        "lan_routing_header": [frame6(w, dst="fd99::1", to=w.gateway.mac, kind=43, payload=b"\x11\x02\x00\x01" + bytes(4) + ip6(w.victim.ip6) + udp(4000, 7000, DATA))],
        "lan_segment_routing": [frame6(w, dst="fd99::1", to=w.gateway.mac, kind=43, payload=b"\x11\x02\x04\x01\x00" + bytes(3) + ip6(w.victim.ip6) + udp(4000, 7000, DATA))],
        "lan_unpublished_v6_ping": [frame6(w, to=w.gateway.mac, kind=58, payload=icmp6(w.me.ip6, w.victim.ip6, 128, bytes(4)))],
        "lan_unpublished_v6": [frame6(w, to=w.gateway.mac)],
        "lan_spoofs_member_v6": [frame6(w, src=w.other.ip6, to=w.gateway.mac)],
    }


def segment(src, dst, sport, dport, flags):
    """A TCP segment with a hole for the mark; a trailer behind the packet would be lost on the way through the host."""
    head = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, flags, 1024, 0, 0)
    packed = ip6 if ":" in src else ip4
    pseudo = packed(src) + packed(dst) + struct.pack("!BBH", 0, 6, len(head) + len(DATA))
    return head[:16] + struct.pack("!H", checksum(pseudo + head + DATA)) + head[18:] + DATA


def icmp(kind, code, body=b""):
    content = struct.pack("!BBHI", kind, code, 0, 0) + body + DATA
    return content[:2] + struct.pack("!H", checksum(content)) + content[4:]


def tcp4(w, flags, src=None, dst=None, ports=(4000, 7000), **more):
    src, dst = src or w.me.ip, dst or w.victim.ip
    return frame4(w, src=src, dst=dst, proto=6, payload=segment(src, dst, *ports, flags), **more)


def embedded(w, sender, receiver, proto=17, ports=(7000, 4000)):
    """The head of a packet that an error claims to be about."""
    return v4(sender.ip, receiver.ip, proto, udp(*ports))


@table
def past_policies(w):
    """To a neighbour whom a policy lets nobody but `other` reach, at UDP port 7000: whatever is sent, and however it is led."""
    led = dict(to=w.gateway.mac)
    echo6 = icmp6(w.me.ip6, w.victim.ip6, 128, bytes(4) + DATA)
    too_big6 = icmp6(w.me.ip6, w.victim.ip6, 2, struct.pack("!I", 1280) + DATA)
    ll, victim_ll = link_local(w.me.mac), link_local(w.victim.mac)
    datagram6 = udp6(w.me.ip6, w.victim.ip6, 4000, 7000, DATA)
    hop, destination = b"\x11\x00" + PAD[:2] + bytes(4), b"\x11\x00\x01\x04" + bytes(4)
    tunnelled = v4(w.other.ip, w.victim.ip, 17, udp(4000, 7000, DATA))
    return {
        "udp": [frame4(w)],
        "udp_led": [frame4(w, **led)],
        "udp_broadcast_frame": [frame4(w, to=ALL)],
        "udp_group_frame": [frame4(w, to="01:00:5e:00:00:01")],
        "udp_other_port": [frame4(w, payload=udp(4000, 7001, DATA))],
        "udp_as_an_answer": [frame4(w, payload=udp(7000, 4000, DATA))],
        "udp_from_port_53": [frame4(w, payload=udp(53, 7000, DATA))],
        "udp_to_port_0": [frame4(w, payload=udp(4000, 0, DATA))],
        "udp_lite": [frame4(w, proto=136)],
        "tcp_syn": [tcp4(w, 0x02)],
        "tcp_syn_led": [tcp4(w, 0x02, **led)],
        "tcp_simultaneous_open": [tcp4(w, 0x12)],
        "tcp_in_the_middle": [tcp4(w, 0x10)],
        "tcp_in_the_middle_as_an_answer": [tcp4(w, 0x18, ports=(7000, 4000))],
        "tcp_reset": [tcp4(w, 0x04)],
        "tcp_fin": [tcp4(w, 0x11)],
        "tcp_null": [tcp4(w, 0)],
        "tcp_all_flags": [tcp4(w, 0x3F)],
        "spoof_allowed_peer": [frame4(w, src=w.other.ip)],
        "spoof_allowed_peer_led": [frame4(w, src=w.other.ip, **led)],
        "spoof_allowed_peer_whole": [frame4(w, src=w.other.ip, ether_src=w.other.mac)],
        "spoof_allowed_peer_as_answer": [frame4(w, src=w.other.ip, payload=udp(7000, 4000, DATA))],
        "spoof_gateway": [frame4(w, src=w.gateway.ip)],
        "spoof_host": [frame4(w, src="10.99.0.1", **led)],
        "spoof_victim_itself": [frame4(w, src=w.victim.ip, **led)],
        "fragment_first": [frame4(w, fragment=0x2000)],
        "fragment_later": [frame4(w, fragment=2, payload=DATA)],
        "fragment_tiny": [frame4(w, fragment=0x2000, payload=udp(4000, 7000)), frame4(w, fragment=1, payload=DATA)],
        "fragment_overlapping": [frame4(w, fragment=0x2000), frame4(w, fragment=1, payload=DATA)],
        "ping": [frame4(w, proto=1, payload=icmp(8, 0))],
        "ping_answer": [frame4(w, proto=1, payload=icmp(0, 0))],
        "error_about_no_flow": [frame4(w, proto=1, payload=icmp(3, 3, embedded(w, w.victim, w.me)))],
        "error_about_anothers_flow": [frame4(w, proto=1, payload=icmp(3, 3, embedded(w, w.victim, w.other)))],
        "too_big_about_anothers_flow": [frame4(w, proto=1, payload=icmp(3, 4, embedded(w, w.victim, w.other)))],
        "time_exceeded": [frame4(w, proto=1, payload=icmp(11, 0, embedded(w, w.victim, w.me)))],
        "timestamp": [frame4(w, proto=1, payload=icmp(13, 0, bytes(12)))],
        "sctp_init": [frame4(w, proto=132, payload=struct.pack("!HHII", 4000, 7000, 0, 0) + b"\x01\x00\x00\x14" + DATA)],
        "dccp": [frame4(w, proto=33, payload=udp(4000, 7000) + bytes(8) + DATA)],
        "gre": [frame4(w, proto=47, payload=b"\x00\x00\x08\x00" + tunnelled)],
        "ip_in_ip_from_allowed_peer": [frame4(w, proto=4, payload=tunnelled)],
        "ip6_in_ip": [frame4(w, proto=41, payload=v6(w.other.ip6, w.victim.ip6, 17, datagram6))],
        "esp": [frame4(w, proto=50, payload=bytes(8) + DATA)],
        "authentication_header": [frame4(w, proto=51, payload=b"\x11\x04" + bytes(22) + udp(4000, 7000, DATA))],
        "protocol_255": [frame4(w, proto=255, payload=DATA)],
        "subnet_broadcast": [frame4(w, dst=w.broadcast.ip, to=ALL)],
        "subnet_broadcast_in_unicast": [frame4(w, dst=w.broadcast.ip)],
        "limited_broadcast": [frame4(w, dst="255.255.255.255", to=ALL)],
        "limited_broadcast_in_unicast": [frame4(w, dst="255.255.255.255")],
        "all_hosts": [frame4(w, dst="224.0.0.1", to=group_mac("224.0.0.1"))],
        "hairpin_by_gateway": [frame4(w, dst=w.gateway.ip, payload=udp(4000, 7777, DATA), **led)],
        "hairpin_by_host": [frame4(w, dst="10.99.0.1", payload=udp(4000, 7777, DATA), **led)],
        "hairpin_from_allowed_peer": [frame4(w, src=w.other.ip, dst="10.99.0.1", payload=udp(4000, 7777, DATA), **led)],
        "hairpin_in_fragment": [frame4(w, dst="10.99.0.1", payload=udp(4000, 7777, DATA), fragment=0x2000, **led)],
        "six_udp": [frame6(w)],
        "six_udp_led": [frame6(w, to=w.gateway.mac)],
        "six_udp_group_frame": [frame6(w, to="33:33:00:00:00:01")],
        "six_tcp": [frame6(w, kind=6, payload=segment(w.me.ip6, w.victim.ip6, 4000, 7000, 0x02))],
        "six_spoof_allowed_peer": [frame6(w, src=w.other.ip6)],
        "six_spoof_allowed_peer_led": [frame6(w, src=w.other.ip6, to=w.gateway.mac)],
        "six_link_local": [frame6(w, src=ll, dst=victim_ll, payload=udp6(ll, victim_ll, 4000, 7000, DATA))],
        "six_all_nodes": [frame6(w, src=ll, dst="ff02::1", to="33:33:00:00:00:01")],
        "six_ping": [frame6(w, kind=58, payload=echo6)],
        "six_too_big": [frame6(w, kind=58, payload=too_big6)],
        "six_hop_by_hop": [frame6(w, kind=0, payload=hop + datagram6)],
        "six_destination_options": [frame6(w, kind=60, payload=destination + datagram6)],
        "six_fragment_first": [frame6(w, kind=44, payload=b"\x11\x00\x00\x01" + bytes(4) + datagram6)],
        "six_fragment_atomic": [frame6(w, kind=44, payload=b"\x11\x00\x00\x00" + bytes(4) + datagram6)],
        "six_fragment_later": [frame6(w, kind=44, payload=b"\x11\x00\x00\x10" + bytes(4) + DATA)],
        "six_no_next_header": [frame6(w, kind=59, payload=DATA)],
    }


@table
def out_of_policies(w):
    """From a container whose egress leads to `other` alone, at UDP port 7000: to the world, to the host, to a network behind a router."""
    led = dict(to=w.gateway.mac)
    out, out6 = "10.99.0.2", "fd99::2"
    world = lambda **more: frame4(w, dst=more.pop("dst", out), **led, **more)  # noqa: E731
    return {
        "out_udp": [world()],
        "out_dns": [world(payload=udp(4000, 53, DATA))],
        "out_tcp_syn": [tcp4(w, 0x02, dst=out, **led)],
        "out_tcp_in_the_middle": [tcp4(w, 0x10, dst=out, **led)],
        "out_tcp_answer": [tcp4(w, 0x12, dst=out, ports=(443, 4000), **led)],
        "out_ping": [world(proto=1, payload=icmp(8, 0))],
        "out_error": [world(proto=1, payload=icmp(3, 3, embedded(w, w.victim, w.me)))],
        "out_gre": [world(proto=47, payload=b"\x00\x00\x08\x00" + v4(w.other.ip, out, 17, udp(1, 2, DATA)))],
        "out_ip_in_ip": [world(proto=4, payload=v4(w.other.ip, out, 17, udp(1, 2, DATA)))],
        "out_fragment": [world(fragment=0x2000)],
        "out_fragment_later": [world(fragment=2, payload=DATA)],
        "out_sctp": [world(proto=132, payload=struct.pack("!HHII", 4000, 7000, 0, 0) + b"\x01\x00\x00\x14" + DATA)],
        "out_spoof_open_peer": [world(src=w.other.ip)],
        "out_spoof_open_peer_whole": [world(src=w.other.ip, ether_src=w.other.mac)],
        "out_by_peer_as_router": [frame4(w, dst=out, to=w.other.mac)],
        "out_multicast": [frame4(w, dst="239.1.2.3", to=w.gateway.mac)],
        "out_source_route": [world(options=b"\x83\x07\x04" + ip4(out) + b"\x00")],
        "to_other_port": [frame4(w, dst=w.other.ip, payload=udp(4000, 7001, DATA), to=w.other.mac)],
        "to_other_tcp": [tcp4(w, 0x02, dst=w.other.ip, to=w.other.mac)],
        "to_gateway": [frame4(w, dst=w.gateway.ip, **led)],
        "to_host": [frame4(w, dst="10.99.0.1", **led)],
        "to_victim": [frame4(w)],
        "out_six": [frame6(w, dst=out6, to=w.gateway.mac)],
        "out_six_fragment": [frame6(w, dst=out6, kind=44, payload=b"\x11\x00\x00\x01" + bytes(4) + udp6(w.me.ip6, out6, 4000, 7000, DATA), to=w.gateway.mac)],
        "out_six_spoof_open_peer": [frame6(w, src=w.other.ip6, dst=out6, to=w.gateway.mac)],
        "to_six_gateway": [frame6(w, dst=w.gateway.ip6, to=w.gateway.mac)],
    }


def error4(w, kind, code, sender, receiver, to=None, rest=0):
    """An error to `sender` about its own flow to `receiver`, from somebody whom the flow does not concern."""
    about = v4(sender.ip, receiver.ip, 17, udp(5555, 9999)[:8])
    content = struct.pack("!BBHI", kind, code, 0, rest) + about + DATA
    content = content[:2] + struct.pack("!H", checksum(content)) + content[4:]
    return frame4(w, dst=sender.ip, proto=1, payload=content, to=to or sender.mac)


def error6(w, kind, code, sender, receiver, to=None, rest=0):
    about = v6(sender.ip6, receiver.ip6, 17, udp(5555, 9999)[:8])
    head = icmp6(w.me.ip6, sender.ip6, kind, struct.pack("!I", rest) + about + DATA)
    head = head[:1] + bytes([code]) + head[2:]
    body = head[:2] + bytes(2) + head[4:]
    pseudo = ip6(w.me.ip6) + ip6(sender.ip6) + struct.pack("!II", len(body), 58)
    payload = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return frame6(w, dst=sender.ip6, kind=58, payload=payload, to=to or sender.mac)


@table
def about_others(w):
    """Errors about flows that others have with the world: who believes them ends a flow or makes its packets small."""
    through = {"to": w.gateway.mac}
    return {
        "error_unreachable": [error4(w, 3, 1, w.victim, w.world)],
        "error_refused": [error4(w, 3, 3, w.victim, w.world)],
        "error_too_big": [error4(w, 3, 4, w.victim, w.world, rest=552)],
        "error_quench": [error4(w, 4, 0, w.victim, w.world)],
        "error_time": [error4(w, 11, 0, w.victim, w.world)],
        "error_parameter": [error4(w, 12, 0, w.victim, w.world)],
        "error_through_host": [error4(w, 3, 3, w.victim, w.world, **through)],
        "error_across_networks": [error4(w, 3, 3, w.foreign, w.world, **through)],
        "error_across_networks_too_big": [error4(w, 3, 4, w.foreign, w.world, rest=552, **through)],
        "error_to_host": [error4(w, 3, 4, w.gateway, w.world, rest=552)],
        "error_about_neighbours": [error4(w, 3, 3, w.victim, w.other)],
        "error_in_fragment": [frame4(w, proto=1, payload=b"\x03\x03\x00\x00" + bytes(4), fragment=0x2000)],
        "error6_unreachable": [error6(w, 1, 0, w.victim, w.world)],
        "error6_refused": [error6(w, 1, 4, w.victim, w.world)],
        "error6_too_big": [error6(w, 2, 0, w.victim, w.world, rest=1280)],
        "error6_time": [error6(w, 3, 0, w.victim, w.world)],
        "error6_parameter": [error6(w, 4, 0, w.victim, w.world)],
        "error6_across_networks": [error6(w, 1, 4, w.foreign, w.world, **through)],
        "error6_across_networks_too_big": [error6(w, 2, 0, w.foreign, w.world, rest=1280, **through)],
        "error6_to_host": [error6(w, 2, 0, w.gateway, w.world, rest=1280)],
        "error6_in_fragment": [frame6(w, kind=44, payload=b"\x3a\x00\x00\x01" + bytes(4) + b"\x02\x00\x00\x00" + bytes(4))],
    }
