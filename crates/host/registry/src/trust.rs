//! Whom we believe to be a registry: the host's authorities, those in `certs.d`, or anybody where the administrator said so.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use hakone_registry_model::{Security, Url};
use hakone_tls::{Identity, Peers, certificates, client, host_authorities};
use rustls::{ClientConfig, pki_types::CertificateDer};

use crate::Error;

/// The certificates of this host.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Folders with one folder `HOST[:PORT]` each.
    folders: Vec<PathBuf>,
    /// Without anything from `certs.d`: verified and insecure.
    common: [OnceLock<Arc<ClientConfig>>; 2],
}

impl Trust {
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            common: [OnceLock::new(), OnceLock::new()],
        }
    }

    /// Gives the TLS settings for a host; `certs.d` is read anew each time, as Docker does.
    pub(crate) fn config(
        &self,
        target: &Url,
        security: Security,
    ) -> Result<Arc<ClientConfig>, Error> {
        let names = [
            target.authority(),
            format!("{}:{}", target.host(), target.port()),
        ];
        let places = self
            .folders
            .iter()
            .flat_map(|folder| names.iter().map(|name| folder.join(name)));
        if let Some(folder) = places.into_iter().find(|folder| folder.is_dir()) {
            let (authorities, identity) = read(&folder)?;
            return build(authorities, identity, security).map(Arc::new);
        }
        let [verified, insecure] = &self.common;
        let kept = match security {
            Security::Verified => verified,
            Security::Insecure => insecure,
        };
        if let Some(config) = kept.get() {
            return Ok(Arc::clone(config));
        }
        let built = Arc::new(build(Vec::new(), None, security)?);
        Ok(Arc::clone(kept.get_or_init(|| built)))
    }
}

fn build(
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    security: Security,
) -> Result<ClientConfig, Error> {
    let peers = match security {
        Security::Verified => {
            let mut store = host_authorities();
            store.add_parsable_certificates(authorities);
            Peers::Authorities(store)
        }
        Security::Insecure => Peers::Anybody,
    };
    client(peers, identity).map_err(|error| {
        Error::from(hakone_tls::Error::new(
            Path::new("client certificate"),
            error.to_string(),
        ))
    })
}

/// Reads `*.crt` as authorities, and `*.cert` with its `*.key` as ours.
fn read(folder: &Path) -> Result<(Vec<CertificateDer<'static>>, Option<Identity>), Error> {
    let entries =
        fs::read_dir(folder).map_err(|error| hakone_tls::Error::new(folder, error.to_string()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let (mut authorities, mut identity) = (Vec::new(), None);
    for path in &paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => authorities.extend(certificates(path)?),
            Some("cert") => {
                let key = path.with_extension("key");
                if !key.exists() {
                    let reason = "its key is missing; authorities have the extension .crt";
                    return Err(hakone_tls::Error::new(path, reason).into());
                }
                identity = Some(Identity::read(path, &key)?);
            }
            _ => {}
        }
    }
    Ok((authorities, identity))
}
