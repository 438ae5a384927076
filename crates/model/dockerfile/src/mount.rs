//! `RUN --mount`: what a command sees while it runs, and what of it stays.

use crate::error::Problem;

/// One mount of a `RUN`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Where in the container; secrets and agents have places of their own when it is not said.
    pub target: Option<String>,
    /// What is mounted.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// Files of the build context, a stage, an image.
    Bind {
        /// The stage, image or named context; the build context otherwise.
        from: Option<String>,
        /// The path in it.
        source: Option<String>,
        /// Whether the command may write; what it writes is dropped.
        writable: bool,
    },
    /// A folder that stays from build to build.
    Cache {
        /// The name of the folder; the target otherwise.
        id: Option<String>,
        /// What the folder begins with.
        from: Option<String>,
        /// The path in that.
        source: Option<String>,
        /// Who may use it at the same time.
        sharing: CacheSharing,
        /// Whether the command may only read.
        readonly: bool,
        /// The mode of a new folder.
        mode: Option<u32>,
        /// The owner of a new folder.
        uid: Option<u32>,
        /// Its group.
        gid: Option<u32>,
    },
    /// Memory.
    Tmpfs {
        /// The most bytes; no limit of its own otherwise.
        size: Option<u64>,
    },
    /// A secret, as a file or an environment variable.
    Secret {
        /// The name of the secret; the last part of the target otherwise.
        id: Option<String>,
        /// The environment variable that holds it.
        env: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// The mode of the file.
        mode: Option<u32>,
        /// Its owner.
        uid: Option<u32>,
        /// Its group.
        gid: Option<u32>,
    },
    /// The socket of an ssh agent.
    Ssh {
        /// The name of the agent; `default` otherwise.
        id: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// The mode of the socket.
        mode: Option<u32>,
        /// Its owner.
        uid: Option<u32>,
        /// Its group.
        gid: Option<u32>,
    },
}

/// Who may use a cache folder at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheSharing {
    /// Everyone at once.
    #[default]
    Shared,
    /// Each its own copy.
    Private,
    /// One after the other.
    Locked,
}

impl Mount {
    /// Reads `type=cache,target=/x,…`.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let mut fields = Fields::default();
        for field in comma_separated(text)? {
            fields.add(&field)?;
        }
        fields.judge()?;
        fields.finish()
    }

    /// Gives the stage, image or named context that the mount takes files from.
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        match &self.kind {
            MountKind::Bind { from, .. } | MountKind::Cache { from, .. } => from.as_deref(),
            MountKind::Tmpfs { .. } | MountKind::Secret { .. } | MountKind::Ssh { .. } => None,
        }
    }

    /// Lists the texts in which variables are replaced.
    pub(crate) fn texts(&mut self) -> Vec<&mut String> {
        let mut texts: Vec<&mut String> = self.target.iter_mut().collect();
        match &mut self.kind {
            MountKind::Bind { source, .. } => texts.extend(source),
            MountKind::Cache { id, source, .. } => texts.extend(id.iter_mut().chain(source)),
            MountKind::Secret { id, env, .. } => texts.extend(id.iter_mut().chain(env)),
            MountKind::Ssh { id, .. } => texts.extend(id),
            MountKind::Tmpfs { .. } => {}
        }
        texts
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Cache => "cache",
            Self::Tmpfs => "tmpfs",
            Self::Secret => "secret",
            Self::Ssh => "ssh",
        }
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        [
            Self::Bind,
            Self::Cache,
            Self::Tmpfs,
            Self::Secret,
            Self::Ssh,
        ]
        .into_iter()
        .find(|kind| kind.word() == text)
        .ok_or_else(|| Problem::new(format!("unsupported mount type {text:?}")))
    }
}

/// The fields as written, whatever the kind.
#[derive(Debug, Default)]
struct Fields {
    kind: Kind,
    target: Option<String>,
    source: Option<String>,
    from: Option<String>,
    id: Option<String>,
    env: Option<String>,
    sharing: Option<CacheSharing>,
    required: Option<bool>,
    readonly: Option<bool>,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Fields {
    fn add(&mut self, field: &str) -> Result<(), Problem> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field, None),
        };
        let key = key.to_ascii_lowercase();
        if let Some(writable) = access(&key) {
            let said = value.map_or(Ok(true), |value| boolean(&key, value))?;
            self.readonly = Some(said != writable);
            return Ok(());
        }
        match (key.as_str(), value) {
            ("required", None) => self.required = Some(true),
            ("required", Some(value)) => self.required = Some(boolean(&key, value)?),
            (_, None) => {
                return Err(Problem::new(format!(
                    "invalid field '{field}' must be a key=value pair"
                )));
            }
            (_, Some(value)) => self.set(&key, value, field)?,
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str, field: &str) -> Result<(), Problem> {
        let owned = || Some(value.to_owned()).filter(|value| !value.is_empty());
        match key {
            "type" => self.kind = Kind::parse(value)?,
            "from" => self.from = owned(),
            "source" | "src" => self.source = owned(),
            "target" | "dst" | "destination" => self.target = owned(),
            "id" => self.id = owned(),
            "env" => self.env = owned(),
            "sharing" => self.sharing = Some(sharing(value)?),
            "size" => self.size = Some(size(value)?),
            "mode" => self.mode = Some(octal(value)?),
            "uid" => self.uid = Some(number(key, value)?),
            "gid" => self.gid = Some(number(key, value)?),
            _ => return Err(Problem::new(format!("unexpected key '{key}' in '{field}'"))),
        }
        Ok(())
    }

    /// Refuses fields that the kind does not have.
    fn judge(&self) -> Result<(), Problem> {
        let kind = self.kind;
        let owned = matches!(kind, Kind::Cache | Kind::Secret | Kind::Ssh);
        let odd = [
            (self.mode.is_some() && !owned, "mode"),
            (self.uid.is_some() && !owned, "uid"),
            (self.gid.is_some() && !owned, "gid"),
            (
                self.required.is_some() && !matches!(kind, Kind::Secret | Kind::Ssh),
                "required",
            ),
            (self.size.is_some() && kind != Kind::Tmpfs, "size"),
            (self.env.is_some() && kind != Kind::Secret, "env"),
            (self.sharing.is_some() && kind != Kind::Cache, "sharing"),
        ];
        if let Some((_, field)) = odd.iter().find(|(odd, _)| *odd) {
            return Err(Problem::new(format!(
                "{field} not allowed for {:?} type mounts",
                kind.word()
            )));
        }
        match kind {
            Kind::Bind | Kind::Cache | Kind::Tmpfs if self.target.is_none() => Err(Problem::new(
                format!("invalid {} mount: target is required", kind.word()),
            )),
            Kind::Secret if self.from.is_some() => {
                Err(Problem::new("secret mount should not have a from"))
            }
            Kind::Secret if self.source.is_some() && self.id.is_some() => {
                Err(Problem::new("both source and id can't be set"))
            }
            Kind::Secret if self.nameless() => Err(Problem::new(
                "invalid secret mount. one of source, target required",
            )),
            _ if self.from.as_deref().is_some_and(|from| from.contains('$')) => Err(Problem::new(
                "'from' doesn't support variable expansion, define alias stage instead",
            )),
            _ => Ok(()),
        }
    }

    const fn nameless(&self) -> bool {
        self.source.is_none() && self.id.is_none() && self.target.is_none()
    }

    fn finish(self) -> Result<Mount, Problem> {
        let kind = match self.kind {
            Kind::Bind => MountKind::Bind {
                from: self.from,
                source: self.source,
                writable: self.readonly == Some(false),
            },
            Kind::Cache => MountKind::Cache {
                id: self.id,
                from: self.from,
                source: self.source,
                sharing: self.sharing.unwrap_or_default(),
                readonly: self.readonly == Some(true),
                mode: self.mode,
                uid: self.uid,
                gid: self.gid,
            },
            Kind::Tmpfs => MountKind::Tmpfs { size: self.size },
            Kind::Secret => MountKind::Secret {
                id: self.id.or(self.source),
                env: self.env,
                required: self.required == Some(true),
                mode: self.mode,
                uid: self.uid,
                gid: self.gid,
            },
            Kind::Ssh => MountKind::Ssh {
                id: self.id.or(self.source),
                required: self.required == Some(true),
                mode: self.mode,
                uid: self.uid,
                gid: self.gid,
            },
        };
        Ok(Mount {
            target: self.target,
            kind,
        })
    }
}

/// Tells whether a word of access means that writing is allowed.
fn access(key: &str) -> Option<bool> {
    match key {
        "readonly" | "ro" => Some(false),
        "readwrite" | "rw" => Some(true),
        _ => None,
    }
}

/// Divides at commas; a field may stand in quotes, a quote in it doubled.
fn comma_separated(text: &str) -> Result<Vec<String>, Problem> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        let Some(field) = fields.last_mut() else {
            break;
        };
        match next {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    if quoted {
        return Err(Problem::new(
            "failed to parse csv mounts: extraneous or missing \" in quoted-field",
        ));
    }
    Ok(fields)
}

fn boolean(key: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Problem::new(format!("invalid value for {key}: {value}"))),
    }
}

fn sharing(value: &str) -> Result<CacheSharing, Problem> {
    match value.to_ascii_lowercase().as_str() {
        "shared" => Ok(CacheSharing::Shared),
        "private" => Ok(CacheSharing::Private),
        "locked" => Ok(CacheSharing::Locked),
        _ => Err(Problem::new(format!("unsupported sharing value {value:?}"))),
    }
}

fn number(key: &str, value: &str) -> Result<u32, Problem> {
    value
        .parse()
        .map_err(|_not_a_number| Problem::new(format!("invalid value for {key}: {value}")))
}

fn octal(value: &str) -> Result<u32, Problem> {
    u32::from_str_radix(value, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Problem::new(format!("invalid value for mode: {value}")))
}

/// Reads `10m`, `1.5GB`, `4096`: powers of 1024.
fn size(value: &str) -> Result<u64, Problem> {
    let wrong = || Problem::new(format!("invalid value for size: {value}"));
    let lower = value.to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let bare = bare.strip_suffix('i').unwrap_or(bare);
    let (digits, shift) = match bare.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => {
            let power = "kmgtp".find(unit).ok_or_else(wrong)?;
            let digits = bare.get(..at).unwrap_or_default();
            (digits, (power + 1) * 10)
        }
        _ => (bare, 0),
    };
    let (whole, fraction) = digits
        .trim()
        .split_once('.')
        .unwrap_or((digits.trim(), "0"));
    let unit = 1_u64 << shift;
    let whole: u64 = whole.parse().map_err(|_not_a_number| wrong())?;
    let digits = fraction.get(..fraction.len().min(6)).ok_or_else(wrong)?;
    let part: u64 = digits.parse().map_err(|_not_a_number| wrong())?;
    let scale = (0..digits.len()).fold(1_u64, |scale, _| scale * 10);
    let part = u128::from(unit) * u128::from(part) / u128::from(scale);
    let part = u64::try_from(part).map_err(|_too_large| wrong())?;
    whole
        .checked_mul(unit)
        .and_then(|bytes| bytes.checked_add(part))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
