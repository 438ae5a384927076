//! Flags that many commands have in common.

use std::collections::BTreeMap;

use crate::Filters;
use clap::Args;

use super::value;

/// `--filter`.
#[derive(Args, Clone, Debug, Default)]
pub struct FilterFlags {
    /// Filter output based on conditions provided
    #[arg(short = 'f', long, value_name = "filter", value_parser = value::filter)]
    filter: Vec<(String, String)>,
}

/// `--filter` where `-f` means `--force`.
#[derive(Args, Clone, Debug, Default)]
pub struct LongFilterFlags {
    /// Provide filter values (e.g. "until=TIMESTAMP")
    #[arg(long, value_name = "filter", value_parser = value::filter)]
    filter: Vec<(String, String)>,
}

impl FilterFlags {
    /// Gives the filters as the API takes them.
    pub fn filters(&self) -> Filters {
        gather(&self.filter)
    }
}

impl LongFilterFlags {
    /// Gives the filters as the API takes them.
    pub fn filters(&self) -> Filters {
        gather(&self.filter)
    }
}

fn gather(pairs: &[(String, String)]) -> Filters {
    let mut filters = Filters::new();
    for (key, value) in pairs {
        filters
            .entry(key.clone())
            .or_default()
            .insert(value.clone());
    }
    filters
}

/// `--format` of lists.
#[derive(Args, Clone, Debug, Default)]
pub struct ListFormat {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or 'TEMPLATE'
    #[arg(
        long,
        value_name = "string",
        default_value = "",
        hide_default_value = true
    )]
    pub format: String,
}

/// `--format` of inspected objects.
#[derive(Args, Clone, Debug, Default)]
pub struct ObjectFormat {
    /// Format output using a custom template: 'json' or 'TEMPLATE'
    #[arg(
        short = 'f',
        long,
        value_name = "string",
        default_value = "",
        hide_default_value = true
    )]
    pub format: String,
}

/// Containers named on the command line.
#[derive(Args, Clone, Debug)]
pub struct Containers {
    /// Names or ids, or the beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    pub containers: Vec<String>,
}

/// Turns `key=value` texts into a map; a key alone gets an empty value.
pub fn map(pairs: &[String]) -> BTreeMap<String, String> {
    let split = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    pairs.iter().map(split).collect()
}

/// Flags of commands that remove what is not used.
#[derive(Args, Clone, Debug)]
pub struct PruneFlags {
    #[command(flatten)]
    /// What is spared.
    pub filter: LongFilterFlags,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
}
