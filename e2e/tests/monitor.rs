//! `top` and `stats`: what is shown agrees with ps(1) and with what the container does.

#[cfg(test)]
mod tests {
    use hakone_e2e::{IMAGE, Lab, eventually, sh};
    use serde_json::Value;

    /// The columns of one process, by their titles, as the API tells them.
    fn top(lab: &Lab, container: &str, arguments: &str) -> Vec<(String, String)> {
        let (status, body) = lab.api(
            "GET",
            &format!(
                "/containers/{container}/top?ps_args={}",
                arguments.replace(' ', "%20")
            ),
            "",
        );
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let titles = body["Titles"].as_array().unwrap().iter().map(text);
        let first = body["Processes"][0].as_array().unwrap();
        titles.zip(first.iter().map(text)).collect()
    }

    /// Two clocks tell when a process began: one that begins at the turn of a minute may have begun in either.
    #[test]
    fn top_says_what_ps_says() {
        let lab = Lab::new();
        let mut round = 0;
        eventually("top says what ps says", || {
            round += 1;
            let said = compare(&lab, &format!("box{round}"));
            said.inspect_err(|said| eprintln!("{said}")).is_ok()
        });
    }

    fn compare(lab: &Lab, name: &str) -> Result<(), String> {
        lab.docker(&format!("run -d --name {name} -u user {IMAGE} sleep 1000"))
            .ok();
        let pid = lab
            .docker(&format!("inspect -f '{{{{.State.Pid}}}}' {name}"))
            .ok();
        eventually("the program sleeps", || {
            sh(&format!("ps -o stat= -q {pid}")).stdout.starts_with('S')
        });
        for arguments in [
            "-ef",
            "aux",
            "-eo pid,ppid,pgid,sid,user,group,uid,gid,comm,stat,tty,vsz,rss,nlwp,ni,pri,etimes,args",
        ] {
            let ours = top(lab, name, arguments);
            let ps = sh(&format!("TZ=UTC ps {arguments} -q {pid}")).stdout;
            let mut lines = ps
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>());
            let (titles, fields) = (lines.next().unwrap(), lines.next().unwrap());
            for (place, title) in titles.iter().enumerate() {
                // Overhanging words belong to the last column.
                let theirs = match place + 1 == titles.len() {
                    true => fields[place..].join(" "),
                    false => fields[place].to_owned(),
                };
                let (name, mine) = &ours[place];
                let same = name == title && agrees(title, mine, &theirs);
                let said = || format!("{title}: {name} {mine} is not {theirs}");
                same.then_some(()).ok_or_else(said)?;
            }
        }
        Ok(())
    }

    /// A second may pass between the two.
    fn agrees(title: &str, mine: &str, theirs: &str) -> bool {
        match (title, mine.parse::<i64>(), theirs.parse::<i64>()) {
            ("ELAPSED", Ok(mine), Ok(theirs)) => (mine - theirs).abs() <= 1,
            // The share of a life that has hardly begun changes with each millisecond of it.
            ("C" | "%CPU", ..) => {
                let share = |text: &str| text.parse().is_ok_and(|share: f64| share <= 100.0);
                share(mine) && share(theirs)
            }
            _ => mine == theirs,
        }
    }

    #[test]
    fn top_shows_no_process_of_anybody_else_and_starts_none() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name box {IMAGE} sh -c 'sleep 1000 & sleep 2000'"
        ))
        .ok();
        lab.docker(&format!("run -d --name other {IMAGE} sleep 3000"))
            .ok();
        eventually("both processes run", || {
            let shown = lab.docker("top box -eo pid,args").stdout;
            shown.contains("sleep 1000") && shown.contains("sleep 2000")
        });
        let shown = lab.docker("top box -eo pid,args").ok();
        assert!(!shown.contains("3000"), "{shown}");
        // A name with quotes, blanks and a new line is one argument to nobody.
        let hostile = lab.docker("top box '-ef; touch /tmp/hakone-top-attack'");
        assert_ne!(hostile.code, 0);
        assert!(!std::path::Path::new("/tmp/hakone-top-attack").exists());
        for arguments in ["-ef --forest", "-eLf", "-o comm", "-o ppid=PID,comm"] {
            assert_ne!(
                lab.docker(&format!("top box {arguments}")).code,
                0,
                "{arguments}"
            );
        }
    }

    #[test]
    fn stats_follow_what_the_container_does() {
        let lab = Lab::new();
        lab.docker(&format!(
            "run -d --name box -m 64m --memory-swap 64m {IMAGE} sh -c 'while :; do :; done'"
        ))
        .ok();
        let (status, body) = lab.api("GET", "/containers/box/stats?stream=0", "");
        assert_eq!(status, 200);
        let stats: Value = serde_json::from_str(&body).unwrap();
        let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        assert_eq!(number("/memory_stats/limit"), 64 << 20);
        let used = number("/cpu_stats/cpu_usage/total_usage")
            - number("/precpu_stats/cpu_usage/total_usage");
        let system =
            number("/cpu_stats/system_cpu_usage") - number("/precpu_stats/system_cpu_usage");
        assert!(
            used > 0 && system > 0 && used <= system * 2,
            "{used} of {system}"
        );
        // A container that ends is told as one that has nothing, and one that is removed ends the stream.
        lab.docker("rm -f box").ok();
        assert_eq!(lab.api("GET", "/containers/box/stats?stream=0", "").0, 404);
    }
}
