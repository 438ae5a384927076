//! Load: many clients with a bit of everything, clients that stop reading, clients that send their requests for ever.
//!
//! `HAKONE_MIX_SECONDS` says how long the clients mix; `cargo xtask bench mix` lets them do so for ten minutes, `store` and `followed` have
//! ten thousand containers to list and five hundred whose logs are followed.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
        time::{Duration, Instant},
    };

    use hakone_e2e::{Api, Engine, IMAGE, Lab, Unread, mix};

    const CLIENTS: usize = 100;

    fn seconds() -> Duration {
        let asked = std::env::var("HAKONE_MIX_SECONDS").ok();
        Duration::from_secs(asked.and_then(|text| text.parse().ok()).unwrap_or(20))
    }

    #[test]
    fn a_hundred_clients_that_mix_everything_get_the_answers_of_one() {
        let lab = Lab::new();
        let mixed = mix(&lab.path("engine.sock"), CLIENTS, seconds());
        assert_eq!(mixed.faults, Vec::<String>::new());
        assert!(mixed.rounds >= CLIENTS, "{} rounds", mixed.rounds);
        assert_eq!(lab.docker("ps -aq").ok(), "");
        assert_eq!(lab.docker("volume ls -q").ok(), "");
    }

    /// What one client is told there is what all are to be told here; a hundred at once it does not always answer so.
    #[test]
    fn the_story_of_the_mix_is_true_of_dockerd() {
        let lab = Lab::with(Engine::Dockerd, "");
        let mixed = mix(&lab.path("engine.sock"), 1, Duration::from_secs(5));
        assert_eq!(mixed.faults, Vec::<String>::new());
        assert!(mixed.rounds > 0);
    }

    fn resident(lab: &Lab) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", lab.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Twenty clients of events and twenty of logs that read nothing, while everybody else works.
    #[test]
    fn clients_that_stop_reading_hold_nobody_up_and_cost_little() {
        const LINES: usize = 400_000;
        let lab = Lab::new();
        let socket = lab.path("engine.sock");
        let say =
            format!("sleep 1; yes 0123456789012345678901234567890123456789 | head -n {LINES}");
        lab.docker(&format!(
            "run -d --name talker {IMAGE} sh -c '{say}; echo done'"
        ))
        .ok();
        let logs = "/v1.45/containers/talker/logs?follow=1&stdout=1";
        let open = |path: &str| Unread::open(&socket, path).unwrap();
        let unread: Vec<Unread> = (0..20)
            .flat_map(|_| [open("/v1.45/events"), open(logs)])
            .collect();
        assert_eq!(lab.docker("wait talker").ok(), "0");
        let mut api = Api::open(&socket).unwrap();
        for number in 0..300 {
            let body = format!(
                r#"{{"Image":"{IMAGE}","Cmd":["true"],"Labels":{{"long":"{}"}}}}"#,
                "x".repeat(4000)
            );
            let create = format!("/containers/create?name=n{number}");
            assert_eq!(api.call("POST", &create, &body).unwrap().0, 201);
            let remove = format!("/containers/n{number}");
            assert_eq!(api.call("DELETE", &remove, "").unwrap().0, 204);
        }
        assert_eq!(lab.docker("logs --tail 1 talker").ok(), "done");
        // Forty streams of which somebody has asked for 20 MB each: bounded by what sockets and queues hold.
        let held = resident(&lab);
        assert!(held < 120 << 20, "{held} bytes");
        // Who reads again gets a log whole; who was too slow for events is told so by the end of its stream, or gets them all.
        let log = unread.into_iter().nth(1).unwrap();
        let log = log.read_on(Duration::from_secs(60)).unwrap();
        let text = String::from_utf8_lossy(&log);
        assert_eq!(text.matches("0123456789\n").count(), LINES);
        assert!(text.contains("done\n"));
    }

    /// The kernel watches 128 files for each user; who comes later must not go without.
    #[test]
    fn more_clients_follow_a_log_than_the_kernel_gives_watches() {
        let lab = Lab::new();
        let say = "while sleep 1; do echo tick; done";
        lab.docker(&format!("run -d --name talker {IMAGE} sh -c '{say}'"))
            .ok();
        let socket = lab.path("engine.sock");
        let path = "/v1.45/containers/talker/logs?follow=1&stdout=1&tail=0";
        let streams: Vec<Unread> = (0..150)
            .map(|_| Unread::open(&socket, path).unwrap())
            .collect();
        for (number, stream) in streams.into_iter().enumerate() {
            let came = stream.comes("tick", Duration::from_secs(60)).unwrap();
            assert!(came, "client {number}");
        }
    }

    /// Opens a request with a body that never ends.
    fn drip(lab: &Lab, path: &str) -> UnixStream {
        let mut stream = UnixStream::connect(lab.path("engine.sock")).unwrap();
        let kind = match path.ends_with("/build") {
            true => "application/x-tar",
            false => "application/json",
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: e\r\nContent-Type: {kind}\r\nContent-Length: 100000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn answered(stream: &mut UnixStream) -> String {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    /// A stream's body may take its time; that of a request may not.
    #[test]
    fn a_body_that_comes_a_byte_a_second_is_refused_and_a_slow_stream_is_not() {
        let lab = Lab::new();
        lab.docker(&format!("create --name box {IMAGE}")).ok();
        let paths = [
            "/v1.45/containers/create",
            "/v1.45/networks/create",
            "/v1.45/auth",
        ];
        let mut slow: Vec<UnixStream> = paths.iter().map(|path| drip(&lab, path)).collect();
        let mut stream = drip(&lab, "/v1.45/build");
        let mut answers = vec![String::new(); slow.len()];
        let end = Instant::now() + Duration::from_secs(180);
        while answers.iter().any(String::is_empty) && Instant::now() < end {
            for (stream, answer) in slow.iter_mut().zip(&mut answers) {
                stream.write_all(b" ").ok();
                *answer += &answered(stream);
            }
            stream.write_all(b" ").ok();
            std::thread::sleep(Duration::from_secs(1));
        }
        for answer in &answers {
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert!(answer.contains("too slowly"), "{answer}");
        }
        assert_eq!(answered(&mut stream), "", "a build goes on");
    }
}
