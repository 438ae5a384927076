//! `hakone lint`: advice on Dockerfiles, without a daemon.
//!
//! Flags, the configuration file and the variables are those of hadolint, so that it can stand in its place; a flag says
//! more than a variable, and a variable more than the file.

mod settings;

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use hakone_client::{Error, Session};
use hakone_lint::{
    check,
    report::{self, Checked},
};

pub use settings::Wishes;

/// Bytes of a file that are read.
const LIMIT: u64 = 8 << 20;

/// Check Dockerfiles against rules of good practice; ends with 1 when there are findings
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    wishes: Wishes,
    /// Dockerfiles to check (- for standard input)
    #[arg(value_name = "DOCKERFILE", default_value = "Dockerfile")]
    files: Vec<PathBuf>,
}

/// Prints what was found.
///
/// # Errors
/// When a file or the settings cannot be read, or the findings are bad enough.
pub fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let settings = arguments.wishes.settings()?;
    let mut files = Vec::new();
    for path in &arguments.files {
        let findings = check(&read(path)?, &settings);
        let file = arguments.wishes.name(path);
        files.push(Checked { file, findings });
    }
    let console = &session.console;
    let color = console.terminal().stdout && !settings.no_color;
    let format = settings.format.unwrap_or_default();
    console.bytes(report::print(&files, format, color).as_bytes())?;
    let worst = files
        .iter()
        .flat_map(|file| &file.findings)
        .map(|one| one.severity)
        .max();
    match settings.fails(worst) {
        true => Err(Error::Exit(1)),
        false => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let result = match path.as_os_str() == "-" {
        true => io::stdin().take(LIMIT).read_to_end(&mut bytes),
        false => fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)),
    };
    result.map_err(|error| Error::usage(format!("could not read {}: {error}", path.display())))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use clap::Parser;
    use hakone_client::{Console, DEFAULT, Terminal};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Runs the verb on a file of the corpus and gives what it printed, and whether it failed.
    fn lint(flags: &[&str], file: &str) -> (String, bool) {
        let corpus = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../model/lint/tests/corpus/"
        );
        let path = format!("{corpus}{file}.Dockerfile");
        let line = [&["lint", "--file-path-in-report", "F"], flags, &[&path]].concat();
        let arguments = Line::parse_from(line).arguments;
        let paper = Paper::default();
        let console = Console::new(
            Box::new(paper.clone()),
            Box::new(io::sink()),
            Terminal::default(),
        );
        let session = Session::new(console, DEFAULT.parse().unwrap(), None);
        let failed = run(&session, &arguments).is_err();
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        (text, failed)
    }

    #[test]
    fn findings_are_printed_and_fail_the_run() {
        let (text, failed) = lint(&[], "dl3006-untagged");
        assert!(text.starts_with("F:2 DL3006 warning: ") && failed, "{text}");
        assert_eq!(lint(&[], "dl3006-tagged"), (String::new(), false));
    }

    #[test]
    fn flags_change_what_is_heard() {
        let file = "dl3006-untagged";
        assert_eq!(lint(&["--ignore", "DL3006"], file), (String::new(), false));
        assert!(
            !lint(&["-t", "error"], file).1 && lint(&["-t", "error", "--error", "DL3006"], file).1
        );
        assert!(!lint(&["--no-fail"], file).1);
        let (text, _) = lint(&["--trusted-registry", "example.com"], file);
        assert!(text.contains("DL3026 error"), "{text}");
        let (text, _) = lint(&["--require-label", "owner:email", "-f", "json"], file);
        assert!(text.contains("\"DL3049\""), "{text}");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        assert_eq!(lint(&[], "nothing"), (String::new(), true));
    }
}
