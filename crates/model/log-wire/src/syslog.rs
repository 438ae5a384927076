//! Syslog, in the forms that Docker's driver offers.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros};

use crate::Entry;

const STAMP: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[month repr:short] [day padding:space] [hour]:[minute]:[second]");
const SECONDS: &[BorrowedFormatItem<'_>] = macros::format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory]:[offset_minute]"
);
const MICROSECONDS: &[BorrowedFormatItem<'_>] = macros::format_description!(
    "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6][offset_hour sign:mandatory]:[offset_minute]"
);

/// Which syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// What a daemon on the same host takes: no host name.
    Local,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424, to the second.
    Rfc5424,
    /// RFC 5424, to the microsecond.
    Rfc5424Micro,
}

/// How entries become syslog messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// The facility, 0 to 23.
    pub facility: u8,
    /// The form.
    pub form: Form,
    /// The host's name.
    pub hostname: String,
    /// The container's tag.
    pub tag: String,
    /// The process that the messages come from.
    pub process: u32,
    /// Whether a length stands before each message (RFC 5425), as TLS receivers of RFC 5424 expect.
    pub counted: bool,
}

impl Syslog {
    pub(crate) fn encode(&self, entry: &Entry<'_>) -> Option<Vec<u8>> {
        if entry.text.is_empty() {
            return None;
        }
        let mut message = self.head(entry);
        message.push_str(&one_line(&entry.words()));
        message.push('\n');
        Some(match self.counted {
            true => format!("{} {message}", message.len()).into_bytes(),
            false => message.into_bytes(),
        })
    }

    fn head(&self, entry: &Entry<'_>) -> String {
        let priority = (u32::from(self.facility) << 3) | u32::from(entry.source.severity());
        let (tag, host, process) = (&self.tag, &self.hostname, self.process);
        let at = |format| stamp(entry, format);
        let mut head = String::new();
        // Writing to memory does not fail.
        match self.form {
            Form::Local => write!(head, "<{priority}>{} {tag}[{process}]: ", at(STAMP)),
            Form::Rfc3164 => write!(head, "<{priority}>{} {host} {tag}[{process}]: ", at(STAMP)),
            Form::Rfc5424 | Form::Rfc5424Micro => {
                let format = match self.form {
                    Form::Rfc5424Micro => MICROSECONDS,
                    Form::Rfc5424 | Form::Local | Form::Rfc3164 => SECONDS,
                };
                let at = at(format).replace("+00:00", "Z");
                write!(head, "<{priority}>1 {at} {host} {tag} {process} {tag} - ")
            }
        }
        .ok();
        head
    }
}

/// Prints the time as the host's clock on the wall shows it.
fn stamp(entry: &Entry<'_>, format: &[BorrowedFormatItem<'_>]) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(entry.at.nanos().into());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let offset = UtcOffset::from_whole_seconds(entry.offset).unwrap_or(UtcOffset::UTC);
    at.to_offset(offset).format(format).unwrap_or_default()
}

/// A line feed inside would begin a message of the container's own making; a zero byte would end this one for some.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\0'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use hakone_base::Timestamp;

    fn printed(form: Form, counted: bool, offset: i32) -> String {
        let syslog = Syslog {
            facility: 3,
            form,
            hostname: "box".into(),
            tag: "web".into(),
            process: 7,
            counted,
        };
        let entry = Entry {
            text: b"hi",
            source: Source::Stderr,
            at: Timestamp::from_nanos(1_762_000_005_123_456_789),
            offset,
            piece: None,
            number: 1,
        };
        String::from_utf8(syslog.encode(&entry).unwrap()).unwrap()
    }

    #[test]
    fn each_form_is_that_of_its_standard() {
        let table = [
            (Form::Local, "<27>Nov  1 12:26:45 web[7]: hi\n"),
            (Form::Rfc3164, "<27>Nov  1 12:26:45 box web[7]: hi\n"),
            (
                Form::Rfc5424,
                "<27>1 2025-11-01T12:26:45Z box web 7 web - hi\n",
            ),
            (
                Form::Rfc5424Micro,
                "<27>1 2025-11-01T12:26:45.123456Z box web 7 web - hi\n",
            ),
        ];
        for (form, wanted) in table {
            assert_eq!(printed(form, false, 0), wanted);
        }
        assert_eq!(
            printed(Form::Rfc5424, true, 3600),
            "51 <27>1 2025-11-01T13:26:45+01:00 box web 7 web - hi\n"
        );
    }

    #[test]
    fn a_line_feed_in_the_text_begins_no_message() {
        assert_eq!(one_line("a\n<0>b\0"), "a <0>b ");
    }
}
