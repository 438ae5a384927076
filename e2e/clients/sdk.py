"""Uses the engine as programs in Python do, through docker-py; ends with 0 when all was as Docker has it."""
import io
import tarfile
import threading

import docker
from docker.errors import APIError, ImageNotFound, NotFound

IMAGE = "busybox:lab"
client = docker.from_env(timeout=30)


def section(name):
    print(name, flush=True)


def fails(kind, status, act):
    try:
        act()
    except kind as error:
        code = getattr(error, "status_code", None) or error.response.status_code
        assert code == status, (code, error)
        return error
    raise AssertionError(f"{kind.__name__} was expected")


section("system")
assert client.ping()
version = client.version()
assert version["Os"] == "linux" and version["ApiVersion"], version
info = client.info()
assert info["OSType"] == "linux" and info["NCPU"] >= 1, info
assert "local" in info["Plugins"]["Volume"], info["Plugins"]

section("run")
assert client.containers.run(IMAGE, "echo hi", remove=True) == b"hi\n"
assert client.containers.run(IMAGE, ["sh", "-c", "echo out; echo err >&2"], remove=True, stderr=True) in (
    b"out\nerr\n",
    b"err\nout\n",
)
try:
    client.containers.run(IMAGE, "false", remove=True)
    raise AssertionError("false must fail")
except docker.errors.ContainerError as error:
    assert error.exit_status == 1, error
fails(ImageNotFound, 404, lambda: client.containers.create("nosuch:image"))
fails(NotFound, 404, lambda: client.containers.get("nosuch"))

section("objects")
box = client.containers.run(
    IMAGE,
    "sleep 1000",
    name="box",
    detach=True,
    labels={"tier": "front"},
    environment={"A": "b"},
    ports={"80/tcp": None},
    mem_limit="64m",
    healthcheck={"test": ["CMD", "true"], "interval": 500_000_000},
    volumes={"data": {"bind": "/data", "mode": "rw"}},
    tmpfs={"/scratch": "size=1m"},
    extra_hosts={"other": "10.1.2.3"},
    cap_drop=["ALL"],
    stop_signal="SIGKILL",
)
box.reload()
assert box.status == "running" and box.name == "box", box.attrs
assert box.attrs["HostConfig"]["Memory"] == 64 << 20
assert int(box.ports["80/tcp"][0]["HostPort"]) >= 1024, box.ports
assert [one.name for one in client.containers.list(filters={"label": "tier=front"})] == ["box"]
assert client.containers.list(filters={"status": "paused"}) == []
fails(APIError, 409, lambda: client.containers.create(IMAGE, name="box"))

section("exec")
code, output = box.exec_run("echo $A", environment={"A": "c"})
assert (code, output) == (0, b"$A\n"), (code, output)
code, output = box.exec_run(["sh", "-c", "echo $A; echo no >&2; exit 3"], demux=True)
assert code == 3 and output == (b"b\n", b"no\n"), (code, output)
pieces = box.exec_run(["sh", "-c", "echo 1; echo 2"], stream=True).output
assert b"".join(pieces) == b"1\n2\n"
socket = box.exec_run("cat", stdin=True, socket=True).output
socket._sock.sendall(b"ping\n")
assert socket._sock.recv(64).endswith(b"ping\n")
socket.close()
code, _ = box.exec_run("nosuch")
assert code in (126, 127), code

section("files")
stream = io.BytesIO()
with tarfile.open(fileobj=stream, mode="w") as archive:
    member = tarfile.TarInfo("file")
    member.size = 5
    archive.addfile(member, io.BytesIO(b"hello"))
assert box.put_archive("/data", stream.getvalue())
bits, stat = box.get_archive("/data/file")
assert stat["name"] == "file" and stat["size"] == 5, stat
with tarfile.open(fileobj=io.BytesIO(b"".join(bits))) as archive:
    assert archive.extractfile("file").read() == b"hello"
assert {"Path": "/data", "Kind": 0} in box.diff() or box.diff(), box.diff()
fails(NotFound, 404, lambda: box.get_archive("/nosuch"))

section("watching")
try:
    top = box.top()
    assert "CMD" in top["Titles"] and top["Processes"], top
except APIError as error:
    # dockerd starts ps(1) of its own machine, which may be too small to have one.
    assert '"ps": executable file not found' in str(error), error
stats = box.stats(stream=False)
assert stats["memory_stats"]["limit"] == 64 << 20 and stats["networks"], stats
first = next(box.stats(stream=True, decode=True))
assert first["name"] == "/box", first
assert box.logs() == b""

section("life")
box.pause()
box.reload()
assert box.status == "paused"
fails(APIError, 409, lambda: box.exec_run("true"))
box.unpause()
box.rename("crate")
box.update(mem_limit="128m", memswap_limit="256m")
box.reload()
assert box.name == "crate" and box.attrs["HostConfig"]["Memory"] == 128 << 20
box.restart(timeout=1)
box.kill()
assert box.wait(timeout=10)["StatusCode"] == 137
box.start()

section("attach and logs")
talker = client.containers.run(IMAGE, ["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"], detach=True)
assert b"".join(talker.logs(stream=True, follow=True)) == b"1\n2\n3\n"
assert talker.logs(tail=1) == b"3\n"
assert talker.wait()["StatusCode"] == 0
talker.remove()
echo = client.containers.create(IMAGE, "cat", stdin_open=True)
attached = echo.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
echo.start()
attached._sock.sendall(b"echoed\n")
assert b"echoed" in attached._sock.recv(64)
attached.close()
echo.remove(force=True)

section("networks")
net = client.networks.create("net", driver="bridge", labels={"a": "b"}, internal=True)
net.connect(box, aliases=["alias"])
net.reload()
assert [one.id for one in net.containers] == [box.id]
fails(APIError, 403, net.remove)
net.disconnect(box)
net.remove()
fails(NotFound, 404, lambda: client.networks.get("net"))

section("volumes")
volume = client.volumes.create("cellar", labels={"a": "b"})
assert client.volumes.get("cellar").attrs["Labels"] == {"a": "b"}
volume.remove()
fails(APIError, 409, client.volumes.get("data").remove)

section("images")
image = box.commit("kept", tag="1", changes=["ENV X=y"])
assert image.tags == ["kept:1"] and "X=y" in image.attrs["Config"]["Env"], image.attrs
archive = b"".join(image.save(named=True))
client.images.remove("kept:1")
(loaded,) = client.images.load(archive)
assert loaded.id == image.id, (loaded, image)
assert loaded.tag("again", "2")
assert loaded.history()
client.images.remove("again:2")
client.images.remove("kept:1")

section("events")
seen = []
events = client.events(decode=True, filters={"container": "crate"})


def watch():
    for event in events:
        seen.append(event["Action"])
        if event["Action"] == "destroy":
            return


watcher = threading.Thread(target=watch)
watcher.start()
box.stop(timeout=1)
box.remove(v=True)
watcher.join(20)
assert seen[-1] == "destroy" and "die" in seen and "stop" in seen, seen

section("prune")
assert client.df()["Images"]
client.containers.create(IMAGE, labels={"gone": "1"})
pruned = client.containers.prune(filters={"label": "gone"})
assert len(pruned["ContainersDeleted"]) == 1, pruned
assert client.containers.prune()["ContainersDeleted"] is None
client.networks.prune()
client.volumes.prune(filters={"all": True})
client.images.prune()
assert client.volumes.list() == []
print("fine")
