//! `--sysctl`: kernel parameters that belong to a namespace of the container.
//!
//! Anything else would change the host, so it is refused, as is a parameter of a namespace that is not the container's own.

use std::collections::{BTreeMap, HashMap};

use crate::{Error, IpcMode, Namespaces, NetworkMode, UtsMode};

/// Parameters of the IPC namespace (ipc_namespaces(7)).
const IPC: [&str; 9] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
    "kernel.auto_msgmni",
];

pub(crate) fn parse(
    wanted: Option<&HashMap<String, String>>,
    namespaces: &Namespaces,
    network: &NetworkMode,
) -> Result<BTreeMap<String, String>, Error> {
    let mut parsed = BTreeMap::new();
    for (key, value) in wanted.into_iter().flatten() {
        // The kernel's files take slashes; runc accepts both and so do we.
        let key = key.trim().replace('/', ".");
        check(&key, namespaces, network)?;
        parsed.insert(key, value.trim().to_owned());
    }
    Ok(parsed)
}

fn check(key: &str, namespaces: &Namespaces, network: &NetworkMode) -> Result<(), Error> {
    let own_ipc = match namespaces.ipc {
        IpcMode::None | IpcMode::Private | IpcMode::Shareable => true,
        IpcMode::Container(_) | IpcMode::Host => false,
    };
    let plain = key
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    let sane = plain && !key.contains("..") && !key.ends_with('.');
    let allowed = match key {
        _ if !sane => false,
        "kernel.domainname" => namespaces.uts == UtsMode::Private,
        // The host name has an option of its own, which /etc/hostname follows.
        "kernel.hostname" => return Err(Error::SysctlHostname),
        _ if IPC.contains(&key) || key.starts_with("fs.mqueue.") => own_ipc,
        _ if key.starts_with("net.") => match network {
            NetworkMode::Host => return Err(Error::SysctlHostNetwork(key.to_owned())),
            NetworkMode::Bridge
            | NetworkMode::None
            | NetworkMode::Container(_)
            | NetworkMode::Named(_) => true,
        },
        _ => false,
    };
    match allowed {
        true => Ok(()),
        false => Err(Error::SysctlNamespace(key.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Defaults, namespace};
    use hakone_engine_api::wire::HostConfig;

    fn parsed(key: &str, ipc: &str, network: &NetworkMode) -> Result<(), String> {
        let host = HostConfig {
            ipc_mode: Some(ipc.into()),
            ..Default::default()
        };
        let namespaces = namespace::parse(&host, &Defaults::default()).unwrap();
        let wanted = HashMap::from([(key.to_owned(), "1".to_owned())]);
        parse(Some(&wanted), &namespaces, network)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_of_own_namespaces_pass() {
        assert!(parsed("net.ipv4.ip_forward", "", &NetworkMode::Bridge).is_ok());
        assert!(parsed("kernel.shmmax", "", &NetworkMode::Host).is_ok());
        assert!(parsed("fs/mqueue/msg_max", "", &NetworkMode::Bridge).is_ok());
    }

    #[test]
    fn parameters_of_the_host_are_refused() {
        let refusal = |key, ipc, network| parsed(key, ipc, &network).unwrap_err();
        assert_eq!(
            refusal("kernel.panic", "", NetworkMode::Bridge),
            r#"sysctl "kernel.panic" is not in a separate kernel namespace"#
        );
        assert_eq!(
            refusal("net.core.somaxconn", "", NetworkMode::Host),
            r#"sysctl "net.core.somaxconn" not allowed in host network namespace"#
        );
        assert!(parsed("kernel.shmmax", "host", &NetworkMode::Bridge).is_err());
        assert!(parsed("net../../kernel.panic", "", &NetworkMode::Bridge).is_err());
    }
}
