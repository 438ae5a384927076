//! Log drivers and their options, as `docker logs` reads them back and as the files lie on disk.

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use hakone_e2e::{IMAGE, Lab, eventually};
    use serde_json::Value;

    /// Writes this many numbered lines of some length.
    fn count(lines: u32) -> String {
        format!("sh -c 'i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i of many; done'")
    }

    fn folder(lab: &Lab) -> PathBuf {
        let id = lab.docker("inspect -f '{{.Id}}' box").ok();
        lab.path("data/containers").join(id)
    }

    fn files(lab: &Lab) -> Vec<String> {
        let entries = fs::read_dir(folder(lab)).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let logs = names.filter_map(|name| Some(name.split_once("-json.log")?.1.to_owned()));
        let mut logs: Vec<_> = logs.collect();
        logs.sort();
        logs
    }

    fn run(lab: &Lab, options: &str, command: &str) {
        lab.docker(&format!("run -d --name box {options} {IMAGE} {command}"))
            .ok();
        lab.docker("wait box").ok();
    }

    #[test]
    fn rotated_files_are_compressed_and_read_back_whole() {
        let lab = Lab::new();
        let options = "--log-opt max-size=20k --log-opt max-file=4 --log-opt compress=true";
        run(&lab, options, &count(1000));
        eventually("all older files are compressed", || {
            files(&lab) == ["", ".1.gz", ".2.gz", ".3.gz"]
        });
        let all = lab.docker("logs box").ok();
        let lines: Vec<_> = all.lines().collect();
        assert_eq!(lines.last(), Some(&"line 1000 of many"));
        let first: u32 = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let expected: Vec<_> = (first..=1000)
            .map(|number| format!("line {number} of many"))
            .collect();
        assert_eq!(lines, expected, "no line is missing between the files");
        assert!(lines.len() > 400, "{} lines", lines.len());
        let tail = lab.docker("logs --tail 400 box").ok();
        assert_eq!(tail.lines().count(), 400);
        assert!(tail.starts_with("line 601 of many"), "{}", &tail[..40]);
    }

    #[test]
    fn the_driver_local_rotates_and_compresses_by_itself() {
        let lab = Lab::new();
        run(
            &lab,
            "--log-driver local --log-opt max-size=20k",
            &count(1500),
        );
        assert_eq!(
            lab.docker("inspect -f '{{.HostConfig.LogConfig.Type}} {{.LogPath}}' box")
                .ok(),
            "local"
        );
        eventually("five files are kept", || {
            files(&lab) == ["", ".1.gz", ".2.gz", ".3.gz", ".4.gz"]
        });
        let tail = lab.docker("logs --tail 2 box");
        assert_eq!(tail.ok(), "line 1499 of many\nline 1500 of many");
    }

    #[test]
    fn lines_carry_the_chosen_labels_variables_and_tag() {
        let lab = Lab::new();
        let options = "--label team=blue --label stage.one=x --label other=y -e ZONE=a -e MY_ID=7 -e REST=z \
                       --log-opt labels=team --log-opt labels-regex=^stage --log-opt env=ZONE --log-opt env-regex=_ID$ \
                       --log-opt tag='{{.Name}}/{{upper .ImageName}}/{{index .ContainerLabels \"team\"}}'";
        run(&lab, options, "echo said");
        let details = lab.docker("logs --details box").ok();
        let tag = format!("tag=box/{}/blue", IMAGE.to_uppercase());
        let expected = ["MY_ID=7", "ZONE=a", "stage.one=x", &tag, "team=blue"].join(",");
        assert_eq!(details, format!("{expected} said"));
        let id = lab.docker("inspect -f '{{.Id}}' box").ok();
        let line = fs::read_to_string(folder(&lab).join(format!("{id}-json.log"))).unwrap();
        let line: Value = serde_json::from_str(line.trim_end()).unwrap();
        assert_eq!(line["attrs"].as_object().unwrap().len(), 5);
    }

    #[test]
    fn options_that_mean_nothing_are_refused() {
        let lab = Lab::new();
        let refused = |options: &str| {
            let output = lab.docker(&format!("run --rm {options} {IMAGE} true"));
            assert_ne!(output.code, 0, "{options}");
            output.stderr
        };
        refused("--log-opt env-regex='('");
        refused("--log-opt compress=true");
        refused("--log-opt compress=perhaps");
        refused("--log-driver local --log-opt max-file=1");
        let told = refused("--log-opt tag='{{.Nosuch}}'");
        assert!(
            told.contains("failed to initialize logging driver"),
            "{told}"
        );
    }
}
