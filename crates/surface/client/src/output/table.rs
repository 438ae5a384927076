//! Aligns columns as Go's tabwriter does for docker: at least ten wide, three blanks between.

/// Aligns lines whose cells are separated by tabs.
#[must_use]
pub fn align(lines: &[String]) -> String {
    const NARROWEST: usize = 10;
    const GAP: usize = 3;
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        for (at, cell) in cells.iter().enumerate().take(cells.len().saturating_sub(1)) {
            let wanted = (width(cell) + GAP).max(NARROWEST);
            match widths.get_mut(at) {
                Some(known) => *known = wanted.max(*known),
                None => widths.push(wanted),
            }
        }
    }
    lines
        .iter()
        .map(|line| aligned(line, &widths) + "\n")
        .collect()
}

fn aligned(line: &str, widths: &[usize]) -> String {
    let cells: Vec<&str> = line.split('\t').collect();
    let last = cells.len().saturating_sub(1);
    cells
        .iter()
        .enumerate()
        .map(|(at, cell)| match widths.get(at).filter(|_| at < last) {
            Some(wanted) => format!("{cell}{}", " ".repeat(wanted.saturating_sub(width(cell)))),
            None => (*cell).to_owned(),
        })
        .collect()
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_ten_wide_or_three_more_than_their_widest_cell() {
        let lines = [
            "ID\tNAME\tX".to_owned(),
            "0123456789ab\tweb\tlast".to_owned(),
        ];
        assert_eq!(
            align(&lines),
            "ID             NAME      X\n0123456789ab   web       last\n"
        );
    }
}
