//! The token service: signs what somebody may, and believes only what it signed itself.
//!
//! Ed25519 by default, ES256 with such a key. The algorithm is that of our key and never that of the token, so there is no
//! `none` and no confusion of a public key with a secret. What stands for a password has another audience than a token.

use std::path::Path;

use hakone_registry_api::{Audience, Claims, Grant, Rejected};
use hakone_store::{Durability, write_atomic};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};

use crate::{Error, service::identity};

/// Characters of a token that is looked at.
const LENGTH: usize = 16 * 1024;
/// Seconds that what stands for a password lasts.
const REFRESH: u64 = 90 * 24 * 3600;

/// Makes and checks tokens.
pub struct Signer {
    algorithm: Algorithm,
    private: EncodingKey,
    public: DecodingKey,
    issuer: String,
    service: String,
    life: u64,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the key, PKCS#8 in PEM; makes an Ed25519 one when there is none.
    ///
    /// # Errors
    /// When it is no key that we can sign with.
    pub fn load(path: &Path, (issuer, service): (&str, &str), life: u64) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Secret {
            path: path.to_owned(),
            reason,
        };
        if !path.exists() {
            make(path)?;
        }
        let key = PrivateKeyDer::from_pem_file(path).map_err(|error| refuse(error.to_string()))?;
        let PrivateKeyDer::Pkcs8(key) = key else {
            return Err(refuse("a PKCS#8 key is expected".to_owned()));
        };
        let der = key.secret_pkcs8_der();
        let random = SystemRandom::new();
        let (algorithm, private, public) =
            if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                let public = DecodingKey::from_ed_der(pair.public_key().as_ref());
                (Algorithm::EdDSA, EncodingKey::from_ed_der(der), public)
            } else if let Ok(pair) =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
            {
                let public = DecodingKey::from_ec_der(pair.public_key().as_ref());
                (Algorithm::ES256, EncodingKey::from_ec_der(der), public)
            } else {
                return Err(refuse("neither an Ed25519 nor a P-256 key".to_owned()));
            };
        Ok(Self {
            algorithm,
            private,
            public,
            issuer: issuer.to_owned(),
            service: service.to_owned(),
            life,
        })
    }

    /// Gives the name of the service that tokens are for.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Signs a token; gives its seconds too.
    pub(super) fn access(
        &self,
        user: &str,
        access: Vec<Grant>,
        now: u64,
    ) -> Result<(String, u64), Rejected> {
        let claims = self.claims(user, (self.service.clone(), self.life), now);
        Ok((self.sign(&Claims { access, ..claims })?, self.life))
    }

    /// Signs what stands for a password.
    pub(super) fn refresh(&self, user: &str, key: String, now: u64) -> Result<String, Rejected> {
        let claims = self.claims(user, (self.refresh_audience(), REFRESH), now);
        self.sign(&Claims {
            key: Some(key),
            ..claims
        })
    }

    pub(super) fn verify(&self, token: &str, now: u64) -> Result<Claims, Rejected> {
        self.judged(token, &self.service, now)
    }

    pub(super) fn verify_refresh(&self, token: &str, now: u64) -> Result<Claims, Rejected> {
        self.judged(token, &self.refresh_audience(), now)
    }

    fn refresh_audience(&self) -> String {
        format!("refresh:{}", self.service)
    }

    fn claims(&self, user: &str, (audience, life): (String, u64), now: u64) -> Claims {
        Claims {
            iss: self.issuer.clone(),
            sub: user.to_owned(),
            aud: Audience::One(audience),
            exp: now + life,
            nbf: now,
            iat: now,
            jti: identity(),
            access: Vec::new(),
            key: None,
        }
    }

    fn sign(&self, claims: &Claims) -> Result<String, Rejected> {
        let signed = jsonwebtoken::encode(&Header::new(self.algorithm), claims, &self.private);
        signed.ok().ok_or(Rejected::Signature)
    }

    /// Checks the signature with the library and everything else ourselves.
    fn judged(&self, token: &str, audience: &str, now: u64) -> Result<Claims, Rejected> {
        if token.len() > LENGTH {
            return Err(Rejected::Signature);
        }
        let mut signature = Validation::new(self.algorithm);
        signature.validate_exp = false;
        signature.validate_aud = false;
        signature.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.public, &signature);
        let claims = decoded.ok().ok_or(Rejected::Signature)?.claims;
        claims.judge(&self.issuer, audience, now)?;
        Ok(claims)
    }
}

/// Makes a key that only we may read.
fn make(path: &Path) -> Result<(), Error> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let made = made.ok().ok_or_else(|| Error::Secret {
        path: path.to_owned(),
        reason: "no randomness".to_owned(),
    })?;
    let text = data_encoding::BASE64.encode(made.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    write_atomic(path, pem.as_bytes(), Durability::Power).map_err(Error::disk("write", path))
}
