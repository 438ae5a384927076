//! Neighbouring ports that share their fate, and how a world's named ports cut all ports into such spans.
//!
//! What nobody tells apart is reached together: so a question to the model for each span says everything about 65,535 ports.

use std::{collections::BTreeSet, fmt, str::FromStr};

use hakone_base::{ExposedPort, Port, PortError, Protocol};
use serde::{Deserialize, Serialize};

/// Ports of one protocol from the first to the last: `80/tcp`, `8000-8999/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    /// The protocol.
    pub protocol: Protocol,
    /// The first port.
    pub first: Port,
    /// The last port, not before the first.
    pub last: Port,
}

impl Span {
    /// Gives the first port, which stands for all.
    #[must_use]
    pub const fn example(&self) -> ExposedPort {
        ExposedPort {
            port: self.first,
            protocol: self.protocol,
        }
    }

    /// Reports whether a port is inside.
    #[must_use]
    pub fn contains(&self, port: ExposedPort) -> bool {
        self.protocol == port.protocol && (self.first..=self.last).contains(&port.port)
    }

    /// Makes the span between two numbers, without zero, which is no port; `None` where nothing is left.
    pub(crate) fn between(protocol: Protocol, first: u16, last: u16) -> Option<Self> {
        let (first, last) = (Port::new(first.max(1))?, Port::new(last)?);
        (first <= last).then_some(Self {
            protocol,
            first,
            last,
        })
    }

    fn len(&self) -> u32 {
        u32::from(self.last.get()) - u32::from(self.first.get()) + 1
    }
}

impl From<ExposedPort> for Span {
    fn from(port: ExposedPort) -> Self {
        Self {
            protocol: port.protocol,
            first: port.port,
            last: port.port,
        }
    }
}

/// The spans of one protocol that are asked one by one; what lies outside shares one fate.
pub(crate) fn told_apart(named: &BTreeSet<Span>, protocol: Protocol) -> Vec<Span> {
    let mine = || named.iter().filter(|span| span.protocol == protocol);
    let starts =
        mine().flat_map(|span| [u32::from(span.first.get()), u32::from(span.last.get()) + 1]);
    let cuts: BTreeSet<u32> = starts.chain([1, u32::from(u16::MAX) + 1]).collect();
    let pieces = cuts.iter().zip(cuts.iter().skip(1));
    let (inside, between): (Vec<Span>, Vec<Span>) = pieces
        .filter_map(|(first, next)| {
            let number = |number: u32| u16::try_from(number).ok();
            Span::between(protocol, number(*first)?, number(next - 1)?)
        })
        .partition(|piece| mine().any(|span| span.contains(piece.example())));
    let longest = inside.iter().copied().max_by_key(Span::len);
    let nameless: u32 = between.iter().map(Span::len).sum();
    match longest {
        // Most ports have a name: those that have none are told, and the longest span is the rest.
        Some(longest) if longest.len() > nameless => {
            let all = inside.into_iter().chain(between);
            all.filter(|piece| *piece != longest).collect()
        }
        Some(_) | None => inside,
    }
}

/// Joins spans that touch.
pub(crate) fn joined<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Vec<Span> {
    let mut joined: Vec<Span> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last)
                if last.protocol == span.protocol
                    && u32::from(last.last.get()) + 1 >= u32::from(span.first.get()) =>
            {
                last.last = last.last.max(span.last);
            }
            Some(_) | None => joined.push(*span),
        }
    }
    joined
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}/{}", self.first, self.protocol),
            false => write!(f, "{}-{}/{}", self.first, self.last, self.protocol),
        }
    }
}

impl FromStr for Span {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((first, rest)) = text.split_once('-') else {
            return Ok(ExposedPort::from_str(text)?.into());
        };
        let last: ExposedPort = rest.parse()?;
        let span = first
            .parse()
            .ok()
            .and_then(|first: Port| Self::between(last.protocol, first.get(), last.port.get()));
        span.ok_or_else(|| PortError::Number(text.to_owned()))
    }
}

impl TryFrom<String> for Span {
    type Error = PortError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(named: &[&str]) -> Vec<String> {
        let named = named.iter().map(|text| text.parse().unwrap()).collect();
        let spans = told_apart(&named, Protocol::Tcp);
        spans.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn named_ports_are_told_apart_and_all_others_are_one() {
        assert_eq!(cut(&[]), [""; 0]);
        assert_eq!(cut(&["80/tcp", "53/udp"]), ["80/tcp"]);
        assert_eq!(
            cut(&["8000-8999/tcp", "8080/tcp"]),
            ["8000-8079/tcp", "8080/tcp", "8081-8999/tcp"]
        );
    }

    #[test]
    fn a_span_of_most_ports_is_the_rest() {
        assert_eq!(cut(&["1-65535/tcp"]), [""; 0]);
        assert_eq!(cut(&["1024-65535/tcp"]), ["1-1023/tcp"]);
        assert_eq!(cut(&["1-65535/tcp", "80/tcp"]), ["1-79/tcp", "80/tcp"]);
    }

    #[test]
    fn a_span_is_read_as_it_is_written_and_nonsense_is_refused() {
        for text in ["80/tcp", "8000-8999/udp", "1-65535/sctp"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in [
            "0-80/tcp",
            "90-80/tcp",
            "80-/tcp",
            "-80/tcp",
            "80-70000/tcp",
            "80-90-100/tcp",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
