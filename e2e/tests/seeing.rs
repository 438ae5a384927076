//! What an administrator sees: the flow log, who reaches whom, the self-test.

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hakone_e2e::{Engine, IMAGE, Lab, eventually, sh};
    use serde_json::Value;

    /// Reads the flow log's kept lines.
    fn flows(lab: &Lab, query: &str) -> Vec<Value> {
        let (status, body) = lab.api("GET", &format!("/hakone/flows?{query}"), "");
        assert_eq!(status, 200, "{body}");
        body.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits for a line that passes.
    fn seen(lab: &Lab, what: &str, passes: impl Fn(&Value) -> bool) -> Value {
        let mut found = None;
        eventually(what, || {
            found = flows(lab, "").into_iter().find(&passes);
            found.is_some()
        });
        found.unwrap()
    }

    fn text<'a>(line: &'a Value, path: &str) -> &'a str {
        line.pointer(path).and_then(Value::as_str).unwrap_or("")
    }

    fn between(line: &Value, event: &str, from: &str, to: &str) -> bool {
        text(line, "/event") == event
            && text(line, "/source/container/name") == from
            && text(line, "/destination/container/name") == to
    }

    /// A published server and a client on `red`, another on `blue`.
    fn lab(arguments: &str) -> Lab {
        let lab = Lab::with(Engine::Hakone, arguments);
        lab.docker("network create red").ok();
        lab.docker("network create blue").ok();
        lab.server("web", "--network red -p 8080:80");
        lab.server("db", "--network blue");
        lab.probe("client", "--network red --cap-add NET_ADMIN");
        lab
    }

    #[test]
    fn connections_and_drops_are_told_with_names_rules_and_bytes() {
        let lab = lab("--flow-log memory");
        assert!(lab.outside.reaches("10.99.0.1:8080"));
        let begun = seen(&lab, "an inbound connection", |line| {
            between(line, "begin", "", "web") && text(line, "/direction") == "inbound"
        });
        assert_eq!(text(&begun, "/source/address"), "10.99.0.2");
        assert_eq!(begun["published"]["port"], 8080);
        assert_eq!(begun["destination"]["port"], 80);
        assert_eq!(text(&begun, "/destination/network/name"), "red");
        assert_eq!(text(&begun, "/rule"), "entering: published");

        assert!(lab.reaches("client", &format!("{}:80", lab.address("web", "red"))));
        let member = seen(&lab, "a connection between members", |line| {
            between(line, "begin", "client", "web")
        });
        assert_eq!(text(&member, "/verdict"), "allowed");

        let db = lab.address("db", "blue");
        assert!(lab.is_kept_from("client", &format!("{db}:80")));
        let dropped = seen(&lab, "a drop between networks", |line| {
            between(line, "drop", "client", "db")
        });
        assert_eq!(text(&dropped, "/rule"), "entering: between networks");
        assert_eq!(text(&dropped, "/verdict"), "dropped");

        let forge = "ip addr add 10.66.0.6/32 dev eth0; ping -c 3 -w 5 -I 10.66.0.6";
        let web = lab.address("web", "red");
        lab.docker(&format!("exec client sh -c '{forge} {web}'"));
        let forged = seen(&lab, "a forged source", |line| {
            text(line, "/source/address") == "10.66.0.6"
        });
        assert_eq!(text(&forged, "/source/container/name"), "client");
        assert_eq!(text(&forged, "/rule"), "from_ip: forged source");
        assert_eq!(text(&forged, "/protocol"), "icmp");

        let shown = lab
            .hakone("flows --verdict dropped --container client")
            .ok();
        assert!(
            shown.contains("(entering: between networks)") && !shown.contains(" begin "),
            "{shown}"
        );

        lab.docker("network disconnect red web").ok();
        let ended = seen(&lab, "the connection's end", |line| {
            between(line, "end", "", "web") && line["flow"] == begun["flow"]
        });
        assert!(ended["sent"]["bytes"].as_u64() > Some(100), "{ended}");
        assert!(ended["received"]["packets"].as_u64() > Some(2), "{ended}");
        assert!(!text(&ended, "/began").is_empty(), "{ended}");
    }

    #[test]
    fn a_flood_is_cut_off_and_counted_and_a_reader_that_stops_reading_blocks_nobody() {
        let lab = lab("--flow-log memory --flow-log-rate 5");
        let socket = lab.path("engine.sock").display().to_string();
        // A reader that never reads: its connection stays open for as long as the test.
        let asks = format!(
            "{{ (printf 'GET /hakone/flows?follow=1 HTTP/1.1\\r\\nHost: e\\r\\n\\r\\n'; sleep 60) | nc -U {socket} | sleep 60; }} >/dev/null 2>&1 & echo $!"
        );
        let reader = sh(&asks).ok();
        let db = lab.address("db", "blue");
        let begun = Instant::now();
        lab.docker(&format!(
            "exec client sh -c 'for i in $(seq 400); do nc -w 1 {db} 80 </dev/null & done; wait'"
        ));
        // Losses are told each second; a slow machine spreads the flood over several.
        eventually("most of the flood is told as a loss", || {
            let lines = flows(&lab, "");
            let lost = lines.iter().filter(|line| {
                text(line, "/event") == "lost" && text(line, "/lost/reason").contains("client")
            });
            lost.filter_map(|line| line["lost"]["count"].as_u64())
                .sum::<u64>()
                > 10
        });
        let kept = flows(&lab, "filters=%7B%22container%22%3A%5B%22client%22%5D%7D");
        let drops = kept.iter().filter(|line| text(line, "/event") == "drop");
        let (told, seconds) = (drops.count() as u64, begun.elapsed().as_secs());
        assert!(told < 100 + 5 * seconds, "{told} in {seconds} s");
        assert!(lab.outside.reaches("10.99.0.1:8080"));
        seen(&lab, "another's connection", |line| {
            between(line, "begin", "", "web")
        });
        sh(&format!("kill {} 2>/dev/null", reader.trim()));
    }

    #[test]
    fn a_file_has_one_line_an_event_in_the_form_that_was_asked_for_and_is_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flows");
        let lab = lab(&format!(
            "--flow-log {} --flow-log-format cef --flow-log-max-size 4k --flow-log-max-files 2",
            file.display()
        ));
        let old = folder.path().join("flows.1");
        eventually("the file is full", || {
            assert!(lab.outside.reaches("10.99.0.1:8080"));
            old.exists()
        });
        let text = std::fs::read_to_string(&old).unwrap();
        assert!(
            text.lines().all(|line| line.starts_with("CEF:0|Hakone|")),
            "{text}"
        );
        assert!(text.contains("dhost=web"), "{text}");
        assert!(text.len() <= 4096);
    }

    #[test]
    fn what_is_off_costs_nothing_and_says_how_to_switch_it_on() {
        let lab = Lab::new();
        lab.docker("network create red").ok();
        let (status, body) = lab.api("GET", "/hakone/flows", "");
        assert_eq!(status, 503, "{body}");
        assert!(body.contains("--flow-log"), "{body}");
        let rules = lab.host.sh("nft list ruleset").ok();
        assert!(!rules.contains("log prefix") && rules.contains("table inet hakone"));
    }

    #[test]
    fn the_model_and_the_network_agree_on_who_reaches_whom() {
        let lab = lab("");
        lab.docker("network create --internal vault").ok();
        lab.server("secret", "--network vault");
        lab.docker("network connect vault client").ok();
        let (status, body) = lab.api("GET", "/hakone/reach?measure=1", "");
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["differences"], serde_json::json!([]), "{body}");
        assert!(answer["probes"].as_u64() > Some(20), "{body}");
        let places = answer["survey"]["places"].as_array().unwrap();
        let number = |name: &str| {
            places
                .iter()
                .position(|place| place["name"] == name)
                .unwrap()
        };
        let reach = |from: &str, to: &str| {
            let reaches = answer["survey"]["reaches"].as_array().unwrap();
            let mut found = reaches.iter().filter(|reach| {
                reach["from"] == number(from)
                    && reach["to"] == number(to)
                    && reach["family"] == "ipv4"
            });
            found.any(|reach| reach["ports"]["tcp"] == true)
        };
        assert!(reach("client", "web") && reach("client", "secret"));
        let shown = lab.hakone("reach --measure").ok();
        assert!(
            shown.contains("FROM \\ TO") && shown.contains("secret"),
            "{shown}"
        );
        assert!(lab.hakone("reach --format svg").ok().starts_with("<svg "));
        assert!(
            lab.hakone("reach --format dot")
                .ok()
                .contains("80/tcp published")
        );
        assert!(!reach("web", "db") && !reach("outside", "web") && !reach("web", "secret"));
    }

    #[test]
    fn what_policies_open_is_shown_and_tried_though_no_image_exposes_it() {
        let lab = lab("");
        lab.server(
            "judged",
            "--network red --label dev.hakone.ingress=client:8000-8010 --label dev.hakone.egress=10.0.0.0/8:443",
        );
        let shown = lab.hakone("reach --format list").ok();
        let line = |from: &str, to: &str| {
            let words = |line: &&str| line.split_whitespace().take(2).eq([from, to]);
            shown.lines().find(words).unwrap_or("").to_owned()
        };
        assert!(
            line("client", "judged").ends_with("8000-8010/tcp"),
            "{shown}"
        );
        assert_eq!(line("web", "judged"), "", "{shown}");
        assert!(
            line("judged", "outside").ends_with("443/tcp at 10.0.0.0/8"),
            "{shown}"
        );
        let (_, body) = lab.api("GET", "/hakone/reach?measure=1", "");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["differences"], serde_json::json!([]), "{body}");
    }

    #[test]
    fn the_self_test_proves_itself_and_leaves_nothing() {
        let lab = Lab::new();
        let (status, body) = lab.api("POST", "/hakone/attack", "");
        assert_eq!(status, 200, "{body}");
        let report: Value = serde_json::from_str(&body).unwrap();
        let trials = report["trials"].as_array().unwrap();
        let of = |role: &str, outcome: &str| {
            let all = trials.iter();
            all.filter(|trial| trial["role"] == role && trial["outcome"] == outcome)
                .map(|trial| text(trial, "/name").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("attack", "arrived"), Vec::<String>::new(), "{body}");
        assert_eq!(of("control", "blocked"), Vec::<String>::new(), "{body}");
        assert!(of("attack", "blocked").len() >= 50, "{body}");
        assert!(of("control", "arrived").len() >= 6, "{body}");
        assert_eq!(lab.docker("ps -aq").ok(), "");
        assert!(!lab.docker("network ls").ok().contains("attack"));
        // Without a way out, attacks that need one are not tried: that is no success.
        let partly = lab.hakone("attack");
        assert_eq!(partly.code, 3, "{}", partly.stdout);
        assert!(partly.stdout.contains("No proof: "), "{}", partly.stdout);
        lab.host.sh("ip route add default via 10.99.0.2").ok();
        let shown = lab.hakone("attack").ok();
        assert!(
            shown.contains("arp_spoof_gateway") && shown.contains(" 0 arrived"),
            "{shown}"
        );
    }

    #[test]
    fn the_self_test_finds_a_host_without_our_rules() {
        let lab = Lab::with(Engine::Hakone, "--iptables=false");
        let (status, body) = lab.api("POST", "/hakone/attack", "");
        assert_eq!(status, 200, "{body}");
        let report: Value = serde_json::from_str(&body).unwrap();
        let trials = report["trials"].as_array().unwrap();
        let arrived = trials
            .iter()
            .filter(|trial| trial["role"] == "attack" && trial["outcome"] == "arrived");
        assert!(arrived.count() > 10, "{body}");
        assert_eq!(lab.hakone("attack --format json").code, 1);
    }

    #[test]
    fn whoever_hangs_up_leaves_no_container_of_the_self_test() {
        let lab = Lab::new();
        let socket = lab.path("engine.sock").display().to_string();
        let ask =
            format!("timeout 0.7 curl -s --unix-socket {socket} -X POST http://e/hakone/attack");
        sh(&ask);
        eventually("everything is taken away", || {
            lab.docker("ps -aq").ok().is_empty()
                && !lab.docker("network ls").ok().contains("attack")
        });
        lab.docker(&format!("run --rm {IMAGE} true")).ok();
    }
}
