"""A plugin of Docker's protocol for tests: authorization and volumes, with bad manners on request.

plugin.py SOCKET FOLDER [MANNER]; logs each question as a line of JSON in FOLDER/log. MANNER: deny, hang, babble, broken, escape.
"""
import http.server, json, os, socketserver, sys, time, base64

path, folder, manner = sys.argv[1], sys.argv[2], (sys.argv[3:] or [""])[0]
volumes, users = {}, {}


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
            told = {"Implements": ["authz", "VolumeDriver"]}
        elif name.startswith("AuthZPlugin."):
            told = authorize(name, asked)
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


os.makedirs(os.path.dirname(path), exist_ok=True)
if os.path.exists(path):
    os.unlink(path)
Server(path, Handler).serve_forever()
