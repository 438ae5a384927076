#!/usr/bin/env python3
"""Records what the official docker CLI sends for each line of recorded/lines.txt, into recorded/requests.json.

A fake daemon on a throw-away unix socket answers just enough. Run by hand when a line is added:
    python3 record.py [path of the docker CLI]
The test `requests_are_those_of_the_docker_cli` compares ours with the file; nothing but the file is needed there.
"""
import json, os, shlex, socketserver, subprocess, sys, tempfile, threading
from http.server import BaseHTTPRequestHandler

ID = "ab" * 32
LOG = []


class Fake(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def send(self, status, body=b"", kind="application/json"):
        self.send_response(status)
        self.send_header("Api-Version", "1.51")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def record(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if self.path == "/_ping":
            return
        entry = {"method": self.command, "target": self.path}
        if body:
            entry["body"] = json.loads(body)
        if self.headers.get("Upgrade"):
            entry["upgrade"] = self.headers["Upgrade"]
        LOG.append(entry)

    def do_HEAD(self):
        self.record()
        self.send(200)

    def do_GET(self):
        self.record()
        path = self.path.split("?")[0]
        if path.endswith("/events") or path.endswith("/logs"):
            return self.send(200, b"", "application/vnd.docker.raw-stream")
        if "/exec/" in path:
            return self.send(200, json.dumps({"ID": ID, "ExitCode": 0, "Running": False}).encode())
        if path.endswith("/volumes"):
            return self.send(200, b'{"Volumes":[]}')
        if path.endswith("/containers/c1/json"):
            return self.send(200, json.dumps({"Id": ID, "Name": "/c1", "State": {"Running": True, "Status": "running"},
                "Config": {"Tty": False}, "HostConfig": {}, "NetworkSettings": {"Ports": {}}}).encode())
        self.send(200, b"[]")

    def do_DELETE(self):
        self.record()
        self.send(200, b"[]") if "/images/" in self.path else self.send(204)

    def do_POST(self):
        self.record()
        path = self.path.split("?")[0]
        if path.endswith("/containers/create") or path.endswith("/networks/create"):
            return self.send(201, json.dumps({"Id": ID, "Warnings": []}).encode())
        if path.endswith("/volumes/create"):
            return self.send(201, b'{"Name":"v1"}')
        if path.endswith("/exec"):
            return self.send(201, json.dumps({"Id": ID}).encode())
        if path.endswith("/wait"):
            return self.send(200, b'{"StatusCode":0}')
        if path.endswith("/commit"):
            return self.send(201, json.dumps({"Id": ID}).encode())
        if path.endswith("/update"):
            return self.send(200, b'{"Warnings":null}')
        if path.endswith("/prune"):
            return self.send(200, b"{}")
        if self.headers.get("Upgrade"):
            self.send_response(101, "UPGRADED")
            self.send_header("Content-Type", "application/vnd.docker.raw-stream")
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "tcp")
            self.end_headers()
            self.close_connection = True
            return None
        if path.endswith("/exec/" + ID + "/start"):
            return self.send(200)
        return self.send(204)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main():
    cli = sys.argv[1] if len(sys.argv) > 1 else "docker"
    here = os.path.dirname(os.path.abspath(__file__))
    out = []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder + "/s", Fake)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "DOCKER_HOST": "unix://" + folder + "/s", "RECORDED": "from-outside"}
        for line in open(here + "/recorded/lines.txt"):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            LOG.clear()
            done = subprocess.run([cli] + shlex.split(line), cwd=here + "/recorded", env=environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
            out.append({"line": line, "code": done.returncode, "stdout": done.stdout, "stderr": done.stderr, "requests": list(LOG)})
    with open(here + "/recorded/requests.json", "w") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


main()
