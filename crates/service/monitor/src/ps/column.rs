//! Which columns the arguments of ps(1) ask for.

use crate::Error;

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) field: Field,
    pub(crate) title: String,
}

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Pid,
    Parent,
    Group,
    Session,
    User,
    UserId,
    GroupName,
    GroupId,
    Name,
    Command,
    Terminal,
    State,
    Status,
    Percent,
    PercentWhole,
    MemoryPercent,
    Virtual,
    Resident,
    Pages,
    Start,
    StartDay,
    Time,
    TimeShort,
    Elapsed,
    ElapsedSeconds,
    Nice,
    Priority,
    Processor,
    Threads,
}

/// Names of columns, what they show, and their titles.
const COLUMNS: &[(&str, Field, &str)] = &[
    ("%cpu", Field::Percent, "%CPU"),
    ("pcpu", Field::Percent, "%CPU"),
    ("c", Field::PercentWhole, "C"),
    ("%mem", Field::MemoryPercent, "%MEM"),
    ("pmem", Field::MemoryPercent, "%MEM"),
    ("args", Field::Command, "COMMAND"),
    ("cmd", Field::Command, "CMD"),
    ("command", Field::Command, "COMMAND"),
    ("comm", Field::Name, "COMMAND"),
    ("ucmd", Field::Name, "CMD"),
    ("ucomm", Field::Name, "COMMAND"),
    ("pid", Field::Pid, "PID"),
    ("tgid", Field::Pid, "TGID"),
    ("ppid", Field::Parent, "PPID"),
    ("pgid", Field::Group, "PGID"),
    ("pgrp", Field::Group, "PGRP"),
    ("sid", Field::Session, "SID"),
    ("sess", Field::Session, "SESS"),
    ("session", Field::Session, "SESS"),
    ("user", Field::User, "USER"),
    ("euser", Field::User, "EUSER"),
    ("uname", Field::User, "USER"),
    ("uid", Field::UserId, "UID"),
    ("euid", Field::UserId, "EUID"),
    ("group", Field::GroupName, "GROUP"),
    ("egroup", Field::GroupName, "EGROUP"),
    ("gid", Field::GroupId, "GID"),
    ("egid", Field::GroupId, "EGID"),
    ("tty", Field::Terminal, "TT"),
    ("tt", Field::Terminal, "TT"),
    ("tname", Field::Terminal, "TTY"),
    ("s", Field::State, "S"),
    ("state", Field::State, "S"),
    ("stat", Field::Status, "STAT"),
    ("vsz", Field::Virtual, "VSZ"),
    ("vsize", Field::Virtual, "VSZ"),
    ("rss", Field::Resident, "RSS"),
    ("rssize", Field::Resident, "RSS"),
    ("rsz", Field::Resident, "RSZ"),
    ("sz", Field::Pages, "SZ"),
    ("start", Field::Start, "STARTED"),
    ("start_time", Field::StartDay, "START"),
    ("stime", Field::StartDay, "STIME"),
    ("time", Field::Time, "TIME"),
    ("cputime", Field::Time, "TIME"),
    ("bsdtime", Field::TimeShort, "TIME"),
    ("etime", Field::Elapsed, "ELAPSED"),
    ("etimes", Field::ElapsedSeconds, "ELAPSED"),
    ("ni", Field::Nice, "NI"),
    ("nice", Field::Nice, "NI"),
    ("pri", Field::Priority, "PRI"),
    ("psr", Field::Processor, "PSR"),
    ("nlwp", Field::Threads, "NLWP"),
    ("thcount", Field::Threads, "THCNT"),
];

const FULL: &str = "user=UID,pid,ppid,c,stime,tname,time,cmd";
const EXTRA: &str = "user=UID,pid,ppid,c,sz,rss,psr,stime,tname,time,cmd";
const USER: &str = "user,pid,%cpu,%mem,vsz,rss,tname,stat,start_time,bsdtime=TIME,args";
const SHORT: &str = "pid,tname,time,ucmd";
const SHORT_BSD: &str = "pid,tname,stat,bsdtime=TIME,args";

/// What the letters of all arguments come to.
#[derive(Default)]
struct Asked {
    format: Option<&'static str>,
    bsd: bool,
    own: Vec<Column>,
}

/// Reads the arguments, which nobody's shell has split but blanks.
pub(crate) fn parse(arguments: &str) -> Result<Vec<Column>, Error> {
    let arguments = match arguments.trim() {
        "" => "-ef",
        arguments => arguments,
    };
    let mut asked = Asked::default();
    let mut words = arguments.split_whitespace();
    while let Some(word) = words.next() {
        let format = match word {
            "--format" => Some(String::new()),
            _ => match word.strip_prefix("--format=") {
                Some(list) => Some(list.to_owned()),
                None => asked.letters(word)?,
            },
        };
        let list = match format.as_deref() {
            None => continue,
            Some("") => words.next().unwrap_or_default(),
            Some(list) => list,
        };
        asked.own.extend(columns(list)?);
    }
    asked.columns()
}

impl Asked {
    /// Takes the letters of one word; gives what stands after an `o`, to which a list belongs.
    fn letters(&mut self, word: &str) -> Result<Option<String>, Error> {
        let (dash, letters) = match word.strip_prefix('-') {
            Some(letters) => (true, letters),
            None => (false, word),
        };
        self.bsd |= !dash;
        for (at, letter) in letters.char_indices() {
            match (dash, letter) {
                (true, 'e' | 'A' | 'a' | 'd' | 'w') | (false, 'a' | 'x' | 'g' | 'w') => {}
                (true, 'f') => self.format = Some(FULL),
                (true, 'F') => self.format = Some(EXTRA),
                (_, 'u') if !dash => self.format = Some(USER),
                (_, 'o') => {
                    let rest = letters.get(at + 1..).unwrap_or_default();
                    return Ok(Some(rest.to_owned()));
                }
                // As ps itself takes `-aux`.
                (true, 'u' | 'x') if letters.contains('a') => self.format = Some(USER),
                _ => return Err(Error::Unsupported(word.to_owned())),
            }
        }
        match letters.is_empty() {
            true => Err(Error::Unsupported(word.to_owned())),
            false => Ok(None),
        }
    }

    fn columns(self) -> Result<Vec<Column>, Error> {
        let default = match (self.format, self.bsd) {
            (Some(format), _) => format,
            (None, true) => SHORT_BSD,
            (None, false) => SHORT,
        };
        let all = match self.own.is_empty() {
            true => columns(default)?,
            false => self.own,
        };
        // Clients find the process by the column of this title, and only that may have it.
        match all.iter().any(|column| column.title == "PID") {
            true => Ok(all),
            false => Err(Error::NoPid),
        }
    }
}

/// Reads `name,name=TITLE`; a title goes on to the end of the word.
fn columns(list: &str) -> Result<Vec<Column>, Error> {
    let mut found = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let (name, title) = match part.split_once('=') {
            Some((name, title)) => (name, Some(title)),
            None => (part, None),
        };
        let known = COLUMNS.iter().find(|(known, ..)| *known == name);
        let (_, field, usual) = known.ok_or_else(|| Error::Unsupported(name.to_owned()))?;
        let title = title.filter(|title| !title.is_empty()).unwrap_or(usual);
        if title.starts_with("PID") && *field != Field::Pid {
            return Err(Error::Title {
                name: name.to_owned(),
                title: title.to_owned(),
            });
        }
        found.push(Column {
            field: *field,
            title: title.to_owned(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(arguments: &str) -> String {
        let found = parse(arguments);
        found.map_or_else(
            |error| error.to_string(),
            |all| {
                let titles: Vec<_> = all.into_iter().map(|column| column.title).collect();
                titles.join(" ")
            },
        )
    }

    #[test]
    fn the_usual_questions_have_the_usual_columns() {
        assert_eq!(titles(""), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles("-ef"), titles(""));
        assert_eq!(
            titles("aux"),
            "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"
        );
        assert_eq!(titles("-aux"), titles("aux"));
        assert_eq!(titles("-e"), "PID TTY TIME CMD");
        assert_eq!(titles("ax"), "PID TTY STAT TIME COMMAND");
    }

    #[test]
    fn columns_are_chosen_in_each_of_the_ways() {
        for arguments in [
            "-o pid,comm",
            "-opid,comm",
            "-eo pid,comm",
            "axo pid,comm",
            "--format pid,comm",
            "-o pid -o comm",
        ] {
            assert_eq!(titles(arguments), "PID COMMAND", "{arguments}");
        }
        assert_eq!(titles("-o pid=PID,comm=NAME"), "PID NAME");
    }

    #[test]
    fn what_hides_the_process_id_or_is_not_known_is_refused() {
        assert_eq!(titles("-o comm"), "Couldn't find PID field in ps output");
        assert_eq!(
            titles("-o ppid=PID,comm"),
            "specifying \"ppid=PID\" is not allowed"
        );
        assert!(titles("-ef --forest").contains("not supported"));
        assert!(titles("-eLf").contains("not supported"));
        assert!(titles("-o pid,label").contains("\"label\""));
    }
}
