//! Ports: DL3011.

use hakone_dockerfile::Instruction;

use crate::{finding::Findings, view::View};

pub(super) fn check(view: &View<'_>, findings: &mut Findings) {
    for (line, instruction) in view.instructions() {
        if let Instruction::Expose(ports) = instruction
            && ports.iter().any(|port| is_beyond(port))
        {
            findings.add(line.number(), "DL3011", "Ports go from 0 to 65535");
        }
    }
}

fn is_beyond(port: &str) -> bool {
    let numbers = port.split('/').next().unwrap_or_default();
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers
        .split('-')
        .filter(digits)
        .any(|number| number.parse::<u16>().is_err())
}
