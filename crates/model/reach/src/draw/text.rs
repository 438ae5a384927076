//! The survey for a terminal.

use super::{cells, plain};
use crate::Survey;

/// Lines of cells separated by tabs: who begins at the left, whom at the top, which ports between.
#[must_use]
pub fn table(survey: &Survey) -> Vec<String> {
    let cells = cells(survey);
    let names: Vec<String> = survey
        .places
        .iter()
        .map(|place| plain(&place.name))
        .collect();
    let head = format!("FROM \\ TO\t{}", names.join("\t"));
    let rows = names.iter().enumerate().map(|(from, name)| {
        let row = (0..names.len()).map(|to| match cells.get(&(from, to)) {
            None => " ".to_owned(),
            Some(cell) if cell.is_none() => "-".to_owned(),
            Some(cell) => cell.words(),
        });
        format!("{name}\t{}", row.collect::<Vec<_>>().join("\t"))
    });
    [head].into_iter().chain(rows).collect()
}

/// Lines of cells separated by tabs: one a pair that reaches anything.
#[must_use]
pub fn list(survey: &Survey) -> Vec<String> {
    let name = |number: usize| {
        survey
            .places
            .get(number)
            .map_or(String::new(), |place| plain(&place.name))
    };
    let cells = cells(survey);
    let lines = cells.iter().filter(|(_, cell)| !cell.is_none());
    let lines =
        lines.map(|((from, to), cell)| format!("{}\t{}\t{}", name(*from), name(*to), cell.words()));
    ["FROM\tTO\tPORTS".to_owned()]
        .into_iter()
        .chain(lines)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{survey, survey::tests::world};

    #[test]
    fn the_table_has_a_row_and_a_column_for_each_place() {
        let table = table(&survey(&world()));
        assert_eq!(table[0], "FROM \\ TO\tvault\tdb\tweb\thost\toutside");
        assert_eq!(table[1], "vault\t \t-\t-\t-\t-");
        assert_eq!(table[5], "outside\t-\t-\t80/tcp published\t \t ");
    }

    #[test]
    fn the_list_leaves_out_who_reaches_nothing() {
        let list = list(&survey(&world())).join("\n");
        assert!(list.contains("outside\tweb\t80/tcp published"), "{list}");
        assert!(!list.contains("vault\tweb"), "{list}");
    }
}
