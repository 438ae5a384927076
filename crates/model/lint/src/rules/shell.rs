//! How commands are run: DL3025, DL4005, DL4006.

use hakone_dockerfile::{Command, Healthcheck, Instruction};
use hakone_shell::{Pipeline, Visit, walk};

use crate::{finding::Findings, view::View};

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, instruction) in view.instructions() {
        if let Instruction::Cmd(command)
        | Instruction::Entrypoint(command)
        | Instruction::Healthcheck(Healthcheck::Check { command, .. }) = instruction
            && matches!(command, Command::Shell(_))
        {
            let keyword = instruction.keyword();
            let message = format!(
                "Write the arguments of {keyword} as a JSON list, so that no shell stands between"
            );
            findings.add(line.number(), "DL3025", message);
        }
    }
    for (line, run) in view.runs() {
        if run.calls_of(&["ln"]).any(|call| call.has("/bin/sh")) {
            findings.add(line.number(), "DL4005", "Use SHELL to change the shell");
        }
        let mut pipes = Pipes(false);
        if let Some(script) = &run.script {
            walk(script, &mut pipes);
        }
        if pipes.0 && !run.shell.pipefail {
            let message =
                "Only the last program of a pipe can fail this line: set pipefail with SHELL";
            findings.add(line.number(), "DL4006", message);
        }
    }
}

struct Pipes(bool);

impl Visit for Pipes {
    fn pipeline(&mut self, pipeline: &Pipeline) {
        self.0 |= pipeline.commands.len() > 1;
    }
}
