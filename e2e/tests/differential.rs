//! The same command lines on both engines: exit codes, messages and shapes of output must agree.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hakone_e2e::{Compare, Engine, IMAGE, Lab, Output, Step, scripts, shape};

    /// Lines where we differ on purpose, and why; `docs/differences.md` tells users.
    const DIFFERENCES: &str = include_str!("../differences.txt");

    #[test]
    fn every_command_line_answers_as_on_dockerd() {
        let all = scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")).unwrap();
        let lines: usize = all.iter().map(|script| script.steps.len()).sum();
        assert!(lines >= 120, "{lines} lines only");
        let only = std::env::var("HAKONE_CASE").unwrap_or_default();
        let (ours, theirs) = (Lab::new(), Lab::with(Engine::Dockerd, ""));
        let mut failures = Vec::new();
        for script in all.iter().filter(|script| script.name.contains(&only)) {
            for step in &script.steps {
                let (mine, peer) = both(&ours, &theirs, step);
                if differs(step.compare, &mine, &peer) && !on_purpose(&step.line) {
                    failures.push(format!(
                        "{}: {}\n  ours   {}\n  theirs {}",
                        script.name,
                        step.line,
                        tell(&mine),
                        tell(&peer)
                    ));
                }
            }
        }
        assert!(
            failures.is_empty(),
            "{} of {lines} lines differ:\n{}",
            failures.len(),
            failures.join("\n")
        );
        println!("{lines} command lines agree");
    }

    fn both(ours: &Lab, theirs: &Lab, step: &Step) -> (Output, Output) {
        let line = format!("IMAGE={IMAGE}; {}", step.line);
        std::thread::scope(|scope| {
            let mine = scope.spawn(|| ours.shell(&line));
            let peer = scope.spawn(|| theirs.shell(&line));
            (mine.join().unwrap(), peer.join().unwrap())
        })
    }

    fn differs(compare: Compare, mine: &Output, peer: &Output) -> bool {
        let code = mine.code != peer.code;
        let message = shape(&mine.stderr) != shape(&peer.stderr);
        match compare {
            Compare::All => code || message || shape(&mine.stdout) != shape(&peer.stdout),
            Compare::Message => code || message,
            Compare::Code => {
                code || mine.stdout.is_empty() != peer.stdout.is_empty()
                    || mine.stderr.is_empty() != peer.stderr.is_empty()
            }
            Compare::Nothing => false,
        }
    }

    fn on_purpose(line: &str) -> bool {
        DIFFERENCES
            .lines()
            .filter(|entry| !entry.starts_with('#'))
            .any(|entry| entry == line)
    }

    fn tell(output: &Output) -> String {
        format!(
            "{} {:?} {:?}",
            output.code,
            shape(&output.stdout),
            shape(&output.stderr)
        )
    }
}
