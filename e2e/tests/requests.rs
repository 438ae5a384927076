//! The same requests to both engines: status, words of refusals, keys and types of answers must agree; then the events of one story.
//!
//! A file of `requests/` is a script as in `cases/`: `$ METHOD PATH [BODY]` compares status and the shape of the answer (a refusal's
//! words), `~` the status alone, `?` nothing; `? sh LINE` prepares with a shell line. Spoken is 1.45, the newest of the peer.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use hakone_e2e::{Compare, Engine, IMAGE, Lab, Script, Step, eventually, scripts, shape};
    use serde_json::Value;

    /// Requests, and parts of answers, where we differ on purpose; each after its reason.
    const DIFFERENCES: &str = include_str!("../requests/differences.txt");

    fn folder(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    fn on_purpose(line: &str) -> bool {
        let entries = DIFFERENCES.lines().filter(|line| !line.starts_with('#'));
        entries.into_iter().any(|entry| entry == line)
    }

    /// An answer as it is compared: the status, and each place in the body with what stands there.
    type Told = (u16, BTreeMap<String, String>);

    fn ask(lab: &Lab, step: &Step) -> Told {
        if let Some(line) = step.line.strip_prefix("sh ") {
            lab.shell(&format!("IMAGE={IMAGE}; {line}"));
            return Told::default();
        }
        let mut words = step.line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (method, path, body) = (word(), word(), word());
        let path = match path.starts_with("/v1.") {
            true => path.to_owned(),
            false => format!("/v1.45{path}"),
        };
        let (status, answer) = lab.api(method, &path, body);
        if step.compare == Compare::Code {
            return (status, BTreeMap::new());
        }
        let mut places = BTreeMap::new();
        let values = serde_json::Deserializer::from_str(&answer).into_iter::<Value>();
        for value in values.take(50) {
            match value {
                Ok(value) => walk("", &value, status >= 400, &mut places),
                Err(_) => {
                    places.insert("text".into(), shape(&answer));
                    break;
                }
            }
        }
        (status, places)
    }

    /// Notes each place of a value: kinds alone, or the words of a refusal.
    fn walk(at: &str, value: &Value, words: bool, places: &mut BTreeMap<String, String>) {
        let kind = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(_) => "number".to_owned(),
            Value::String(text) if words => shape(text),
            Value::String(_) => "text".to_owned(),
            Value::Array(all) => {
                for one in all {
                    walk(&format!("{at}[]"), one, words, places);
                }
                "list".to_owned()
            }
            Value::Object(all) => {
                for (key, one) in all {
                    let key = shape(key);
                    walk(&format!("{at}.{key}"), one, words, places);
                }
                "object".to_owned()
            }
        };
        places.insert(at.to_owned(), kind);
    }

    fn differences(mine: &Told, peer: &Told, step: &Step) -> Vec<String> {
        let line = &step.line;
        if step.compare == Compare::Nothing || on_purpose(line) {
            return Vec::new();
        }
        if mine.0 != peer.0 {
            return vec![format!(
                "{line}\n  ours {} {:?}\n  theirs {} {:?}",
                mine.0, mine.1, peer.0, peer.1
            )];
        }
        let mut places: Vec<&String> = mine.1.keys().chain(peer.1.keys()).collect();
        places.sort_unstable();
        places.dedup();
        let told = |told: &Told, place: &str| told.1.get(place).cloned();
        let differing = places
            .into_iter()
            .filter(|place| told(mine, place) != told(peer, place));
        let open = differing.filter(|place| !on_purpose(place));
        open.map(|place| {
            let (mine, peer) = (told(mine, place), told(peer, place));
            format!("{line}\n  {place}: ours {mine:?}, theirs {peer:?}")
        })
        .collect()
    }

    #[test]
    fn every_request_is_answered_as_by_dockerd() {
        let mut all: Vec<Script> = scripts(&folder("requests/scripts")).unwrap();
        let only = std::env::var("HAKONE_CASE").unwrap_or_default();
        all.retain(|script| script.name.contains(&only));
        let (ours, theirs) = (Lab::new(), Lab::with(Engine::Dockerd, ""));
        let (mut found, mut count) = (Vec::new(), 0);
        for step in all.iter().flat_map(|script| &script.steps) {
            let (mine, peer) = std::thread::scope(|scope| {
                let mine = scope.spawn(|| ask(&ours, step));
                let peer = scope.spawn(|| ask(&theirs, step));
                (mine.join().unwrap(), peer.join().unwrap())
            });
            count += usize::from(step.compare != Compare::Nothing);
            found.extend(differences(&mine, &peer, step));
        }
        assert!(
            found.is_empty(),
            "{} of {count}:\n{}",
            found.len(),
            found.join("\n")
        );
        println!("{count} requests agree");
    }

    /// Gives the events of a story that was told, each as one line without what differs from run to run.
    fn events(lab: &Lab) -> Vec<String> {
        let now = lab.shell("sleep 1; date +%s").ok();
        let (_, text) = lab.api(
            "GET",
            &format!("/v1.45/events?since=1&until={}", now.trim()),
            "",
        );
        let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        values.map(|value| event(&value.unwrap())).collect()
    }

    fn event(value: &Value) -> String {
        let attributes = value["Actor"]["Attributes"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let attributes: BTreeMap<String, Value> = attributes.into_iter().collect();
        let actor = shape(value["Actor"]["ID"].as_str().unwrap_or_default());
        let old = ["status", "from"].map(|key| shape(value[key].as_str().unwrap_or("-")));
        let line = format!(
            "{} {} {actor} {old:?} {}",
            value["Type"].as_str().unwrap_or_default(),
            shape(value["Action"].as_str().unwrap_or_default()),
            serde_json::to_string(&attributes).unwrap()
        );
        let duration = regex::Regex::new(r#""execDuration":"\d+""#).unwrap();
        shape(&duration.replace(&line, ""))
    }

    #[test]
    fn a_story_has_the_events_that_dockerd_tells() {
        let story = std::fs::read_to_string(folder("requests/story.sh")).unwrap();
        let (ours, theirs) = (Lab::new(), Lab::with(Engine::Dockerd, ""));
        let line = format!("IMAGE={IMAGE}; {story}");
        std::thread::scope(|scope| {
            scope.spawn(|| ours.shell(&line));
            scope.spawn(|| theirs.shell(&line));
        });
        // Each daemon tells some events after it answered, and neighbouring ones of different objects in either order; dockerd
        // mounts a volume once more for each copy.
        let only = |these: &[String], those: &[String]| {
            let one = |line: &&String| !those.contains(line) && !on_purpose(line);
            let found: Vec<String> = these.iter().filter(one).cloned().collect();
            found.join("\n")
        };
        eventually("both tell the same", || {
            let (mine, peer) = (events(&ours), events(&theirs));
            let (ours, theirs) = (only(&mine, &peer), only(&peer, &mine));
            let same = mine.len() > 50 && ours.is_empty() && theirs.is_empty();
            if !same {
                println!(
                    "of {}, only ours:\n{ours}\nonly theirs:\n{theirs}",
                    mine.len()
                );
            }
            same
        });
    }
}
