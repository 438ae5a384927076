//! Names and their values at one point of the build, in the order in which they were set.

use std::collections::BTreeMap;

use crate::{error::Problem, limits};

/// The variables that an instruction sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
    order: Vec<String>,
    bytes: usize,
}

impl Variables {
    /// Looks a value up.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Sets a value; a name keeps the place of its first setting.
    ///
    /// # Errors
    /// All values together are larger than any program could be given.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        let known = self.values.get(name).map_or(0, String::len);
        let bytes = self.bytes - known + value.len();
        if bytes > limits::VARIABLES {
            return Err(Problem::new("the variables of the build are too large"));
        }
        if self.values.insert(name.into(), value.into()).is_none() {
            self.order.push(name.into());
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Lists names and values in the order in which the names were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.order
            .iter()
            .filter_map(|name| Some((name.as_str(), self.get(name)?)))
    }

    /// Lists the names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// Adds all that is not set here yet.
    ///
    /// # Errors
    /// As [`Variables::set`].
    pub fn fill(&mut self, other: &Self) -> Result<(), Problem> {
        for (name, value) in other.iter() {
            if self.get(name).is_none() {
                self.set(name, value)?;
            }
        }
        Ok(())
    }
}
