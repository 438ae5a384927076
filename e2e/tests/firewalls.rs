//! Published ports under the firewalls that administrators use: ufw and firewalld of a Debian (`scripts/firewalls`).

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        process::{Child, Command, Stdio},
    };

    use hakone_e2e::{Engine, Lab, Output, eventually};

    /// The published port that obeys, and one that does not.
    const OBEYS: &str = "10.99.0.1:8080";
    const BYPASSES: &str = "10.99.0.1:8081";
    const OUTSIDE: &str = "10.99.0.2";

    /// The Debian's root over the laboratory's own writable layer, in the host's network namespace.
    struct Debian<'a> {
        lab: &'a Lab,
        root: String,
        keeper: Child,
    }

    impl<'a> Debian<'a> {
        fn new(lab: &'a Lab) -> Self {
            let lower = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/firewalls");
            let lower = lower.canonicalize().expect("scripts/firewalls has made it");
            let place = lab.path("debian");
            std::fs::create_dir_all(&place).unwrap();
            let (lower, place) = (lower.display(), place.display());
            let script = format!(
                "mount --make-rprivate / && mount -t tmpfs none {place} && cd {place} && mkdir u w m &&
                mount -t overlay none -o lowerdir={lower},upperdir=u,workdir=w m &&
                mount -t proc none m/proc && mount --rbind /sys m/sys && mount --rbind /dev m/dev &&
                mkdir -p m/run/dbus m/run/lock && touch m/ready && exec sleep 3600"
            );
            #[expect(clippy::disallowed_methods, reason = "it stays until the test ends")]
            let spawn = || {
                let mut unshare = Command::new("unshare");
                unshare.args([
                    "--mount",
                    "--pid",
                    "--fork",
                    "--kill-child",
                    "sh",
                    "-c",
                    &script,
                ]);
                unshare
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap()
            };
            let debian = Self {
                lab,
                root: format!("{place}/m"),
                keeper: lab.host.on(spawn),
            };
            eventually("the Debian is there", || {
                debian.run("test -e /ready").code == 0
            });
            debian
        }

        /// Runs a command line in the Debian.
        fn run(&self, line: &str) -> Output {
            let (keeper, root) = (self.keeper.id(), &self.root);
            let enter = format!("nsenter --mount=/proc/{keeper}/ns/mnt chroot {root}");
            self.lab.host.sh(&format!("{enter} {line}"))
        }

        /// Starts a program in it that ends with it.
        fn start(&self, line: &str) {
            let (keeper, root) = (self.keeper.id(), &self.root);
            let enter = format!(
                "nsenter --mount=/proc/{keeper}/ns/mnt --pid=/proc/{keeper}/ns/pid_for_children"
            );
            let quiet = "</dev/null >/dev/null 2>&1 &";
            self.lab
                .host
                .sh(&format!("{enter} chroot {root} {line} {quiet}"))
                .ok();
        }
    }

    impl Drop for Debian<'_> {
        fn drop(&mut self) {
            self.keeper.kill().ok();
            self.keeper.wait().ok();
        }
    }

    /// A server behind each port.
    fn lab() -> Lab {
        let lab = Lab::with(Engine::Hakone, "--publish-firewall respect");
        lab.docker("network create -o dev.hakone.publish.firewall=bypass open")
            .ok();
        lab.server("obeys", "-p 8080:80");
        lab.server("bypasses", "--network open -p 8081:80");
        assert_eq!(
            lab.outside.seen(OBEYS).as_deref(),
            Some(OUTSIDE),
            "no firewall yet"
        );
        assert_eq!(lab.outside.seen(BYPASSES).as_deref(), Some(OUTSIDE));
        lab
    }

    /// Checks that the port opens and closes with a rule, and shows its clients all the while.
    fn follows(lab: &Lab, debian: &Debian<'_>, (open, close): (&str, &str)) {
        eventually("the port is closed", || lab.outside.is_kept_from(OBEYS));
        assert!(lab.host.reaches("127.0.0.1:8080"), "over loopback");
        debian.run(open).ok();
        eventually("the port is open", || {
            lab.outside.seen(OBEYS).as_deref() == Some(OUTSIDE)
        });
        debian.run(close).ok();
        eventually("the port is closed again", || {
            lab.outside.is_kept_from(OBEYS)
        });
        assert_eq!(
            lab.outside.seen(BYPASSES).as_deref(),
            Some(OUTSIDE),
            "as with Docker"
        );
    }

    #[test]
    fn ufw_decides_about_published_ports_that_obey() {
        let lab = lab();
        let debian = Debian::new(&lab);
        debian.run("ufw --force enable").ok();
        let rule = format!("allow from {OUTSIDE} to any port 8080 proto tcp");
        follows(
            &lab,
            &debian,
            (&format!("ufw {rule}"), &format!("ufw delete {rule}")),
        );
        debian
            .run("ufw allow from 10.99.0.77 to any port 8080 proto tcp")
            .ok();
        assert!(lab.outside.is_kept_from(OBEYS), "open for another source");
    }

    #[test]
    fn firewalld_decides_about_published_ports_that_obey() {
        let lab = lab();
        let debian = Debian::new(&lab);
        debian.start("dbus-daemon --system --nofork --nopidfile");
        eventually("the bus answers", || {
            debian.run("test -S /run/dbus/system_bus_socket").code == 0
        });
        debian.start("firewalld --nofork --nopid");
        eventually("firewalld runs", || {
            debian.run("firewall-cmd --state").code == 0
        });
        let rule = format!(
            "\"rule family=ipv4 source address={OUTSIDE} port port=8080 protocol=tcp accept\""
        );
        let verb = |verb: &str| format!("firewall-cmd --{verb}-rich-rule={rule}");
        follows(&lab, &debian, (&verb("add"), &verb("remove")));
        the_way_out_is_a_matter_of_zones(&lab, &debian);
    }

    /// As with any interface, firewalld forwards from a bridge what its zone lets: without one, nothing (the guide says so).
    fn the_way_out_is_a_matter_of_zones(lab: &Lab, debian: &Debian<'_>) {
        let ping = || lab.docker("exec obeys ping -c1 -W1 10.99.0.2").code == 0;
        assert!(!ping(), "the guide says that firewalld refuses it");
        let option = "com.docker.network.bridge.name";
        let bridge = format!("network inspect -f '{{{{index .Options \"{option}\"}}}}' bridge");
        let bridge = lab.docker(&bridge).ok();
        debian
            .run(&format!(
                "firewall-cmd --zone=trusted --change-interface={bridge}"
            ))
            .ok();
        eventually("the way out", ping);
        assert_eq!(lab.outside.seen(BYPASSES).as_deref(), Some(OUTSIDE));
        assert!(lab.outside.is_kept_from(OBEYS), "still closed");
    }
}
