//! Pulls from registries of our own, honest and hostile: next to each promise its attack.
#![expect(clippy::tests_outside_test_module, reason = "the whole file is tests")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::indexing_slicing, reason = "helpers of tests")]

mod honest;
mod hostile;
mod secrets;
mod server;
mod shared;

use std::{net::TcpStream, path::Path, time::Duration};

use hakone_events::Bus;
use hakone_registry::{Client, Credentials, Patience, Settings};
use serde_json::Value;

use hakone_image::{Error, Options, PullRequest, Service};
use server::{Image, Seen, Server};

/// An engine's images in a folder of their own.
struct Lab {
    service: Service,
    folder: tempfile::TempDir,
}

impl Lab {
    async fn new() -> Self {
        Self::with(Settings::default(), false).await
    }

    async fn with(settings: Settings, hardened: bool) -> Self {
        // However slow this machine is, only what never comes is given up.
        let patience = Patience {
            window: Duration::from_secs(60),
            least: 1,
            ..Patience::default()
        };
        Self::opened(settings, hardened, patience).await
    }

    /// One that asks once and soon loses patience.
    async fn hasty() -> Self {
        let settings = Settings {
            attempts: 1,
            ..Settings::default()
        };
        let patience = Patience {
            window: Duration::from_secs(1),
            least: 1024,
            ..Patience::default()
        };
        Self::opened(settings, false, patience).await
    }

    async fn opened(settings: Settings, hardened: bool, patience: Patience) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = open(folder.path(), settings, hardened, patience).await;
        Self { service, folder }
    }

    async fn pull(&self, name: &str) -> Result<Vec<Value>, Error> {
        self.pull_as(name, Credentials::None).await
    }

    async fn pull_as(&self, name: &str, credentials: Credentials) -> Result<Vec<Value>, Error> {
        let request = PullRequest {
            name: name.parse().unwrap(),
            platform: None,
            credentials,
        };
        self.service.pull(request).finish().await
    }

    /// Pulls what must be refused and checks that nothing of it stays.
    async fn refused(&self, name: &str) -> String {
        let before = self.contents();
        let error = self.pull(name).await.unwrap_err().to_string();
        // The staging folder goes when the last thread that writes to it has ended.
        for _ in 0..500 {
            if self.contents() == before {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.contents(), before, "left behind after {error:?}");
        error
    }

    /// Names everything in the store that has a name of its own.
    fn contents(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["blobs/sha256", "layers", "images", "image-staging"] {
            let entries = std::fs::read_dir(self.folder.path().join(folder)).unwrap();
            found.extend(
                entries
                    .flatten()
                    .map(|entry| entry.path().display().to_string()),
            );
        }
        found.sort();
        found
    }

    fn layer_file(&self, image: &str, file: &str) -> bool {
        let resolved = self.service.resolve(image).unwrap();
        resolved
            .layers
            .iter()
            .any(|layer| layer.join(file).exists())
    }
}

async fn open(root: &Path, settings: Settings, hardened: bool, patience: Patience) -> Service {
    let registry = Client::new(hakone_registry::Options {
        settings,
        patience: Patience {
            pause: Duration::from_millis(1),
            ..patience
        },
        ..hakone_registry::Options::default()
    });
    let options = Options {
        registry,
        hardened,
        ..Options::new(root)
    };
    Service::open(options, Bus::default()).await.unwrap()
}

/// Serves an image, with one answer of its own before the honest ones.
fn serve(
    image: &Image,
    lie: impl Fn(&Seen, &mut TcpStream) -> bool + Send + Sync + 'static,
) -> Server {
    let image = image.clone();
    Server::start(move |seen, stream| lie(seen, stream) || image.serve(seen, stream))
}

fn image() -> Image {
    Image::new("2026-01-01T00:00:00Z", &["one", "two"])
}

fn statuses(lines: &[Value]) -> Vec<String> {
    let text = |line: &Value| line["status"].as_str().unwrap_or_default().to_owned();
    lines.iter().map(text).collect()
}
