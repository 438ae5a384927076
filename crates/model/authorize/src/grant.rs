//! What a socket was granted, and the first question of each request: does its role have this action at all?

use crate::{Action, Denial, Glob, Level, RulesError, Scope, rules};

/// The powers of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    name: String,
    pub(crate) level: Level,
    pub(crate) scope: Option<Scope>,
    pub(crate) allow: Vec<Glob>,
    pub(crate) deny: Vec<Glob>,
    pub(crate) images: Option<Vec<Glob>>,
    pub(crate) image_write: Vec<Glob>,
    pub(crate) options: Vec<String>,
    pub(crate) binds: Vec<String>,
}

impl Grant {
    /// Makes a grant of a role and no more.
    pub(crate) fn of(name: &str, level: Level) -> Self {
        Self {
            name: name.to_owned(),
            level,
            scope: None,
            allow: Vec::new(),
            deny: Vec::new(),
            images: None,
            image_write: Vec::new(),
            options: Vec::new(),
            binds: Vec::new(),
        }
    }

    /// The grant of an ordinary socket: all.
    #[must_use]
    pub fn admin() -> Self {
        Self::of("admin", Level::Admin)
    }

    /// Gives the grant of a role's name; `None` when there is no such role.
    #[must_use]
    pub fn role(name: &str) -> Option<Self> {
        match name {
            "read-only" => Some(Self::of(name, Level::Reader)),
            "operator" => Some(Self::of(name, Level::Operator)),
            "admin" => Some(Self::admin()),
            _ => None,
        }
    }

    /// Parses a rule file; `name` is how refusals call it.
    ///
    /// # Errors
    /// When it is no TOML, or has a key or word that means nothing.
    pub fn rules(name: &str, text: &str) -> Result<Self, RulesError> {
        rules::parse(name, text)
    }

    /// Bounds it to what has a label. A bound administrator would be none, so that is `None`.
    #[must_use]
    pub fn scoped(mut self, scope: Scope) -> Option<Self> {
        if self.is_admin() || self.scope.as_ref().is_some_and(|own| *own != scope) {
            return None;
        }
        self.scope = Some(scope);
        Some(self)
    }

    /// Reports whether nothing is judged.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.level == Level::Admin
    }

    /// Gives the label that bounds it.
    #[must_use]
    pub const fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Gives the role's or the rule file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Judges the action alone.
    ///
    /// # Errors
    /// When the role does not have it, or it cannot be bounded by the scope.
    pub fn action(&self, action: Action) -> Result<(), Denial> {
        match self.has(action) {
            true => Ok(()),
            false => Err(Denial::Action {
                role: self.name.clone(),
                action,
            }),
        }
    }

    fn has(&self, action: Action) -> bool {
        let word = action.as_str();
        if self.is_admin() {
            return true;
        }
        if self.deny.iter().any(|glob| glob.matches(word)) {
            return false;
        }
        if self.allow.iter().any(|glob| glob.matches(word)) {
            return true;
        }
        let bounded = self.scope.is_some() || !action.is_sweeping();
        bounded && action.level() <= self.level
    }

    /// Reports whether a rule lifts an option, whole or for this value.
    pub(crate) fn lifts(&self, option: &str, value: Option<&str>) -> bool {
        self.options.iter().any(|own| match own.split_once('=') {
            Some((key, only)) => key == option && value == Some(only),
            None => own == option,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_grow() {
        let [reader, operator, admin] =
            ["read-only", "operator", "admin"].map(|name| Grant::role(name).unwrap());
        for (action, word, _) in Action::ALL {
            let has = |grant: &Grant| grant.action(action).is_ok();
            assert!(has(&operator) || !has(&reader), "{word}");
            assert!(has(&admin), "{word}");
        }
        assert!(reader.action(Action::ContainerExec).is_err());
        assert!(operator.action(Action::ImageLoad).is_err());
    }

    #[test]
    fn what_sweeps_needs_a_label() {
        let operator = Grant::role("operator").unwrap();
        assert!(operator.action(Action::VolumePrune).is_err());
        let scoped = operator.scoped(Scope::parse("team=ci").unwrap()).unwrap();
        assert!(scoped.action(Action::VolumePrune).is_ok());
        assert!(scoped.action(Action::DiskUsage).is_ok());
        assert!(scoped.scoped(Scope::parse("team=cd").unwrap()).is_none());
        assert!(
            Grant::admin()
                .scoped(Scope::parse("a=b").unwrap())
                .is_none()
        );
    }
}
