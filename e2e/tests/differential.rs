//! The same command lines on both engines: exit codes, messages and shapes of output must agree.

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::Mutex,
        time::{Duration, Instant},
    };

    use hakone_e2e::{Compare, Engine, IMAGE, Lab, Output, Script, Step, scripts, shape};

    /// Lines where we differ on purpose, and why; `docs/differences.md` tells users.
    const DIFFERENCES: &str = include_str!("../differences.txt");
    /// Pairs of engines that work on scripts at the same time; dockerd mostly waits.
    const PAIRS: usize = 3;
    /// How long the whole comparison may take.
    const PATIENCE: Duration = Duration::from_secs(300);

    #[test]
    fn every_command_line_answers_as_on_dockerd() {
        let mut all = scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")).unwrap();
        let lines: usize = all.iter().map(|script| script.steps.len()).sum();
        assert!(lines >= 120, "{lines} lines only");
        let only = std::env::var("HAKONE_CASE").unwrap_or_default();
        all.retain(|script| script.name.contains(&only));
        let compared: usize = all.iter().map(|script| script.steps.len()).sum();
        let begin = Instant::now();
        let failures = compare(all);
        assert!(
            failures.is_empty(),
            "{} of {compared} lines differ:\n{}",
            failures.len(),
            failures.join("\n")
        );
        let took = begin.elapsed();
        println!(
            "{compared} command lines agree, in {} seconds",
            took.as_secs()
        );
        assert!(took < PATIENCE, "took {took:?}");
    }

    /// Gives the scripts to several pairs of engines; a script's lines stay with one pair, in order.
    fn compare(all: Vec<Script>) -> Vec<String> {
        let pairs = PAIRS.min(all.len());
        let queue = Mutex::new(all);
        let failures = Mutex::new(Vec::new());
        let work = || {
            let (ours, theirs) = engines();
            while let Some(script) = next(&queue) {
                let found = differences(&run((&ours, &theirs), &script), &script);
                let found = look_again(found, &script);
                failures.lock().unwrap().extend(found);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..pairs {
                scope.spawn(work);
            }
        });
        failures.into_inner().unwrap()
    }

    /// Ours with Docker's capabilities, on which the answers of programs in containers depend.
    fn engines() -> (Lab, Lab) {
        let ours = Lab::with(Engine::Hakone, "--default-capabilities docker");
        (ours, Lab::with(Engine::Dockerd, ""))
    }

    fn next(queue: &Mutex<Vec<Script>>) -> Option<Script> {
        queue.lock().unwrap().pop()
    }

    /// What both engines answered to each line.
    type Answers = Vec<(Output, Output)>;

    /// A line on which the engines differ.
    struct Difference {
        step: usize,
        mine: String,
        told: String,
    }

    fn run((ours, theirs): (&Lab, &Lab), script: &Script) -> Answers {
        let steps = script.steps.iter();
        steps.map(|step| both(ours, theirs, step)).collect()
    }

    fn differences(answers: &Answers, script: &Script) -> Vec<Difference> {
        let steps = script.steps.iter().zip(answers).enumerate();
        let differing = steps.filter(|(_, (step, (mine, peer)))| {
            differs(step.compare, mine, peer) && !on_purpose(&step.line)
        });
        let tell_of = |(number, (step, (mine, peer))): (usize, (&Step, &(Output, Output)))| {
            let (mine, peer) = (tell(mine), tell(peer));
            let (name, line) = (&script.name, &step.line);
            Difference {
                step: number,
                told: format!("{name}: {line}\n  ours   {mine}\n  theirs {peer}"),
                mine,
            }
        };
        differing.map(tell_of).collect()
    }

    /// Runs a script that differs once more. A line is forgiven when we answer as before and dockerd, this time, as we do: its
    /// `start -a` loses output now and then, for one. Whatever changes on our side stays a failure.
    fn look_again(found: Vec<Difference>, script: &Script) -> Vec<String> {
        if found.is_empty() {
            return Vec::new();
        }
        let (ours, theirs) = engines();
        let again = run((&ours, &theirs), script);
        let differing = differences(&again, script);
        let stays = |first: &Difference| {
            let second = differing.iter().any(|second| second.step == first.step);
            second || tell(&again[first.step].0) != first.mine
        };
        let (stay, forgiven): (Vec<_>, Vec<_>) = found.into_iter().partition(stays);
        for difference in forgiven {
            println!("dockerd answered so once only: {}", difference.told);
        }
        stay.into_iter().map(|difference| difference.told).collect()
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
