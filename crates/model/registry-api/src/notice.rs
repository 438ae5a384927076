//! What happened, in the format that webhooks of Docker's registry have.

use serde_json::{Value, json};

use crate::{ContentDigest, RepositoryName, Subject, Tag};

/// The media type of an envelope.
pub const ENVELOPE: &str = "application/vnd.docker.distribution.events.v1+json";
/// The words of what may happen.
pub const ACTIONS: [&str; 4] = ["pull", "push", "mount", "delete"];

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Somebody read it.
    Pull,
    /// Somebody stored it.
    Push,
    /// Somebody took it over from another repository.
    Mount(RepositoryName),
    /// Somebody removed it.
    Delete,
}

/// One thing that happened to one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own name.
    pub id: String,
    /// When, RFC 3339.
    pub at: String,
    /// What.
    pub happening: Happening,
    /// Where.
    pub repository: RepositoryName,
    /// To what; none when a tag alone was removed.
    pub digest: Option<ContentDigest>,
    /// What that is.
    pub media_type: String,
    /// Its bytes.
    pub size: u64,
    /// Under which tag.
    pub tag: Option<Tag>,
    /// By whom.
    pub subject: Subject,
    /// From which address.
    pub peer: String,
    /// By what program.
    pub agent: String,
    /// Under which name of ours.
    pub host: String,
    /// By which method.
    pub method: String,
}

impl Happening {
    /// Gives the word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Mount(_) => "mount",
            Self::Delete => "delete",
        }
    }
}

impl Event {
    /// Gives one event of an envelope.
    #[must_use]
    pub fn wire(&self, instance: &str) -> Value {
        let mut target = json!({"repository": self.repository.as_str()});
        let mut put = |key: &str, value: Value| {
            if let Some(target) = target.as_object_mut() {
                target.insert(key.to_owned(), value);
            }
        };
        if let Some(digest) = &self.digest {
            put("mediaType", json!(self.media_type));
            put("digest", json!(digest.as_str()));
            put("size", json!(self.size));
            put("length", json!(self.size));
        }
        if let Some(tag) = &self.tag {
            put("tag", json!(tag.as_str()));
        }
        if let Happening::Mount(from) = &self.happening {
            put("fromRepository", json!(from.as_str()));
        }
        let actor = self
            .subject
            .name()
            .map_or_else(|| json!({}), |name| json!({"name": name}));
        json!({
            "id": self.id,
            "timestamp": self.at,
            "action": self.happening.as_str(),
            "target": target,
            "request": {"id": self.id, "addr": self.peer, "host": self.host, "method": self.method, "useragent": self.agent},
            "actor": actor,
            "source": {"addr": self.host, "instanceID": instance},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_what_listeners_of_docker_s_registry_read() {
        let event = Event {
            id: "1".into(),
            at: "2026-01-01T00:00:00Z".into(),
            happening: Happening::Mount("b".parse().unwrap()),
            repository: "a".parse().unwrap(),
            digest: Some(ContentDigest::of(b"")),
            media_type: "m".into(),
            size: 3,
            tag: "v1".parse().ok(),
            subject: Subject::User("bob".into()),
            peer: "192.0.2.1".into(),
            agent: "docker".into(),
            host: "reg".into(),
            method: "POST".into(),
        };
        let wire = event.wire("here");
        assert_eq!(wire["action"], "mount");
        assert_eq!(wire["target"]["fromRepository"], "b");
        assert_eq!(wire["target"]["tag"], "v1");
        assert_eq!(wire["actor"]["name"], "bob");
        let removed = Event {
            digest: None,
            ..event
        };
        assert!(removed.wire("here")["target"].get("digest").is_none());
    }
}
