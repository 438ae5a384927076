"""What a monitor of containers does all day, as lazydocker and cAdvisor do it: events and figures of all, and their cgroups.

One thread reads the events, one each the figures of a container, until all have ended; then figures and cgroups are compared.
"""
import os
import threading
import time

import docker

IMAGE = "busybox:lab"
client = docker.from_env()
seen, figures = [], {}


def watch_events():
    for event in docker.from_env().events(decode=True, filters={"type": "container"}):
        seen.append((event["Action"], event["Actor"]["Attributes"]["name"]))
        if event["Action"] == "destroy" and event["Actor"]["Attributes"]["name"] == "last":
            return


def watch_figures(name):
    for figure in docker.from_env().containers.get(name).stats(decode=True, stream=True):
        if not figure.get("memory_stats"):
            return
        figures.setdefault(name, []).append(figure)


def cgroups(pid):
    """Gives for each controller the folder of a process's cgroup, as cAdvisor finds it."""
    found = {}
    with open(f"/proc/{pid}/cgroup") as lines:
        for line in lines:
            number, names, path = line.rstrip("\n").split(":", 2)
            if number == "0":
                found[""] = next(p for p in ("/sys/fs/cgroup/unified" + path, "/sys/fs/cgroup" + path) if os.path.isdir(p)) if any(
                    os.path.isdir(p) for p in ("/sys/fs/cgroup/unified" + path, "/sys/fs/cgroup" + path)) else None
            for name in names.split(","):
                folder = f"/sys/fs/cgroup/{names}{path}"
                if name and os.path.isdir(folder):
                    found[name] = folder
    return found


def number(folder, *names):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path) as file:
                return int(file.read().split()[0])
    raise AssertionError(f"{folder} has none of {names}")


threads = [threading.Thread(target=watch_events, daemon=True)]
threads[0].start()
time.sleep(0.5)
names = ["one", "two", "last"]
busy = "while :; do :; done & sleep 1000"
for name in names:
    client.containers.run(IMAGE, ["sh", "-c", busy], name=name, detach=True, mem_limit="64m", pids_limit=50, init=True)
    threads.append(threading.Thread(target=watch_figures, args=(name,), daemon=True))
    threads[-1].start()
deadline = time.time() + 30
while any(len(figures.get(name, [])) < 3 for name in names):
    assert time.time() < deadline, {name: len(figures.get(name, [])) for name in names}
    time.sleep(0.2)
for name in names:
    first, last = figures[name][0], figures[name][-1]
    assert last["cpu_stats"]["cpu_usage"]["total_usage"] > first["cpu_stats"]["cpu_usage"]["total_usage"]
    assert last["cpu_stats"]["system_cpu_usage"] > 0 and last["cpu_stats"]["online_cpus"] > 0
    assert 0 < last["memory_stats"]["usage"] <= last["memory_stats"]["limit"] == 64 << 20
    assert last["pids_stats"]["current"] >= 2 and last["networks"]["eth0"]["rx_bytes"] >= 0
    assert last["name"] == f"/{name}"
    box = client.containers.get(name)
    folders = cgroups(box.attrs["State"]["Pid"])
    memory = folders.get("memory") or folders[""]
    assert box.id in memory, memory
    assert number(memory, "memory.limit_in_bytes", "memory.max") == 64 << 20
    assert number(memory, "memory.usage_in_bytes", "memory.current") > 0
    pids = folders.get("pids") or folders[""]
    assert number(pids, "pids.max") == 50 and number(pids, "pids.current") >= 2
for name in names:
    client.containers.get(name).pause()
    client.containers.get(name).unpause()
    client.containers.get(name).remove(force=True)
for thread in threads:
    thread.join(timeout=20)
    assert not thread.is_alive(), "a stream of a removed container ends"
for name in names:
    mine = [action for action, of in seen if of == name]
    wanted = ["create", "start", "pause", "unpause", "kill", "die", "destroy"]
    assert [action for action in mine if action in wanted] == wanted, mine
print("fine")
