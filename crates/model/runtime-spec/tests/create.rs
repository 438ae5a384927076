//! From what clients send to what the runtime gets: whole requests, whole documents.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use hakone_base::ContainerId;
    use hakone_engine_api::wire::{ContainerConfig, ContainerCreateBody, HostConfig};
    use hakone_runtime_spec::{
        CgroupVersion, EtcFiles, HostFacts, IdMapping, Joined, Netns, Resolved, ResolvedMount,
        ResolvedSource, Shm, runtime_spec,
    };
    use hakone_spec::{
        ContainerSpec, Create, Defaults, ImageConfig, NetworkMode, Propagation, ReadOnly,
    };
    use serde_json::{Value, json};

    /// What docker CLI 28 sends for `docker create busybox true`, every field with its zero value.
    const CLI: &str = r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":true,"AttachStderr":true,"Tty":false,
        "OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":["true"],"Image":"busybox","Volumes":{},"WorkingDir":"","Entrypoint":null,
        "OnBuild":null,"Labels":{},"HostConfig":{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},
        "NetworkMode":"default","PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":false,
        "VolumeDriver":"","VolumesFrom":null,"ConsoleSize":[0,0],"CapAdd":null,"CapDrop":null,"CgroupnsMode":"","Dns":[],
        "DnsOptions":[],"DnsSearch":[],"ExtraHosts":null,"GroupAdd":null,"IpcMode":"","Cgroup":"","Links":null,"OomScoreAdj":0,
        "PidMode":"","Privileged":false,"PublishAllPorts":false,"ReadonlyRootfs":false,"SecurityOpt":null,"UTSMode":"",
        "UsernsMode":"","ShmSize":0,"Isolation":"","CpuShares":0,"Memory":0,"NanoCpus":0,"CgroupParent":"","BlkioWeight":0,
        "BlkioWeightDevice":[],"BlkioDeviceReadBps":[],"BlkioDeviceWriteBps":[],"BlkioDeviceReadIOps":[],
        "BlkioDeviceWriteIOps":[],"CpuPeriod":0,"CpuQuota":0,"CpuRealtimePeriod":0,"CpuRealtimeRuntime":0,"CpusetCpus":"",
        "CpusetMems":"","Devices":[],"DeviceCgroupRules":null,"DeviceRequests":null,"MemoryReservation":0,"MemorySwap":0,
        "MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"CpuCount":0,"CpuPercent":0,
        "IOMaximumIOps":0,"IOMaximumBandwidth":0,"MaskedPaths":null,"ReadonlyPaths":null}}"#;

    fn body(patch: &Value) -> (ContainerConfig, HostConfig) {
        let mut whole: Value = serde_json::from_str(CLI).unwrap();
        for (key, value) in patch.as_object().unwrap() {
            match value.as_object().filter(|_| key == "HostConfig") {
                Some(host) => host
                    .iter()
                    .for_each(|(key, value)| whole["HostConfig"][key] = value.clone()),
                None => whole[key] = value.clone(),
            }
        }
        let body: ContainerCreateBody = serde_json::from_value(whole.clone()).unwrap();
        (
            serde_json::from_value(whole).unwrap(),
            body.host_config.unwrap(),
        )
    }

    fn parsed(patch: &Value) -> Result<ContainerSpec, String> {
        let (config, host) = body(patch);
        let create = Create {
            config: &config,
            host: &host,
            image: &ImageConfig::default(),
        };
        let defaults = Defaults {
            cpus: 2,
            ..Defaults::default()
        };
        ContainerSpec::parse(&create, &defaults)
            .map(|(spec, _)| spec)
            .map_err(|error| error.to_string())
    }

    fn resolved() -> Resolved {
        Resolved {
            id: ContainerId::from_bytes([7; 32]),
            hostname: "070707070707".into(),
            rootfs: PathBuf::from("/run/rootfs"),
            mounts: vec![],
            files: Some(EtcFiles {
                resolv_conf: "/c/resolv.conf".into(),
                hostname: "/c/hostname".into(),
                hosts: "/c/hosts".into(),
            }),
            network: Netns::New,
            joined: Joined::default(),
            shm: Shm::Own,
            mappings: None,
            cgroup: "/hakone/07".into(),
            devices: vec![],
            block_devices: BTreeMap::new(),
            env: vec![],
            host: HostFacts {
                lacks: Vec::new(),
                cgroup: CgroupVersion::V2,
                last_capability: 40,
                recursive_read_only: true,
                masked_paths: vec![],
                host_gateway: None,
            },
        }
    }

    fn document(patch: &Value, resolved: &Resolved) -> Value {
        serde_json::to_value(runtime_spec(&parsed(patch).unwrap(), resolved)).unwrap()
    }

    fn mount<'a>(document: &'a Value, place: &str) -> &'a Value {
        let mounts = document["mounts"].as_array().unwrap();
        mounts
            .iter()
            .find(|mount| mount["destination"] == place)
            .unwrap()
    }

    #[test]
    fn the_clis_zero_values_mean_nothing() {
        let spec = parsed(&json!({})).unwrap();
        assert_eq!(spec.network, NetworkMode::Bridge);
        assert_eq!(spec.resources, hakone_spec::Resources::default());
        assert!(spec.mounts.is_empty() && spec.limits.is_empty() && spec.sysctls.is_empty());
        assert_eq!(spec.shm_size, 64 << 20);
    }

    #[test]
    fn refusals_reach_the_user_in_dockers_words() {
        let cases = [
            (json!({"Cmd": []}), "no command specified"),
            (
                json!({"HostConfig": {"Memory": 1000}}),
                "Minimum memory limit allowed is 6MB",
            ),
            (
                json!({"HostConfig": {"AutoRemove": true, "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}}),
                "can't create 'AutoRemove' container with restart policy",
            ),
            (
                json!({"HostConfig": {"Runtime": "kata"}}),
                "unknown or invalid runtime name: kata",
            ),
            (
                json!({"HostConfig": {"OomScoreAdj": 2000}}),
                "Invalid value 2000, range for oom score adj is [-1000, 1000]",
            ),
            (
                json!({"HostConfig": {"CapAdd": ["X"]}}),
                r#"invalid CapAdd: unknown capability: "CAP_X""#,
            ),
            (
                json!({"HostConfig": {"IpcMode": "bogus"}}),
                "invalid IPC mode: bogus",
            ),
            (json!({"StopSignal": "NOPE"}), "invalid signal: NOPE"),
            (
                json!({"Domainname": "a\nb"}),
                "invalid hostname format: a\nb",
            ),
            (
                json!({"HostConfig": {"Links": ["db:evil\n192.0.2.1 bank"]}}),
                "bad format for links: db:evil\n192.0.2.1 bank",
            ),
            (
                json!({"Hostname": "a", "HostConfig": {"UTSMode": "host"}}),
                "conflicting options: hostname and the UTS mode",
            ),
            (
                json!({"HostConfig": {"CgroupParent": "../x"}}),
                r#"invalid cgroup parent: "../x""#,
            ),
        ];
        for (patch, expected) in cases {
            assert_eq!(parsed(&patch).unwrap_err(), expected, "{patch}");
        }
    }

    #[test]
    fn ports_of_a_shared_host_network_are_a_warning() {
        let (config, host) = body(&json!({
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {"NetworkMode": "host", "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}},
        }));
        let create = Create {
            config: &config,
            host: &host,
            image: &ImageConfig::default(),
        };
        let (_, warnings) = ContainerSpec::parse(&create, &Defaults::default()).unwrap();
        assert_eq!(
            warnings,
            ["Published ports are discarded when using host network mode"]
        );
    }

    #[test]
    fn a_plain_container_gets_dockers_document() {
        let document = document(&json!({}), &resolved());
        assert_eq!(document["process"]["args"], json!(["true"]));
        assert_eq!(
            document["process"]["env"],
            json!([
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOSTNAME=070707070707"
            ])
        );
        assert_eq!(
            document["process"]["capabilities"]["bounding"]
                .as_array()
                .unwrap()
                .len(),
            10
        );
        assert_eq!(
            document["process"]["capabilities"]["inheritable"],
            json!([])
        );
        assert_eq!(document["process"]["capabilities"]["ambient"], json!([]));
        assert_eq!(
            document["root"],
            json!({"path": "/run/rootfs", "readonly": false})
        );
        assert_eq!(
            document["linux"]["sysctl"],
            json!({"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"})
        );
        let kinds: Vec<_> = document["linux"]["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["mount", "network", "uts", "pid", "ipc", "cgroup"]);
        assert!(
            document["linux"]["maskedPaths"]
                .as_array()
                .unwrap()
                .contains(&json!("/proc/kcore"))
        );
        assert_eq!(
            document["linux"]["resources"]["devices"][0],
            json!({"allow": false, "access": "rwm"})
        );
        assert_eq!(document["linux"].get("seccomp"), None);
    }

    #[test]
    fn a_plain_container_gets_dockers_mounts() {
        let document = document(&json!({}), &resolved());
        let places: Vec<_> = document["mounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["destination"].as_str().unwrap())
            .collect();
        assert_eq!(
            places,
            [
                "/proc",
                "/dev",
                "/dev/pts",
                "/dev/mqueue",
                "/sys",
                "/sys/fs/cgroup",
                "/dev/shm",
                "/etc/resolv.conf",
                "/etc/hostname",
                "/etc/hosts",
            ]
        );
        assert_eq!(mount(&document, "/dev/shm")["options"][4], "size=67108864");
        assert_eq!(mount(&document, "/sys")["options"][3], "ro");
    }

    #[test]
    fn a_privileged_container_sees_and_may_all() {
        let document = document(&json!({"HostConfig": {"Privileged": true}}), &resolved());
        assert_eq!(
            document["process"]["capabilities"]["effective"]
                .as_array()
                .unwrap()
                .len(),
            41
        );
        assert_eq!(document["linux"]["maskedPaths"], json!([]));
        assert_eq!(document["linux"]["readonlyPaths"], json!([]));
        assert_eq!(mount(&document, "/sys")["options"][3], "rw");
        assert_eq!(mount(&document, "/sys/fs/cgroup")["options"][3], "rw");
        assert_eq!(
            document["linux"]["resources"]["devices"],
            json!([{"allow": true, "access": "rwm"}])
        );
    }

    #[test]
    fn a_kernel_without_new_capabilities_is_not_asked_for_them() {
        let mut old = resolved();
        old.host.last_capability = 37;
        let document = document(&json!({"HostConfig": {"Privileged": true}}), &old);
        assert_eq!(
            document["process"]["capabilities"]["effective"]
                .as_array()
                .unwrap()
                .len(),
            38
        );
    }

    #[test]
    fn limits_reach_the_cgroup() {
        let document = document(
            &json!({"HostConfig": {"Memory": 67_108_864, "NanoCpus": 1_500_000_000, "PidsLimit": 50, "MemorySwappiness": 10, "CpuShares": 512}}),
            &resolved(),
        );
        let resources = &document["linux"]["resources"];
        assert_eq!(
            resources["memory"],
            json!({"limit": 67_108_864, "swap": 134_217_728})
        );
        assert_eq!(
            resources["cpu"],
            json!({"shares": 512, "quota": 150_000, "period": 100_000})
        );
        assert_eq!(resources["pids"], json!({"limit": 50}));
    }

    #[test]
    fn mounts_of_the_user_follow_the_kernels_and_take_their_place() {
        let path = |path: &str, propagation| ResolvedSource::Path {
            path: path.into(),
            propagation,
            recursive: true,
            plain: false,
            devices: true,
        };
        let mut with = resolved();
        with.mounts = vec![
            ResolvedMount {
                target: "/dev/shm".into(),
                source: path("/v/shm", Propagation::RPrivate),
                read_only: ReadOnly::No,
            },
            ResolvedMount {
                target: "/data".into(),
                source: path("/v/data", Propagation::RShared),
                read_only: ReadOnly::Recursive,
            },
            ResolvedMount {
                target: "/etc/hosts".into(),
                source: path("/my/hosts", Propagation::RPrivate),
                read_only: ReadOnly::Top,
            },
        ];
        let document = document(&json!({}), &with);
        assert_eq!(mount(&document, "/dev/shm")["source"], "/v/shm");
        assert_eq!(
            mount(&document, "/data")["options"],
            json!(["rbind", "ro", "rro", "rshared"])
        );
        assert_eq!(
            mount(&document, "/etc/hosts")["options"],
            json!(["rbind", "ro", "rprivate"])
        );
        assert_eq!(
            document["mounts"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|m| m["destination"] == "/etc/hosts")
                .count(),
            1
        );
        assert_eq!(document["linux"]["rootfsPropagation"], "rshared");
    }

    #[test]
    fn a_user_namespace_has_its_maps_and_no_ping_for_all() {
        let mut mapped = resolved();
        let map = vec![IdMapping {
            container: 0,
            host: 100_000,
            size: 65_536,
        }];
        mapped.mappings = Some((map.clone(), map));
        let document = document(&json!({}), &mapped);
        assert_eq!(
            document["linux"]["uidMappings"],
            json!([{"hostID": 100_000, "containerID": 0, "size": 65_536}])
        );
        assert_eq!(
            document["linux"]["sysctl"].get("net.ipv4.ping_group_range"),
            None
        );
        assert!(
            document["linux"]["namespaces"]
                .as_array()
                .unwrap()
                .contains(&json!({"type": "user"}))
        );
    }

    #[test]
    fn the_hosts_namespaces_are_left_out() {
        let mut host = resolved();
        host.network = Netns::Host;
        let document = document(
            &json!({"HostConfig": {"NetworkMode": "host", "PidMode": "host", "UTSMode": "host"}}),
            &host,
        );
        let kinds: Vec<_> = document["linux"]["namespaces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["mount", "ipc", "cgroup"]);
        assert_eq!(document.get("hostname"), None);
        assert_eq!(document["linux"]["sysctl"], json!({}));
    }

    #[test]
    fn an_init_process_is_asked_for_by_annotation() {
        let document = document(&json!({"HostConfig": {"Init": true}}), &resolved());
        assert_eq!(document["annotations"], json!({"dev.hakone.init": "true"}));
    }
}
