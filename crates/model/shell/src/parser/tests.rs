//! Scripts as `RUN` lines have them.

use super::*;
use crate::{Part, Visit, walk};

#[derive(Default)]
struct Names(Vec<String>);

impl Visit for Names {
    fn simple(&mut self, simple: &Simple) {
        self.0.extend(simple.name());
    }
}

fn names(text: &str) -> Vec<String> {
    let mut names = Names::default();
    let script = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    walk(&script, &mut names);
    names.0
}

#[test]
fn every_command_is_found() {
    let table: [(&str, &[&str]); 21] = [
        ("a && b || c; d & e", &["a", "b", "c", "d", "e"]),
        ("a | b |& c", &["a", "b", "c"]),
        ("X=1 Y=$(a) b", &["b", "a"]),
        ("(a; b) && { c; d; }", &["a", "b", "c", "d"]),
        (
            "if a; then b; elif c; then d; else e; fi",
            &["a", "b", "c", "d", "e"],
        ),
        (
            "while a; do b; done; until c; do d; done",
            &["a", "b", "c", "d"],
        ),
        ("for i in 1 2 $(a); do b $i; done", &["a", "b"]),
        ("for i; do a; done", &["a"]),
        ("for ((i=0;i<3;i++)); do a; done", &["a"]),
        ("case $x in a|b) c;; (*) d;; esac", &["c", "d"]),
        ("f() { a; }; function g { b; }; f", &["a", "b", "f"]),
        ("echo \"$(a \"$(b)\")\" `c`", &["echo", "a", "b", "c"]),
        ("diff <(a) <(b)", &["diff", "a", "b"]),
        ("[[ a == b && ( -f c || $x =~ ^(a|b)$ ) ]] && d", &["d"]),
        ("(( i++ )); a", &["a"]),
        ("a > b 2>&1 < c &> d; e >> f", &["a", "e"]),
        ("a <<EOF\nb $(c)\nEOF\nd", &["a", "d"]),
        ("a # b\nc \\\n d", &["a", "c"]),
        ("! a", &["a"]),
        ("echo if then } fi", &["echo"]),
        ("((a); b); c", &["a", "b", "c"]),
    ];
    for (text, wanted) in table {
        assert_eq!(names(text), wanted, "{text}");
    }
}

#[test]
fn what_does_not_hold_together_is_no_script() {
    for text in [
        "a &&",
        "a |",
        "(a",
        "if a; then b",
        "a )",
        "'a",
        "\"a",
        "$(a",
        "`a",
        "${a",
        "for i in a; b",
        "case a in",
        "a > ",
        "; a",
        "a ;; b",
        "{ a",
    ] {
        assert_eq!(parse(text), Err(Fault::Syntax), "{text}");
    }
}

#[test]
fn words_keep_their_parts() {
    let script = parse("echo a\"b $c\"'d'\\e${f:-g}$'h'").unwrap();
    let Command::Simple(simple) = &script[0].first.commands[0] else {
        panic!()
    };
    let word = &simple.words[1];
    assert_eq!(word.text(), "ab ${c}de${f}h");
    assert!(matches!(word.parts[1], Part::Double(_)));
    assert!(matches!(&word.parts[4], Part::Parameter(one) if one.modifier == ":-g"));
    assert_eq!(simple.words[0].literal().as_deref(), Some("echo"));
    assert_eq!(word.literal(), None);
}

#[test]
fn nesting_and_size_have_an_end() {
    assert_eq!(parse(&"( ".repeat(10_000)), Err(Fault::TooLarge));
    assert_eq!(parse(&"$(".repeat(10_000)), Err(Fault::TooLarge));
    assert_eq!(parse(&"a;".repeat(30_000)), Err(Fault::TooLarge));
    assert_eq!(parse(&"a".repeat(2 << 20)), Err(Fault::TooLarge));
}
