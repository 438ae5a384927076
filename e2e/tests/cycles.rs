//! Thousands of short lives in one daemon's: descriptors, threads, memory and the kernel's objects come back to where they were.

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use hakone_e2e::{Api, IMAGE, Lab, eventually, sh, strays};

    /// Lives that the daemon gets used to: caches fill, the allocator finds its size.
    const FIRST: u32 = 2000;
    const CYCLES: u32 = 2000;
    const CLIENTS: u32 = 4;
    /// What the daemon may keep of the cycles: a leak of 2 KiB a container would be twice this.
    const GROWTH: u64 = 2 << 20;

    fn live(api: &mut Api, number: u32, port: u32) {
        let body = format!(
            r#"{{"Image":"{IMAGE}","Cmd":["true"],"ExposedPorts":{{"80/tcp":{{}}}},"HostConfig":{{"PortBindings":{{"80/tcp":[{{"HostPort":"{port}"}}]}}}}}}"#
        );
        let name = format!("cycle{number}");
        let mut call = |method, path: String, body: &str| {
            let (status, text) = api.call(method, &path, body).unwrap();
            assert!(status < 300, "{path}: {status} {text}");
        };
        call("POST", format!("/containers/create?name={name}"), &body);
        call("POST", format!("/containers/{name}/start"), "");
        call("POST", format!("/containers/{name}/wait"), "");
        call("DELETE", format!("/containers/{name}"), "");
    }

    fn cycles(lab: &Lab, count: u32) {
        let workers = (0..CLIENTS).map(|client| {
            let mut api = Api::open(&lab.path("engine.sock")).unwrap();
            let mut life = move |round| live(&mut api, client * CYCLES + round, 8000 + client);
            thread::spawn(move || (0..count / CLIENTS).for_each(&mut life))
        });
        let workers: Vec<_> = workers.collect();
        for worker in workers {
            worker.join().unwrap();
        }
    }

    fn entries(pid: u32, what: &str) -> usize {
        fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count()
    }

    fn anonymous_memory(pid: u32) -> u64 {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find(|line| line.starts_with("RssAnon:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.unwrap().parse::<u64>().unwrap() * 1024
    }

    fn zombies(pid: u32) -> usize {
        let line = format!("ps -o stat= --ppid {pid} | grep -c Z");
        sh(&line).stdout.trim().parse().unwrap_or(0)
    }

    #[test]
    fn two_thousand_containers_leave_nothing() {
        let lab = Lab::new();
        let pid = lab.pid();
        cycles(&lab, FIRST);
        eventually("all is given back", || strays(&lab).is_empty());
        let (files, threads) = (entries(pid, "fd"), entries(pid, "task"));
        // A leak makes it grow each time; an allocator that takes another page or two does not.
        let mut grown = Vec::new();
        while grown.len() < 3 && grown.last().is_none_or(|grown| *grown >= GROWTH) {
            let memory = anonymous_memory(pid);
            cycles(&lab, CYCLES);
            eventually("nothing is left on the host", || strays(&lab).is_empty());
            grown.push(anonymous_memory(pid).saturating_sub(memory));
        }
        let least = grown.iter().min();
        assert!(least < Some(&GROWTH), "the daemon grew by {grown:?} bytes");
        eventually("descriptors are given back", || {
            entries(pid, "fd") <= files + 2
        });
        eventually("nobody is unreaped", || zombies(pid) == 0);
        eventually("threads are given back", || {
            entries(pid, "task") <= threads.max(40)
        });
    }
}
