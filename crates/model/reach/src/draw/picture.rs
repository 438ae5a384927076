//! The survey as a picture in SVG: a grid, green for all ports, amber for some, grey for none. The ports stand in the cells'
//! titles, and in the cells where there is room.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Cell, cells, plain};
use crate::Survey;

const CELL: usize = 96;
const ROW: usize = 26;
const LEFT: usize = 170;
const TOP: usize = 120;
/// Letters that fit into a cell.
const ROOM: usize = 13;

/// Gives the picture as text.
#[must_use]
pub fn svg(survey: &Survey) -> String {
    let cells = cells(survey);
    let count = survey.places.len();
    let (width, height) = (LEFT + count * CELL + 10, TOP + count * ROW + 10);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<title>Who reaches whom</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    for (number, place) in survey.places.iter().enumerate() {
        let label = escaped(&labelled(&place.name, &place.networks));
        let (x, y) = (LEFT + number * CELL + CELL / 2, TOP + number * ROW + 17);
        // Writing to a string does not fail.
        writeln!(
            text,
            "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8
        )
        .ok();
        let turned = format!("rotate(-40 {x} {})", TOP - 8);
        writeln!(
            text,
            "<text x=\"{x}\" y=\"{}\" transform=\"{turned}\">{label}</text>",
            TOP - 8
        )
        .ok();
    }
    for from in 0..count {
        for to in 0..count {
            text.push_str(&square(survey, &cells, (from, to)));
        }
    }
    text.push_str("</svg>\n");
    text
}

fn square(
    survey: &Survey,
    cells: &BTreeMap<(usize, usize), Cell>,
    (from, to): (usize, usize),
) -> String {
    let Some(cell) = cells.get(&(from, to)) else {
        return String::new();
    };
    let (x, y) = (LEFT + to * CELL, TOP + from * ROW);
    let colour = match (cell.is_none(), cell.is_all()) {
        (true, _) => "#e6e6e6",
        (false, true) => "#8fce9a",
        (false, false) => "#f2c879",
    };
    let words = match cell.is_none() {
        true => "none".to_owned(),
        false => cell.words(),
    };
    let name = |number: usize| survey.places.get(number).map_or("", |place| &place.name);
    let title = escaped(&format!("{} to {}: {words}", name(from), name(to)));
    let shown = match (cell.is_none(), words.chars().count() > ROOM) {
        (true, _) => String::new(),
        (false, true) => words.chars().take(ROOM - 1).chain(['…']).collect(),
        (false, false) => words,
    };
    format!(
        "<g><title>{title}</title><rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{colour}\"/>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text></g>\n",
        CELL - 2,
        ROW - 2,
        x + CELL / 2,
        y + 16,
        escaped(&shown)
    )
}

fn labelled(name: &str, networks: &[String]) -> String {
    match networks {
        [] => name.to_owned(),
        networks => format!("{name} ({})", networks.join(", ")),
    }
}

fn escaped(text: &str) -> String {
    let text = plain(text).replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{survey, survey::tests::world};

    #[test]
    fn a_name_cannot_leave_its_text() {
        let mut survey = survey(&world());
        survey.places[0].name = "<script>&\"".into();
        let text = svg(&survey);
        assert!(
            text.contains("&lt;script&gt;&amp;&quot;") && !text.contains("<script"),
            "{text}"
        );
        assert!(text.contains("80/tcp publi…"), "{text}");
        assert_eq!(text.matches("<rect").count(), 1 + 5 * 5 - 5 - 2);
    }
}
