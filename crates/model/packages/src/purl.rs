//! Package URLs: one line that names a package the same way everywhere.

use crate::inventory::{Package, System};

/// Names a package: `pkg:deb/debian/bash@5.2-1?arch=amd64&distro=debian-12`.
pub(crate) fn purl(package: &Package, system: &System) -> String {
    let vendor = system.id.as_deref().unwrap_or(match package.kind {
        "apk" => "alpine",
        _ => "debian",
    });
    let mut url = format!(
        "pkg:{}/{}/{}@{}",
        package.kind,
        escape(&vendor.to_lowercase()),
        escape(&package.name.to_lowercase()),
        escape(&package.version)
    );
    let distribution = system
        .version
        .as_ref()
        .map(|version| format!("{vendor}-{version}"));
    let pairs = [
        ("arch", package.architecture.as_ref()),
        ("distro", distribution.as_ref()),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    for (number, (key, value)) in pairs.enumerate() {
        url.push(if number == 0 { '?' } else { '&' });
        url.push_str(&format!("{key}={}", escape(value)));
    }
    url
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                escaped.push(byte.into());
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_one_name() {
        let package = Package {
            kind: "deb",
            name: "libstdc++6".into(),
            version: "1:12.2-14".into(),
            architecture: Some("amd64".into()),
            source: None,
            license: None,
            database: String::new(),
        };
        let system = System {
            id: Some("debian".into()),
            version: Some("12".into()),
            name: None,
        };
        assert_eq!(
            purl(&package, &system),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2-14?arch=amd64&distro=debian-12"
        );
    }
}
