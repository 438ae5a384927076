//! The rules of shell scripts, over `RUN` lines.

use crate::{finding::Findings, view::View};

/// Asks all of them.
pub(crate) fn check(_view: &View<'_>, _findings: &mut Findings) {}
