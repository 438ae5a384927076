//! Lends the image service to containers, and tells it which containers stand on images.

use hakone_base::{Digest, Fault};
use hakone_container::{BoxFuture, Images, Refusal, ResolvedImage};
use hakone_engine_api::wire::OciDescriptor;
use hakone_image::{Service, Usage, Users};

/// The image service as containers see it.
pub(crate) struct Joined(pub(crate) Service);

impl Images for Joined {
    fn resolve<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<ResolvedImage, Refusal>> {
        Box::pin(async move {
            let image = self.0.resolve(reference).map_err(boxed)?;
            Ok(ResolvedImage {
                id: image.id,
                config: image.config,
                layers: image.layers,
                size: image.size,
            })
        })
    }

    fn manifest(&self, image: &Digest) -> Option<OciDescriptor> {
        self.0.manifest(image)
    }

    fn descends(&self, image: &Digest, ancestor: &str) -> bool {
        self.0.descends(image, ancestor)
    }
}

/// The containers and the builder as the image service sees them.
pub(crate) struct Uses {
    pub(crate) containers: hakone_container::Service,
    pub(crate) build: hakone_build::Service,
}

impl Users for Uses {
    fn usages(&self) -> Vec<Usage> {
        let uses = self.containers.image_uses().into_iter();
        uses.map(|one| Usage {
            container: one.container,
            image: one.image,
            running: one.running,
        })
        .collect()
    }

    fn kept(&self) -> Vec<Digest> {
        self.build.images()
    }
}

fn boxed<F: Fault + Send + Sync + 'static>(fault: F) -> Refusal {
    Box::new(fault)
}
