"""testcontainers for Python, the way a test suite uses it: start, wait for a line, map a port, execute, network, clean up.

Its reaper is an image of its own that no laboratory has; the story removes what it made.
"""
import os
import sys
import urllib.request

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs

testcontainers_config.ryuk_disabled = True
IMAGE = "busybox:lab"


def section(name):
    print(name, flush=True)


section("a server with a mapped port")
serve = "mkdir -p /www && echo hello > /www/index.html && echo ready && exec httpd -f -p 80 -h /www"
with DockerContainer(IMAGE).with_command(["sh", "-c", serve]).with_exposed_ports(80).with_env("TIER", "front") as web:
    wait_for_logs(web, "ready", timeout=20)
    port = web.get_exposed_port(80)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
        assert page.read() == b"hello\n"
    code, output = web.exec(["sh", "-c", "echo $TIER; exit 3"])
    assert (code, output) == (3, b"front\n"), (code, output)
    stdout, stderr = web.get_logs()
    assert b"ready" in stdout, stdout

section("two on a network, one mounting what the other does not see")
folder = os.path.abspath("mounted")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "note"), "w") as note:
    note.write("seen\n")
with Network() as network:
    server = DockerContainer(IMAGE).with_command(["sh", "-c", serve]).with_network(network).with_network_aliases("site")
    client = (
        DockerContainer(IMAGE)
        .with_command(["sleep", "1000"])
        .with_network(network)
        .with_volume_mapping(folder, "/mounted", "ro")
    )
    with server, client:
        wait_for_logs(server, "ready", timeout=20)
        code, output = client.exec(["wget", "-qO-", "http://site/"])
        assert (code, output) == (0, b"hello\n"), (code, output)
        assert client.exec(["cat", "/mounted/note"])[1] == b"seen\n"
        assert client.exec(["touch", "/mounted/other"])[0] != 0

section("one that fails")
with DockerContainer(IMAGE).with_command(["sh", "-c", "echo broken >&2; exit 9"]) as failing:
    assert failing.get_wrapped_container().wait(timeout=10)["StatusCode"] == 9
    assert b"broken" in failing.get_logs()[1]

import docker

left = docker.from_env().containers.list(all=True)
assert not left, left
print("fine")
sys.exit(0)
