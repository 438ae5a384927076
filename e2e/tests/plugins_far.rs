//! Plugins behind TLS, found by files in Docker's folder: the right one is asked, an impostor hears nothing.

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        process::{Child, Command, Stdio},
    };

    use hakone_e2e::{Lab, Output, eventually};

    /// Where both engines look for files that name an address.
    const FOLDER: &str = "/etc/docker/plugins";

    /// A plugin on a laboratory's loopback that runs until it is dropped.
    struct Plugin {
        child: Child,
        folder: PathBuf,
    }

    impl Plugin {
        /// Serves a port with a certificate; `more` names whose certificates are asked for.
        fn start(lab: &Lab, port: u16, certificate: &str, more: &str) -> Self {
            let folder = lab.path(&format!("plugin-{port}"));
            std::fs::create_dir(&folder).unwrap();
            let stem = lab.path(certificate);
            let at = format!("tls:{port}:{}{more}", stem.display());
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plugin.py");
            #[expect(
                clippy::disallowed_methods,
                reason = "tests start programs as a shell would"
            )]
            let child = Command::new("nsenter")
                .arg(format!("--net=/run/netns/{}", lab.host.name()))
                .args(["python3", script, &at])
                .arg(&folder)
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let listens = format!("ss -Hltn sport = {port}");
            eventually("the plugin listens", || {
                lab.host.sh(&listens).stdout.contains(&port.to_string())
            });
            Self { child, folder }
        }

        fn log(&self) -> String {
            std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
        }
    }

    impl Drop for Plugin {
        fn drop(&mut self) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }

    /// A plugin's file, gone when it is dropped. Its name is the laboratory's own: the folder is the host's.
    struct File {
        name: String,
        path: PathBuf,
    }

    impl File {
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of a laboratory may be torn"
        )]
        fn new(kind: &str, text: &str) -> Self {
            std::fs::create_dir_all(FOLDER).unwrap();
            let name = format!("hakone-lab-{}", std::process::id());
            let path = PathBuf::from(format!("{FOLDER}/{name}.{kind}"));
            std::fs::write(&path, text).unwrap();
            Self { name, path }
        }

        /// Makes a volume with the plugin, and lets it go.
        fn volume(&self, lab: &Lab) -> Output {
            let made = lab.docker(&format!("volume create -d {} far", self.name));
            if made.code == 0 {
                lab.docker("volume rm far").ok();
            }
            made
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            std::fs::remove_file(&self.path).ok();
        }
    }

    fn certificate(lab: &Lab, name: &str) {
        lab.shell(&format!(
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {name}.key -out {name}.pem -subj /CN=localhost \
             -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost 2>/dev/null"
        ))
        .ok();
    }

    fn json(port: u16, tls: &str) -> String {
        format!(r#"{{"Name":"far","Addr":"https://localhost:{port}","TLSConfig":{{{tls}}}}}"#)
    }

    #[test]
    fn a_plugin_behind_tls_is_the_one_that_was_meant_or_hears_nothing() {
        let lab = Lab::new();
        for name in ["right", "wrong", "ours"] {
            certificate(&lab, name);
        }
        let at = lab.path("").display().to_string();
        let right = Plugin::start(&lab, 7443, "right", "");
        let wrong = Plugin::start(&lab, 7444, "wrong", "");
        let authority = format!(r#""CAFile":"{at}right.pem""#);
        File::new("json", &json(7443, &authority)).volume(&lab).ok();
        assert!(
            right.log().contains("VolumeDriver.Create"),
            "{}",
            right.log()
        );
        let impostor = File::new("json", &json(7444, &authority)).volume(&lab);
        assert!(
            impostor.stderr.contains("invalid peer certificate"),
            "{impostor:?}"
        );
        // Without a file of authorities the host's count, and nobody of them vouches for this one.
        for stranger in [
            File::new("json", &json(7443, "")),
            File::new("spec", "https://localhost:7443"),
        ] {
            let refused = stranger.volume(&lab);
            assert!(
                refused.stderr.contains("invalid peer certificate"),
                "{refused:?}"
            );
        }
        assert_eq!(wrong.log(), "", "not one question was asked");
        let word = r#""InsecureSkipVerify":true"#;
        File::new("json", &json(7444, word)).volume(&lab).ok();
        assert!(
            wrong.log().contains("VolumeDriver.Create"),
            "{}",
            wrong.log()
        );
        assert!(lab.log().contains("InsecureSkipVerify"), "{}", lab.log());
        identities(&lab, &at);
    }

    /// A plugin that asks who we are.
    fn identities(lab: &Lab, at: &str) {
        let strict = Plugin::start(lab, 7445, "right", &format!(":{at}ours.pem"));
        let authority = format!(r#""CAFile":"{at}right.pem""#);
        let nobody = File::new("json", &json(7445, &authority)).volume(lab);
        assert_ne!(nobody.code, 0);
        assert_eq!(strict.log(), "");
        let ours = format!(r#"{authority},"CertFile":"{at}ours.pem","KeyFile":"{at}ours.key""#);
        File::new("json", &json(7445, &ours)).volume(lab).ok();
        assert!(strict.log().contains("VolumeDriver.Create"));
        let keyless = format!(r#"{authority},"CertFile":"{at}ours.pem","KeyFile":"{at}nosuch""#);
        let told = File::new("json", &json(7445, &keyless)).volume(lab);
        assert!(told.stderr.contains("nosuch"), "{told:?}");
    }

    #[test]
    fn nothing_leaves_the_host_in_the_clear() {
        let lab = Lab::new();
        for (kind, text) in [
            ("spec", "tcp://10.99.0.2:7446"),
            ("json", r#"{"Addr":"http://10.99.0.2:7446"}"#),
        ] {
            let refused = File::new(kind, text).volume(&lab);
            assert!(refused.stderr.contains("in the clear"), "{refused:?}");
        }
    }
}
