//! From the flags of `exec` to its request.

use std::path::PathBuf;

use hakone_engine_api::wire::ExecConfig;

use super::{Surroundings, environment};
use crate::{Error, container::exec::Arguments};

/// Builds the request to make the exec; streams are attached unless detached.
pub(crate) fn parse(flags: &Arguments, around: &dyn Surroundings) -> Result<ExecConfig, Error> {
    let files: &[PathBuf] = &flags.env_file;
    let env = environment::variables(files, &flags.env, around)?;
    let attached = !flags.detach;
    Ok(ExecConfig {
        attach_stdin: Some(attached && flags.interactive),
        attach_stdout: Some(attached),
        attach_stderr: Some(attached),
        detach_keys: flags.detach_keys.clone(),
        tty: Some(flags.tty),
        env: (!env.is_empty()).then_some(env),
        cmd: Some(flags.command().to_vec()),
        privileged: Some(flags.privileged),
        user: flags.user.clone(),
        working_dir: flags.workdir.clone(),
        console_size: None,
    })
}
