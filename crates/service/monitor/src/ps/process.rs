//! What stands in the columns: one process of `/proc`.

use std::{
    fs::{self, File},
    io::Read as _,
};

use super::{Column, column::Field};

/// Ticks of a second, in which `/proc` counts.
const TICKS: u64 = 100;
const PAGE_KIB: u64 = 4;
const DAY: u64 = 86_400;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// What of the host the columns need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    pub(crate) users: String,
    pub(crate) groups: String,
    pub(crate) memory: u64,
    /// Ticks since the kernel started.
    pub(crate) up: u64,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// A process as `/proc` tells it.
#[derive(Clone, Debug, Default)]
struct Process {
    pid: i32,
    name: String,
    state: char,
    /// The numbers after the state, from the parent on.
    numbers: Vec<i64>,
    command: String,
    uid: u32,
    gid: u32,
    locked: bool,
    /// KiB in memory; the count in `stat` lags behind.
    resident: u64,
}

/// Reads for how many ticks the kernel runs: `12.34 …` seconds, of which ticks are hundredths.
pub(crate) fn up(uptime: &str) -> u64 {
    let first = uptime.split_whitespace().next().unwrap_or_default();
    first.replace('.', "").parse().unwrap_or(0)
}

/// Gives how many bytes of its command each of so many processes shows. A process's arguments have megabytes, and its children's are
/// the same memory: what costs a container nothing must not fill ours.
pub(crate) fn share(processes: usize) -> u64 {
    const LONGEST: u64 = 128 << 10;
    const ALL: u64 = 16 << 20;
    let processes = u64::try_from(processes).unwrap_or(u64::MAX).max(1);
    LONGEST.min(ALL / processes)
}

/// Shows a process in columns, with so many bytes of its command; none when it is gone.
pub(crate) fn line(pid: i32, columns: &[Column], host: &Host, most: u64) -> Option<Vec<String>> {
    let read = |file| fs::read(format!("/proc/{pid}/{file}")).ok();
    let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
    let status = String::from_utf8_lossy(&read("status")?).into_owned();
    let mut command = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{pid}/cmdline")) {
        file.take(most).read_to_end(&mut command).ok();
    }
    let process = Process::parse(pid, &stat, &status, &command)?;
    let show = |column: &Column| process.show(column.field, host);
    Some(columns.iter().map(show).collect())
}

impl Process {
    fn parse(pid: i32, stat: &str, status: &str, command: &[u8]) -> Option<Self> {
        // The name may hold anything, brackets included: the last one ends it.
        let (head, rest) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut fields = rest.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let effective = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        };
        let memory = |key: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok())
                .unwrap_or(0)
        };
        let words: Vec<_> = command
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        let command = words.join(" ").trim_end().replace('\n', " ");
        Some(Self {
            pid,
            state,
            numbers: fields.filter_map(|field| field.parse().ok()).collect(),
            command: match command.as_str() {
                "" => format!("[{name}]"),
                _ => command,
            },
            name,
            uid: effective("Uid:")?,
            gid: effective("Gid:")?,
            locked: memory("VmLck:") > 0,
            resident: memory("VmRSS:"),
        })
    }

    /// A number by its place in proc(5), where the parent is the fourth.
    fn number(&self, place: usize) -> i64 {
        let index = place.checked_sub(4);
        let found = index.and_then(|index| self.numbers.get(index));
        found.copied().unwrap_or(0)
    }

    fn count(&self, place: usize) -> u64 {
        u64::try_from(self.number(place)).unwrap_or(0)
    }

    fn show(&self, field: Field, host: &Host) -> String {
        match field {
            Field::Pid => self.pid.to_string(),
            Field::Parent => self.number(4).to_string(),
            Field::Group => self.number(5).to_string(),
            Field::Session => self.number(6).to_string(),
            Field::User => name_of(&host.users, self.uid),
            Field::UserId => self.uid.to_string(),
            Field::GroupName => name_of(&host.groups, self.gid),
            Field::GroupId => self.gid.to_string(),
            Field::Name => self.name.clone(),
            Field::Command => self.command.clone(),
            Field::Terminal => terminal(self.number(7)),
            Field::State => self.state.to_string(),
            Field::Status => self.status(),
            Field::Virtual => (self.count(23) / 1024).to_string(),
            Field::Resident => self.resident.to_string(),
            Field::Pages => (self.count(23) / 1024 / PAGE_KIB).to_string(),
            Field::Nice => self.number(19).to_string(),
            Field::Priority => (39 - self.number(18)).to_string(),
            Field::Processor => self.number(39).to_string(),
            Field::Threads => self.number(20).to_string(),
            Field::Percent
            | Field::PercentWhole
            | Field::MemoryPercent
            | Field::Start
            | Field::StartDay
            | Field::Time
            | Field::TimeShort
            | Field::Elapsed
            | Field::ElapsedSeconds => self.time(field, host),
        }
    }

    /// What depends on the clock.
    fn time(&self, field: Field, host: &Host) -> String {
        let used = (self.count(14) + self.count(15)) / TICKS;
        let lived = host.up.saturating_sub(self.count(22)) / TICKS;
        let started = host.now.saturating_sub(lived);
        let tenths = (used * 1000).checked_div(lived).unwrap_or(0);
        match field {
            Field::PercentWhole => (tenths / 10).min(99).to_string(),
            Field::MemoryPercent => {
                let tenths = (self.resident * 1024 * 1000).checked_div(host.memory);
                tenth(tenths.unwrap_or(0))
            }
            Field::Start => match lived < DAY {
                true => clock(started % DAY),
                false => day(started),
            },
            Field::StartDay => match started / DAY == host.now / DAY {
                true => clock(started % DAY).chars().take(5).collect(),
                false => day(started),
            },
            Field::Time => long(used),
            Field::TimeShort => format!("{}:{:02}", used / 60, used % 60),
            Field::Elapsed => elapsed(lived),
            Field::ElapsedSeconds => lived.to_string(),
            _ => tenth(tenths),
        }
    }

    /// The state, and what of the process sets it apart from others.
    fn status(&self) -> String {
        let mut status = self.state.to_string();
        let marks = [
            (self.number(19) < 0, '<'),
            (self.number(19) > 0, 'N'),
            (self.locked, 'L'),
            (self.number(6) == i64::from(self.pid), 's'),
            (self.number(20) > 1, 'l'),
            (self.number(8) == self.number(5), '+'),
        ];
        status.extend(marks.iter().filter(|(has, _)| *has).map(|(_, mark)| mark));
        status
    }
}

/// Finds the name of an id in the host's own file; one that does not fit into eight letters is cut, as ps does.
fn name_of(file: &str, id: u32) -> String {
    let named = file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    });
    match named {
        None => id.to_string(),
        Some(name) if name.chars().count() > 8 => name.chars().take(7).chain(['+']).collect(),
        Some(name) => name.to_owned(),
    }
}

fn terminal(device: i64) -> String {
    let device = u64::try_from(device).unwrap_or(0);
    let (major, minor) = (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xfff00),
    );
    match (major, minor) {
        (136..=143, minor) => format!("pts/{}", minor + (major - 136) * 256),
        (4, 0..=63) => format!("tty{minor}"),
        (4, minor) => format!("ttyS{}", minor - 64),
        (5, 1) => "console".to_owned(),
        _ => "?".to_owned(),
    }
}

fn tenth(tenths: u64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn clock(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// `[DD-]HH:MM:SS`.
fn long(seconds: u64) -> String {
    match seconds / DAY {
        0 => clock(seconds),
        days => format!("{days}-{}", clock(seconds % DAY)),
    }
}

/// `[[DD-]HH:]MM:SS`.
fn elapsed(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        seconds => long(seconds),
    }
}

/// `Nov21`, by the calendar's rule of eras of 400 years.
fn day(seconds: u64) -> String {
    let days = seconds / DAY + 719_468;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    // The era's years begin in March.
    let index = usize::try_from((month + 2) % 12).unwrap_or(0);
    format!("{}{day:02}", MONTHS.get(index).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_is_one_name() {
        let stat =
            "7 (a) b (c) S 1 7 7 34816 7 4194560 1 0 0 0 250 50 0 0 20 0 2 0 1000 4096000 25 1";
        let status = "Name:\ta\nUid:\t0\t1000\t0\t0\nGid:\t0\t5\t0\t0\nVmLck:\t       0 kB\nVmRSS:\t     100 kB\n";
        let process = Process::parse(7, stat, status, b"sleep\x0010\x00").unwrap();
        let host = Host {
            users: "root:x:0:0\nsomebodylong:x:1000:1000".into(),
            groups: String::new(),
            memory: 1 << 30,
            up: 4000,
            now: 140,
        };
        let show = |field| process.show(field, &host);
        assert_eq!(show(Field::Name), "a) b (c");
        assert_eq!(show(Field::User), "somebod+");
        assert_eq!(
            (show(Field::GroupName), show(Field::Terminal)),
            ("5".into(), "pts/0".into())
        );
        assert_eq!(
            (show(Field::Status), show(Field::Command)),
            ("Ssl+".into(), "sleep 10".into())
        );
        assert_eq!(
            (show(Field::Time), show(Field::Percent)),
            ("00:00:03".into(), "10.0".into())
        );
        assert_eq!(
            (show(Field::Resident), show(Field::Virtual)),
            ("100".into(), "4000".into())
        );
    }

    #[test]
    fn days_have_their_names() {
        assert_eq!((day(0), day(951_782_400)), ("Jan01".into(), "Feb29".into()));
        assert_eq!(day(1_795_219_200), "Nov21");
        assert_eq!(
            (elapsed(59), elapsed(90_061)),
            ("00:59".into(), "1-01:01:01".into())
        );
    }
}
