//! `hakone policy diff`.

use clap::Args;

use super::{Applied, Source, yaml};
use hakone_client::{Error, Request, Session};

/// Show what applying a file would change; ends with 1 when something would
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    #[command(flatten)]
    source: Source,
}

/// Prints the lines that would come and go.
///
/// # Errors
/// When the daemon refuses, or the answer is no.
pub async fn run(session: &Session, arguments: &Arguments) -> Result<(), Error> {
    let request = Request::post("/hakone/policies").text(arguments.source.read()?);
    let request = request.flag("dryRun", true);
    let applied: Vec<Applied> = session.client().await?.json(request).await?;
    let changed: Vec<&Applied> = applied
        .iter()
        .filter(|one| one.change != "unchanged")
        .collect();
    for one in &changed {
        session
            .console
            .line(&format!("networkpolicy {} {}", one.policy, one.change))?;
        let before = one
            .before
            .as_ref()
            .map(yaml)
            .transpose()?
            .unwrap_or_default();
        for line in lines(&before, &yaml(&one.after)?) {
            session.console.line(&line)?;
        }
    }
    match changed.is_empty() {
        true => Ok(()),
        false => Err(Error::Exit(1)),
    }
}

/// Gives the lines of both texts: those of the longest common sequence once, the others with their sign.
fn lines(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let common = lengths(&old, &new);
    let at = |i: usize, j: usize| {
        common
            .get(i)
            .and_then(|row| row.get(j))
            .copied()
            .unwrap_or(0)
    };
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                out.push(format!("  {a}"));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), other) if other.is_none() || at(i + 1, j) >= at(i, j + 1) => {
                out.push(format!("- {a}"));
                i += 1;
            }
            (_, Some(b)) => {
                out.push(format!("+ {b}"));
                j += 1;
            }
            (_, None) => break,
        }
    }
    out
}

/// Gives for each pair of ends of the texts how many lines they share in order.
fn lengths(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut rows = vec![vec![0; new.len() + 1]];
    for a in old.iter().rev() {
        let below = rows.last().cloned().unwrap_or_default();
        let mut row = vec![0; new.len() + 1];
        for (j, b) in new.iter().enumerate().rev() {
            let cell = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(0);
            let best = match a == b {
                true => cell(&below, j + 1) + 1,
                false => cell(&below, j).max(cell(&row, j + 1)),
            };
            if let Some(place) = row.get_mut(j) {
                *place = best;
            }
        }
        rows.push(row);
    }
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_stays_is_shown_once_and_what_changes_with_its_sign() {
        assert_eq!(
            lines("a\nb\nc\n", "a\nx\nc\nd\n"),
            ["  a", "- b", "+ x", "  c", "+ d"]
        );
        assert_eq!(lines("", "a\n"), ["+ a"]);
        assert_eq!(lines("a\nb\n", "b\n"), ["- a", "  b"]);
    }
}
