//! Refusals in the words of the distribution specification: a code, a message, a detail.
//!
//! Which HTTP status a code has is the surface's business; clients look at the code first.

use serde_json::{Value, json};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload cannot go on like this.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// A chunk does not begin where the last one ended.
    RangeInvalid,
    /// A digest is none, or not that of the content.
    DigestInvalid,
    /// A manifest refers to a blob that is not there.
    ManifestBlobUnknown,
    /// The manifest is none.
    ManifestInvalid,
    /// The manifest is not in this repository.
    ManifestUnknown,
    /// The manifest is larger than anybody needs.
    ManifestTooLarge,
    /// The repository's name is none.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// The length is not the announced one.
    SizeInvalid,
    /// There is no room left for this repository.
    QuotaExceeded,
    /// A page of so many was not asked for by anybody sane.
    PageInvalid,
    /// Who are you?
    Unauthorized,
    /// You may not.
    Denied,
    /// Nobody may.
    Unsupported,
    /// Too fast.
    TooManyRequests,
    /// The registry that stands behind this one does not answer.
    Unavailable,
    /// There is no such address.
    NoRoute,
    /// The host failed us.
    Unknown,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong.
    pub code: Code,
    /// The same for people.
    pub message: String,
    /// What exactly.
    pub detail: Value,
}

impl Code {
    /// Gives the code as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid | Self::RangeInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid | Self::ManifestTooLarge => "SIZE_INVALID",
            Self::PageInvalid => "PAGINATION_NUMBER_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied | Self::QuotaExceeded => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unavailable => "UNAVAILABLE",
            Self::NoRoute => "NOT_FOUND",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Gives the specification's message.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::BlobUnknown | Self::ManifestBlobUnknown => "blob unknown to registry",
            Self::BlobUploadInvalid => "blob upload invalid",
            Self::BlobUploadUnknown => "blob upload unknown to registry",
            Self::RangeInvalid => "the chunk does not begin where the last one ended",
            Self::DigestInvalid => "provided digest did not match uploaded content",
            Self::ManifestInvalid => "manifest invalid",
            Self::ManifestUnknown => "manifest unknown",
            Self::ManifestTooLarge => "the manifest is larger than 4 MiB",
            Self::NameInvalid => "invalid repository name",
            Self::NameUnknown => "repository name not known to registry",
            Self::SizeInvalid => "provided length did not match content length",
            Self::QuotaExceeded => "quota exceeded",
            Self::PageInvalid => "invalid number of results requested",
            Self::Unauthorized => "authentication required",
            Self::Denied => "requested access to the resource is denied",
            Self::Unsupported => "the operation is unsupported",
            Self::TooManyRequests => "too many requests",
            Self::Unavailable => "the registry behind this one does not answer",
            Self::NoRoute => "page not found",
            Self::Unknown => "unknown error",
        }
    }
}

impl Refusal {
    /// Refuses in the usual words.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code,
            message: code.message().to_owned(),
            detail: Value::Null,
        }
    }

    /// Says why instead of the usual words.
    #[must_use]
    pub fn because(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Says what exactly.
    #[must_use]
    pub fn about(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// Gives the body of the answer.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut error = json!({"code": self.code.as_str(), "message": self.message});
        if let (Some(error), false) = (error.as_object_mut(), self.detail.is_null()) {
            error.insert("detail".to_owned(), self.detail.clone());
        }
        json!({"errors": [error]})
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_shape_that_clients_read() {
        let refusal = Refusal::new(Code::ManifestUnknown).about(json!({"Tag": "x"}));
        let wire = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}}]}"#;
        assert_eq!(refusal.body().to_string(), wire);
        let bare = Refusal::new(Code::Denied).because("no").body().to_string();
        assert_eq!(bare, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#);
    }
}
