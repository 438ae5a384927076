//! The other ways in: metrics, debug figures, attach over a WebSocket, Docker's own socket.

#[cfg(test)]
mod tests {
    use hakone_e2e::{Engine, IMAGE, Lab};

    #[test]
    fn metrics_are_prometheus_text_under_dockerds_names() {
        let lab = Lab::with(Engine::Hakone, "--metrics-addr 127.0.0.1:9323");
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        let page = lab.host.sh("curl -sf http://127.0.0.1:9323/metrics").ok();
        let value = |line: &str| {
            let mut lines = page.lines();
            let found = lines.find_map(|one| one.strip_prefix(line)?.strip_prefix(' '));
            found.map(|value| value.parse::<f64>().unwrap())
        };
        assert_eq!(
            value("engine_daemon_container_states_containers{state=\"running\"}"),
            Some(1.0)
        );
        assert_eq!(
            value("engine_daemon_container_actions_seconds_count{action=\"start\"}"),
            Some(1.0)
        );
        assert!(
            value("engine_daemon_events_total").unwrap() >= 2.0,
            "{page}"
        );
        assert!(
            value("process_resident_memory_bytes").unwrap() > 1e6,
            "{page}"
        );
        assert!(page.contains("engine_daemon_engine_info{"), "{page}");
        let other = lab
            .host
            .sh("curl -s -o /dev/null -w %{http_code} http://127.0.0.1:9323/containers/json");
        assert_eq!(other.ok(), "404", "the API is not served there");
    }

    #[test]
    fn debug_figures_are_there_while_debugging_only() {
        let lab = Lab::new();
        let (status, body) = lab.api("GET", "/debug/vars", "");
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("\"resident\""), "{body}");
        let quiet = Lab::with(Engine::Hakone, "--log-level info");
        assert_eq!(quiet.api("GET", "/debug/vars", "").0, 404);
    }

    /// Speaks RFC 6455 by hand: one masked message out, all messages in.
    const SOCKET: &str = r#"
import os, socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.connect("engine.sock"); s.settimeout(60)
def send(path, more=""):
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: e\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n".encode())
send("/v1.45/containers/box/attach/ws?stdin=1&stdout=1&stderr=1&stream=1", f"Origin: {sys.argv[1]}\r\n" if len(sys.argv) > 1 else "")
f = s.makefile("rb")
print(f.readline().decode().strip())
while (line := f.readline().strip()):
    if line.lower().startswith(b"sec-websocket-accept"): print(line.split(b": ")[1].decode())
if len(sys.argv) > 1: sys.exit()
mask = os.urandom(4); text = b"hello\n"
s.sendall(bytes([0x82, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
got = b""
while not got.endswith(b"hello\n"):
    head = f.read(2); n = head[1] & 127
    if n == 126: n = struct.unpack(">H", f.read(2))[0]
    got += f.read(n)
print(got.decode().strip())
"#;

    #[test]
    fn attach_over_a_websocket_carries_both_ways() {
        let lab = Lab::new();
        lab.docker(&format!("run -d -i --name box {IMAGE} cat"))
            .ok();
        let said = lab.shell(&format!("python3 -c '{SOCKET}'")).ok();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "HTTP/1.1 101 Switching Protocols",
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
                "hello"
            ]
        );
        let (status, body) = lab.api("GET", "/containers/box/attach/ws?stream=1", "");
        assert_eq!((status, body.as_str()), (400, "not websocket protocol"));
    }

    /// Reads the headers as Python's buffered reader does: all that is there at that moment, which must be the headers alone.
    const SLOW: &str = r#"
import json, socket, subprocess, time
def connect():
    s = socket.socket(socket.AF_UNIX); s.connect("engine.sock"); s.settimeout(60); return s
def post(s, path, body, more=""):
    body = json.dumps(body).encode()
    s.sendall(f"POST {path} HTTP/1.1\r\nHost: e\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)
s = connect(); post(s, "/containers/box/exec", {"Cmd": ["echo", "hello"], "AttachStdout": True})
exec = json.loads(s.recv(4096).split(b"\r\n\r\n")[1])["Id"]
s = connect(); post(s, f"/exec/{exec}/start", {}, "Connection: Upgrade\r\nUpgrade: tcp\r\n")
while True:
    i = connect(); i.sendall(f"GET /exec/{exec}/json HTTP/1.1\r\nHost: e\r\n\r\n".encode())
    if b"\x22Running\x22:false" in i.recv(65536): break
head = s.recv(65536)
rest = b""
while part := s.recv(65536): rest += part
print(head.endswith(b"\r\n\r\n"), rest[8:].decode().strip())
"#;

    #[test]
    fn output_waits_until_the_client_has_read_the_headers() {
        let lab = Lab::new();
        lab.docker(&format!("run -d --name box {IMAGE} sleep 1000"))
            .ok();
        for _ in 0..5 {
            let said = lab.shell(&format!("python3 -c '{SLOW}'")).ok();
            assert_eq!(said, "True hello");
        }
    }

    #[test]
    fn a_page_of_another_site_may_not_attach() {
        let lab = Lab::new();
        lab.docker(&format!("run -d -i --name box {IMAGE} cat"))
            .ok();
        let said = lab.shell(&format!("python3 -c '{SOCKET}' http://evil.example"));
        assert!(said.stdout.contains("403"), "{said:?}");
    }

    #[test]
    fn dockers_own_socket_is_served_when_asked_for_and_free() {
        // A /run of its own: the host's must not be touched.
        let lab = Lab::new();
        let hakone = hakone_e2e::hakone().display().to_string();
        let line = format!(
            "unshare --mount sh -c 'mount -t tmpfs none /run; {hakone} daemon --docker-compat --host unix:///run/own.sock --data-root $LAB/second --exec-root /run/hakone --bridge none --iptables=false --group \"\" & \
             for i in $(seq 600); do [ -S /var/run/docker.sock ] && break; sleep 0.1; done; env -u DOCKER_HOST -u HAKONE_HOST docker info --format {{{{.ServerVersion}}}}; kill $!; wait $!; ls /run/docker.sock'"
        );
        let said = lab.shell(&line);
        assert!(said.stdout.contains('.'), "{said:?}");
        assert!(
            said.stderr.contains("No such file"),
            "the socket goes with the daemon: {said:?}"
        );
    }
}
