//! Options of the drivers that write files, and of the files that other drivers keep for `docker logs`.

use super::Refusal;
use crate::Error;

/// How log files are rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// A file is rotated when it would grow beyond this, in bytes; never when absent.
    pub max_size: Option<u64>,
    /// Files kept, the current one included.
    pub max_files: u32,
    /// Whether rotated files are compressed.
    pub compress: bool,
}

impl Default for LogFile {
    fn default() -> Self {
        Self {
            max_size: None,
            max_files: 1,
            compress: false,
        }
    }
}

impl LogFile {
    /// What is kept unless told otherwise where there must be an end to it.
    pub(super) const fn bounded() -> Self {
        Self {
            max_size: Some(20 << 20),
            max_files: 5,
            compress: true,
        }
    }

    /// What is kept where Docker keeps everything: no container fills the host's disk by talking (`max-size=-1` for that).
    pub(super) const fn ample() -> Self {
        Self {
            max_size: Some(200 << 20),
            max_files: 5,
            compress: false,
        }
    }

    /// Takes an option; false when it is none of these.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<bool, Refusal> {
        match key {
            "max-size" => {
                let bytes = size(value).ok_or(Refusal::Value)?;
                self.max_size = Some(bytes).filter(|bytes| *bytes > 0);
            }
            "max-file" => match value.parse() {
                Ok(0) => return Err(Refusal::Other(Error::LogFiles)),
                Ok(count) => self.max_files = count,
                Err(_) => return Err(Refusal::Value),
            },
            "compress" => self.compress = value.parse().ok().ok_or(Refusal::Value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses compression of what is never set aside.
    pub(super) fn check(self) -> Result<Self, Error> {
        match self.compress && (self.max_files < 2 || self.max_size.is_none()) {
            true => Err(Error::LogCompress),
            false => Ok(self),
        }
    }
}

/// Reads `10m`, `1g`, `512KB`, `1.5m`: units of 1024, as Docker reads memory sizes.
pub(super) fn size(text: &str) -> Option<u64> {
    if text == "-1" {
        return Some(0);
    }
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(lower.len());
    let (number, unit) = lower.split_at_checked(digits)?;
    let shift = match unit.trim().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::from(1_u32.checked_shl(shift.min(30))?);
    let bytes = if shift == 40 { bytes * 1024.0 } else { bytes };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; saturates"
    )]
    Some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_1024() {
        assert_eq!(size("10m"), Some(10 << 20));
        assert_eq!(size("1.5K"), Some(1536));
        assert_eq!(size("2GiB"), Some(2 << 30));
        assert_eq!(size("1t"), Some(1 << 40));
        assert_eq!(size("x"), None);
    }
}
