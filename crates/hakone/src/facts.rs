//! Facts of the host that `info` and `version` tell, read once at start.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use hakone_http::About;
use hakone_store::{Durability, write_atomic};

use crate::resolve::Resolved;

/// Collects them; what cannot be read stays empty.
pub(crate) fn collect(resolved: &Resolved) -> About {
    let uname = rustix::system::uname();
    let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    About {
        id: installation_id(&resolved.data_root),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("HAKONE_COMMIT").unwrap_or_default().to_owned(),
        host_name: text(uname.nodename()),
        kernel: text(uname.release()),
        operating_system: field(&os_release, "PRETTY_NAME"),
        os_version: field(&os_release, "VERSION_ID"),
        architecture: architecture(),
        machine: text(uname.machine()),
        processors: available_parallelism().map_or(1, NonZero::get),
        memory: memory(),
        data_root: resolved.data_root.clone(),
        labels: resolved.labels.clone(),
        debug: resolved.log_level == "debug",
        live_restore: resolved.live_restore,
        cgroup_version: cgroup_version(),
        security: security(resolved),
        runtimes: runtimes(resolved),
        default_runtime: resolved.default_runtime.clone(),
        log_driver: resolved.log_driver.clone(),
        warnings: Vec::new(),
        registries: crate::registries::told(&resolved.registry.settings),
        proxies: crate::registries::proxies_told(&resolved.registry.settings.proxies),
    }
}

fn security(resolved: &Resolved) -> Vec<String> {
    let profile = resolved.seccomp_profile.as_deref().unwrap_or("builtin");
    let mut options = vec![format!("name=seccomp,profile={profile}")];
    if cgroup_version() == "2" {
        options.push("name=cgroupns".into());
    }
    if resolved.userns_remap.is_some() || resolved.network.hardened {
        options.push("name=userns".into());
    }
    if resolved.no_new_privileges {
        options.push("name=no-new-privileges".into());
    }
    options
}

/// The built-in runtime is a runtime too, for those who look.
fn runtimes(resolved: &Resolved) -> BTreeMap<String, PathBuf> {
    let mut all = resolved.runtimes.clone();
    all.insert("hakone".into(), PathBuf::from("hakone"));
    all
}

/// A stable id of this installation, made once.
fn installation_id(data_root: &Path) -> String {
    let path = data_root.join("engine-id");
    if let Ok(found) = fs::read_to_string(&path) {
        return found.trim().to_owned();
    }
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let id = id.trim().to_owned();
    if let Err(error) = write_atomic(&path, id.as_bytes(), Durability::Power) {
        tracing::warn!(%error, "could not keep the installation's id");
    }
    id
}

fn field(os_release: &str, key: &str) -> String {
    let value = os_release
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_default().trim_matches('"').to_owned()
}

fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[expect(
        clippy::useless_conversion,
        reason = "the width of these fields depends on the architecture"
    )]
    u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit))
}

const fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }
}

/// Pure v2 has `cgroup.controllers` at the root; a hybrid counts as v1, as for Docker.
fn cgroup_version() -> &'static str {
    match Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        true => "2",
        false => "1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_fields_lose_their_quotes() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n";
        assert_eq!(field(text, "PRETTY_NAME"), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(field(text, "VERSION_ID"), "12");
        assert_eq!(field(text, "NAME"), "");
    }
}
