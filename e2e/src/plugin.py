"""A plugin of Docker's protocol for tests: authorization, volumes, networks and addresses, with bad manners on request.

plugin.py SOCKET FOLDER [MANNER]; logs each question as a line of JSON in FOLDER/log. SOCKET may be tls:PORT:STEM[:CA], a port of the
loopback with the certificate STEM.pem and its STEM.key, which asks for a certificate that CA vouches for. MANNER: deny, hang, babble, broken, escape,
stocked (has a volume already); for
networks stall (CreateEndpoint hangs), uplink, bridge, parent, route, address; for addresses twice, outside.
"""
import http.server, ipaddress, json, os, socketserver, ssl, subprocess, sys, time, base64

path, folder, manner = sys.argv[1], sys.argv[2], (sys.argv[3:] or [""])[0]
volumes, users, networks, given, published = {}, {}, {}, {}, {}
if manner == "stocked":
    volumes["found"] = {}


def authorize(name, asked):
    body = base64.b64decode(asked.get("RequestBody", ""))
    told = base64.b64decode(asked.get("ResponseBody", ""))
    if name.endswith("AuthZRes"):
        return {"Allow": b"unspeakable" not in told, "Msg": "not that"}
    if manner == "deny" or b'"Privileged":true' in body.replace(b" ", b"") or "forbidden" in asked["RequestUri"]:
        return {"Allow": False, "Msg": "not with me"}
    if "mishap" in asked["RequestUri"]:
        return {"Allow": True, "Err": "out of order"}
    return {"Allow": True}


def volume(verb, asked):
    name = asked.get("Name")
    at = "/etc" if manner == "escape" else os.path.join(folder, "volumes", name or "")
    if verb == "Create":
        if asked.get("Opts", {}).get("fail"):
            return {"Err": "no room"}
        volumes[name] = asked.get("Opts") or {}
    elif verb == "Capabilities":
        return {"Capabilities": {"Scope": "global"}}
    elif verb == "List":
        return {"Volumes": [{"Name": one, "Mountpoint": ""} for one in volumes]}
    elif name not in volumes:
        return {"Err": "no such volume"}
    elif verb == "Get":
        return {"Volume": {"Name": name, "Mountpoint": "", "Status": {"users": len(users.get(name, []))}}}
    elif verb == "Mount":
        os.makedirs(at, exist_ok=True)
        users.setdefault(name, []).append(asked["ID"])
        return {"Mountpoint": at}
    elif verb == "Unmount":
        users[name].remove(asked["ID"])
    elif verb == "Path":
        return {"Mountpoint": at if users.get(name) else ""}
    elif verb == "Remove":
        del volumes[name]
    return {}


def ip(words):
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


def network(verb, asked):
    """A bridge for a network, a cable for an endpoint: what a small driver does."""
    bridge, cable = "rb" + asked.get("NetworkID", "")[:8], asked.get("EndpointID", "")[:8]
    if verb == "GetCapabilities":
        return {"Scope": "local", "ConnectivityScope": "local"}
    if verb == "CreateNetwork":
        if asked["Options"].get("com.docker.network.generic", {}).get("fail"):
            return {"Err": "no room for networks"}
        ip(f"link add {bridge} type bridge")
        ip(f"link set {bridge} up")
        networks[asked["NetworkID"]] = asked["IPv4Data"][0]["Gateway"]
        with open(os.path.join(folder, "networks"), "w") as kept:
            json.dump(networks, kept)
        ip(f"addr add {asked['IPv4Data'][0]['Gateway']} dev {bridge}")
    elif verb == "DeleteNetwork":
        ip(f"link del {bridge}")
    elif verb == "CreateEndpoint":
        if manner == "stall":
            time.sleep(600)
        ip(f"link add rv{cable} type veth peer name rw{cable}")
        ip(f"link set rv{cable} master {bridge} up")
        if manner == "address":
            return {"Interface": {"Address": "10.1.2.3/8"}}
        mac = "02:aa" + "".join(":" + cable[at:at + 2] for at in range(0, 8, 2))
        return {"Interface": {} if asked["Interface"]["MacAddress"] else {"MacAddress": mac}}
    elif verb == "Join":
        source = {"uplink": "cable0", "bridge": "hakone0", "parent": "trunk"}.get(manner, "rw" + cable)
        routes = [{"Destination": "10.222.0.0/16", "RouteType": 1, "NextHop": ""}]
        if manner == "route":
            routes = [{"Destination": "172.17.0.0/24", "RouteType": 1}]
        gateway = networks[asked["NetworkID"]].split("/")[0]
        assert os.path.exists(asked["SandboxKey"])
        return {"InterfaceName": {"SrcName": source, "DstPrefix": "net"}, "Gateway": gateway, "StaticRoutes": routes}
    elif verb == "Leave":
        # What was lent should be back on the host by now.
        with open(os.path.join(folder, "back"), "a") as kept:
            kept.write("yes " if subprocess.run(["ip", "link", "show", f"rw{cable}"], capture_output=True).returncode == 0 else "no ")
    elif verb == "DeleteEndpoint":
        try:
            ip(f"link del rv{cable}")
        except subprocess.CalledProcessError:
            return {"Err": "it is gone"}
    elif verb == "ProgramExternalConnectivity":
        asked_ports = asked["Options"]["com.docker.network.portmap"]
        published[asked["EndpointID"]] = [{**port, "HostPort": port["HostPort"] or 49999} for port in asked_ports]
    elif verb == "RevokeExternalConnectivity":
        published.pop(asked["EndpointID"], None)
    elif verb == "EndpointOperInfo":
        # One more than was asked for: nobody should believe that.
        more = [{"Proto": 6, "Port": 22, "HostIP": "", "HostPort": 22}, {"Proto": 6, "Port": 0}, "nonsense"]
        return {"Value": {"com.docker.network.portmap": published.get(asked["EndpointID"], []) + more}}
    return {}


def addresses(verb, asked):
    if verb == "GetCapabilities":
        return {"RequiresMACAddress": False, "RequiresRequestReplay": True}
    if verb == "GetDefaultAddressSpaces":
        return {"LocalDefaultAddressSpace": "here", "GlobalDefaultAddressSpace": "there"}
    if verb == "RequestPool":
        pool = asked["Pool"] or "10.88.0.0/24"
        given.setdefault("p-" + pool, set())
        return {"PoolID": "p-" + pool, "Pool": pool, "Data": {}}
    pool = asked["PoolID"]
    if verb == "ReleasePool":
        del given[pool]
    elif verb == "ReleaseAddress":
        given[pool].discard(asked["Address"])
    elif verb == "RequestAddress":
        subnet = ipaddress.ip_network(pool[2:])
        wanted = asked["Address"] or next(str(one) for one in list(subnet.hosts())[40:] if str(one) not in given[pool])
        if (asked["Options"] or {}).get("RequestAddressType") != "com.docker.network.gateway":
            wanted = {"twice": str(subnet[41]), "outside": "10.99.0.1"}.get(manner, wanted)
        given[pool].add(wanted)
        # Given, and the answer is never heard.
        while os.path.exists(os.path.join(folder, "mute")) and not asked["Options"]:
            time.sleep(.1)
        return {"Address": f"{wanted}/{subnet.prefixlen}"}
    return {}


if os.path.exists(os.path.join(folder, "networks")):
    with open(os.path.join(folder, "networks")) as kept:
        networks.update(json.load(kept))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "engine"

    def log_message(self, *_):
        pass

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name, asked = self.path.lstrip("/"), json.loads(text or b"null")
        with open(os.path.join(folder, "log"), "a") as log:
            log.write(json.dumps([name, asked]) + "\n")
        if manner == "hang":
            time.sleep(600)
        if name == "Plugin.Activate":
            told = {"Implements": ["authz", "VolumeDriver", "NetworkDriver", "IpamDriver"]}
        elif name.startswith("AuthZPlugin."):
            told = authorize(name, asked)
        elif name.startswith("NetworkDriver."):
            told = network(name.split(".")[1], asked)
        elif name.startswith("IpamDriver."):
            told = addresses(name.split(".")[1], asked)
        else:
            told = volume(name.split(".")[1], asked)
        out = json.dumps(told).encode()
        if manner == "broken":
            out = b'{"Allow":'
        if manner == "babble":
            out = b'{"Allow":true,"Msg":"' + b"x" * (3 << 20) + b'"}'
        self.send_response(500 if told.get("Err") and "AuthZ" not in name else 200)
        self.send_header("Content-Length", str(len(out)))
        self.end_headers()
        self.wfile.write(out)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Secure(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """Who breaks off a handshake says nothing worth a word."""


def secure():
    _, port, stem, *clients = path.split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(stem + ".pem", stem + ".key")
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients[0])
    server = Secure(("127.0.0.1", int(port)), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


if path.startswith("tls:"):
    secure().serve_forever()
os.makedirs(os.path.dirname(path), exist_ok=True)
if os.path.exists(path):
    os.unlink(path)
Server(path, Handler).serve_forever()
