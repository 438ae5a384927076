//! A template and what can be wrong with it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    lexer,
    parser::{self, Node},
    render,
};

/// Why a template is refused, or does not fit the data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no template.
    #[error("template: :1: {0}")]
    Syntax(String),
    /// The data has no such thing.
    #[error("template: :1: executing \"\" at <{at}>: {reason}")]
    Execution {
        /// The part of the template.
        at: String,
        /// What is wrong there.
        reason: String,
    },
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Node>);

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// When the text is no template.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parser::parse(lexer::pieces(text)?).map(Self)
    }

    /// Fills the template with data.
    ///
    /// # Errors
    /// When it names what the data does not have.
    pub fn render(&self, data: &Value) -> Result<String, Error> {
        self.render_row(data, &BTreeMap::new())
    }

    /// Fills the template with a row of a list, whose labels answer `{{.Label "key"}}`.
    ///
    /// # Errors
    /// When it names what the row does not have.
    pub fn render_row(
        &self,
        data: &Value,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, Error> {
        render::render(&self.0, data, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fill(template: &str, data: &Value) -> String {
        match Template::parse(template).and_then(|template| template.render(data)) {
            Ok(text) => text,
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn fields_and_text_alternate() {
        let data = json!({"Name": "web", "State": {"Pid": 7}});
        assert_eq!(fill("{{.Name}}={{.State.Pid}}!", &data), "web=7!");
        assert_eq!(fill("{{ (.State).Pid }}", &data), "7");
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        assert_eq!(
            fill("{{.Foo}}", &json!({})),
            "error: template: :1: executing \"\" at <.Foo>: map has no entry for key \"Foo\""
        );
    }

    #[test]
    fn a_field_is_found_whatever_gos_struct_calls_it() {
        assert_eq!(fill("{{.ID}}", &json!({"Id": "ab"})), "ab");
    }

    #[test]
    fn range_walks_lists_and_sorted_maps() {
        let data = json!({"L": [1, 2], "M": {"b": "y", "a": "x"}});
        assert_eq!(fill("{{range .L}}<{{.}}>{{end}}", &data), "<1><2>");
        assert_eq!(
            fill("{{range $k, $v := .M}}{{$k}}={{$v}} {{end}}", &data),
            "a=x b=y "
        );
        assert_eq!(
            fill(
                "{{range $i, $e := .L}}{{if $i}},{{end}}{{$e}}{{end}}",
                &data
            ),
            "1,2"
        );
        assert_eq!(
            fill("{{range .N}}x{{else}}none{{end}}", &json!({"N": []})),
            "none"
        );
    }

    #[test]
    fn conditions_compare_as_in_go() {
        let data = json!({"N": 3, "S": "", "T": true});
        assert_eq!(
            fill("{{if and .T (gt .N 2)}}yes{{else}}no{{end}}", &data),
            "yes"
        );
        assert_eq!(
            fill("{{if .S}}a{{else if eq .N 3 4}}b{{else}}c{{end}}", &data),
            "b"
        );
        assert_eq!(fill("{{if not .T}}a{{end}}", &data), "");
    }

    #[test]
    fn dockers_functions_are_there() {
        let data = json!({"A": ["x", "y"], "S": "web/1", "E": {"k": "<v>"}});
        assert_eq!(fill("{{join .A \", \"}}", &data), "x, y");
        assert_eq!(fill("{{json .E}}", &data), "{\"k\":\"<v>\"}");
        assert_eq!(
            fill("{{upper .S}} {{title \"abc\"}} {{lower \"ABC\"}}", &data),
            "WEB/1 Abc abc"
        );
        assert_eq!(fill("{{index (split .S \"/\") 1}}", &data), "1");
        assert_eq!(
            fill("{{truncate .S 3}}|{{pad .S 1 2}}|", &data),
            "web| web/1  |"
        );
        assert_eq!(
            fill("{{printf \"%s-%d-%q\" .S 5 \"q\"}}", &data),
            "web/1-5-\"q\""
        );
        assert_eq!(fill("{{.S | upper | printf \"%5s|\"}}", &data), "WEB/1|");
        assert_eq!(fill("{{len .A}}", &data), "2");
        assert_eq!(fill("{{println .S}}", &data), "web/1\n");
    }

    #[test]
    fn values_print_as_in_go() {
        let data = json!({"L": ["a", "b"], "M": {"z": 1, "a": true}, "N": null, "E": []});
        assert_eq!(
            fill("{{.L}} {{.M}} {{.N}} {{.E}}", &data),
            "[a b] map[a:true z:1] <no value> []"
        );
    }

    #[test]
    fn variables_with_and_trimming() {
        let data = json!({"A": {"B": "c"}});
        assert_eq!(
            fill(
                "{{$x := .A.B}}{{with .A}}{{.B}}{{$x}}{{$.A.B}}{{end}}",
                &data
            ),
            "ccc"
        );
        assert_eq!(fill("a  {{- \"b\" -}}  c{{/* gone */}}", &data), "abc");
    }

    #[test]
    fn broken_templates_are_refused() {
        for text in [
            "{{",
            "{{.A",
            "{{if .A}}",
            "{{end}}",
            "{{nope .}}",
            "{{\"x}}",
            "{{range}}{{end}}",
        ] {
            assert!(
                fill(text, &json!({"A": 1})).starts_with("error: template"),
                "{text}"
            );
        }
    }
}
