//! Volumes that a plugin has and nobody made here, and a plugin that answers nonsense.

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        os::unix::net::{UnixListener, UnixStream},
        path::Path,
        sync::{Arc, Mutex},
        thread,
    };

    use hakone_base::ContainerId;
    use hakone_engine_api::Filters;
    use hakone_events::Bus;
    use hakone_plugin::Folders;
    use hakone_volume::{Error, Service, VolumeSpec};

    type Log = Arc<Mutex<Vec<String>>>;

    /// A plugin that answers each question by a function, and notes it. It ends with the test's process.
    fn plugin(folder: &Path, name: &str, answer: fn(&str, &str) -> String) -> Log {
        let listener = UnixListener::bind(folder.join(format!("{name}.sock"))).unwrap();
        let log = Log::default();
        let told = Arc::clone(&log);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), answer, &log);
            }
        });
        told
    }

    fn serve(mut stream: UnixStream, answer: fn(&str, &str) -> String, log: &Log) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        let method = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let method = method.trim_start_matches('/').to_owned();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let lower = line.to_ascii_lowercase();
            if let Some(number) = lower.strip_prefix("content-length:") {
                length = number.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = String::from_utf8(body).unwrap();
        let text = match method.as_str() {
            "Plugin.Activate" => r#"{"Implements":["VolumeDriver"]}"#.to_owned(),
            _ => {
                log.lock().unwrap().push(method.clone());
                answer(&method, &body)
            }
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all(format!("{head}{text}").as_bytes()).ok();
    }

    fn shelf(method: &str, body: &str) -> String {
        let known = body.contains("\"books\"");
        match method {
            "VolumeDriver.List" => r#"{"Volumes":[{"Name":"books","Mountpoint":"/mnt/books"}]}"#,
            "VolumeDriver.Get" if known => {
                r#"{"Volume":{"Name":"books","Mountpoint":"","Status":{"tier":"cold"}}}"#
            }
            "VolumeDriver.Path" if known => r#"{"Mountpoint":"/mnt/books"}"#,
            "VolumeDriver.Capabilities" => r#"{"Capabilities":{"Scope":"global"}}"#,
            "VolumeDriver.Remove" if known => "{}",
            _ => r#"{"Err":"no such volume"}"#,
        }
        .to_owned()
    }

    /// Says what no plugin should.
    fn odd(method: &str, _body: &str) -> String {
        match method {
            "VolumeDriver.List" => {
                r#"{"Volumes":[{"Name":"../etc"},{"Name":"books"},{"Name":"own"},{"Name":""},{"Name":"root","Mountpoint":"/etc"},{"Name":"root"}]}"#
            }
            "VolumeDriver.Get" => r#"{"Volume":{"Name":"another"}}"#,
            _ => "nonsense",
        }
        .to_owned()
    }

    fn service(folder: &Path) -> Service {
        let service = Service::open(folder.join("data/volumes"), Bus::default()).unwrap();
        service.join_plugins(Folders {
            sockets: folder.to_owned(),
            files: Vec::new(),
        });
        service
    }

    fn named(name: &str) -> VolumeSpec {
        VolumeSpec {
            name: Some(name.to_owned()),
            ..VolumeSpec::default()
        }
    }

    #[tokio::test]
    async fn volumes_that_a_plugin_has_are_listed_shown_and_used_without_being_made() {
        let folder = tempfile::tempdir().unwrap();
        let log = plugin(folder.path(), "shelf", shelf);
        let volumes = service(folder.path());
        let (all, warnings) = volumes.list_all(&Filters::default()).await.unwrap();
        let told: Vec<_> = all.iter().map(|one| (&*one.name, &*one.driver)).collect();
        assert_eq!((told, warnings.len()), (vec![("books", "shelf")], 0));
        let shown = volumes.find("books").await.unwrap();
        assert_eq!(shown.mountpoint, "/mnt/books");
        let told = volumes.told("books").await.unwrap();
        assert_eq!(told.status.get("tier").unwrap(), "cold");
        assert!(matches!(
            volumes.find("none").await,
            Err(Error::NotFound(_))
        ));
        let container = ContainerId::from_bytes([1; 32]);
        let used = volumes.claim(named("books"), &container).await.unwrap();
        assert_eq!(used.driver, "shelf");
        let dangling = Filters::parse(r#"{"dangling":["true"]}"#, &["dangling"]).unwrap();
        let (unused, _) = volumes.list_all(&dangling).await.unwrap();
        assert!(unused.is_empty(), "{unused:?}");
        volumes.disclaim("books", &container, false).await;
        volumes.remove("books", false).await.unwrap();
        let log = log.lock().unwrap();
        let asked = |verb: &str| log.iter().filter(|one| one.ends_with(verb)).count();
        assert_eq!((asked(".Create"), asked(".Remove")), (0, 1), "{log:?}");
    }

    #[tokio::test]
    async fn a_volume_that_is_to_be_made_here_is_made_here() {
        let folder = tempfile::tempdir().unwrap();
        let _log = plugin(folder.path(), "shelf", shelf);
        let volumes = service(folder.path());
        for spec in [
            VolumeSpec {
                driver: "local".into(),
                ..named("books")
            },
            named("fresh"),
        ] {
            assert_eq!(volumes.create(spec).await.unwrap().driver, "local");
        }
        let (all, _) = volumes.list_all(&Filters::default()).await.unwrap();
        assert!(all.iter().all(|one| one.driver == "local") && all.len() == 2);
    }

    #[tokio::test]
    async fn a_plugin_that_talks_nonsense_shows_nothing_odd_and_hides_nobodys_volumes() {
        let folder = tempfile::tempdir().unwrap();
        let _odd = plugin(folder.path(), "odd", odd);
        let _shelf = plugin(folder.path(), "shelf", shelf);
        let volumes = service(folder.path());
        volumes.create(named("own")).await.unwrap();
        let (all, warnings) = volumes.list_all(&Filters::default()).await.unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|one| (&*one.name, &*one.driver, one.mountpoint.ends_with("/etc")))
            .collect();
        let wanted = [
            ("books", "odd", false),
            ("own", "local", false),
            ("root", "odd", false),
        ];
        assert_eq!(told, wanted);
        assert_eq!(warnings, ["list odd: 3 volumes are left out"]);
        // What it says of a name that it was not asked for is nothing.
        assert_eq!(volumes.find("books").await.unwrap().driver, "shelf");
        assert!(volumes.find("else").await.is_err());
    }
}
