//! Sends a document to an address that the administrator named: how a registry tells listeners what happened.

use bytes::Bytes;
use hakone_registry_model::{Errand, Security, Url};
use hyper::{Method, header::HeaderName};

use crate::{
    Client, Error,
    exchange::{Request, Terms},
};

impl Client {
    /// Posts bytes of a media type with more headers; gives the status. Certificates are checked, redirects not followed.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn post(
        &self,
        url: &Url,
        headers: &[(String, String)],
        (kind, bytes): (&str, Bytes),
    ) -> Result<u16, Error> {
        let mut request = Request::new(Method::POST, url.clone()).content(kind, bytes);
        for (name, value) in headers {
            if let Ok(name) = name.parse::<HeaderName>() {
                request = request.header(name, value);
            }
        }
        let terms = Terms {
            security: Security::Verified,
            errand: Errand::Named,
            guard: None,
            authorization: None,
        };
        let response = self.0.exchange(&request, None, terms).await?;
        Ok(response.status.as_u16())
    }
}
