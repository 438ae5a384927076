//! Expansions as the Dockerfile reference describes them.

use super::*;

fn variables() -> Variables {
    let mut set = Variables::default();
    for (name, value) in [
        ("x", "value"),
        ("empty", ""),
        ("path", "/usr/local/lib/a.tar.gz"),
        ("spaced", "a  b"),
        ("1", "one"),
    ] {
        set.set(name, value).unwrap();
    }
    set
}

fn expand(text: &str) -> Result<String, String> {
    word(text, Escape::Backslash, &variables()).map_err(|problem| problem.to_string())
}

#[test]
fn words_become_what_the_reference_says() {
    let table = [
        ("plain", "plain"),
        ("$x", "value"),
        ("${x}", "value"),
        ("$xy", ""),
        ("${x}y", "valuey"),
        ("a$", "a$"),
        ("$1x", "onex"),
        ("\\$x", "$x"),
        ("\\${x}", "${x}"),
        ("'$x'", "$x"),
        ("\"$x\"", "value"),
        ("\"\\$x\"", "$x"),
        ("\"a\\b\"", "a\\b"),
        ("\"\\\"\"", "\""),
        ("a\\", "a"),
        ("${none:-d}", "d"),
        ("${empty:-d}", "d"),
        ("${empty-d}", ""),
        ("${none-d}", "d"),
        ("${x:+alt}", "alt"),
        ("${empty:+alt}", ""),
        ("${empty+alt}", "alt"),
        ("${none+alt}", ""),
        ("${none:-${x}}", "value"),
        ("${none:-'a b'}", "a b"),
        ("${x:?no}", "value"),
        ("${path#*/}", "usr/local/lib/a.tar.gz"),
        ("${path##*/}", "a.tar.gz"),
        ("${path%.*}", "/usr/local/lib/a.tar"),
        ("${path%%.*}", "/usr/local/lib/a"),
        ("${path#nothing}", "/usr/local/lib/a.tar.gz"),
        ("${path/\\//_}", "_usr/local/lib/a.tar.gz"),
        ("${path//\\//_}", "_usr_local_lib_a.tar.gz"),
        ("${path//l?/L}", "/usr/LcaLLb/a.tar.gz"),
        ("${x/*/n}", "n"),
        ("äö$x", "äövalue"),
    ];
    for (text, wanted) in table {
        assert_eq!(expand(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn what_does_not_hold_together_is_an_error() {
    let table = [
        ("${", "syntax error: missing '}'"),
        ("${x", "syntax error: missing '}'"),
        ("${x:-", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${:x}", "syntax error: bad substitution"),
        ("${x:#y}", "unsupported modifier (:#) in substitution"),
        ("${x@y}", "unsupported modifier (@) in substitution"),
        ("${none:?}", "none: is not allowed to be unset"),
        ("${none?must be set}", "none: must be set"),
        ("${x/a}", "syntax error: missing '/' in ${}"),
        (
            "'a",
            "unexpected end of statement while looking for matching single-quote",
        ),
        (
            "\"a",
            "unexpected end of statement while looking for matching double-quote",
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(expand(text), Err(wanted.into()), "{text}");
    }
}

#[test]
fn values_divide_into_words_unless_quoted() {
    let split = |text| words(text, Escape::Backslash, &variables()).unwrap();
    assert_eq!(split("$spaced c"), ["a", "b", "c"]);
    assert_eq!(split("\"$spaced\" c\\ d"), ["a  b", "c d"]);
    assert_eq!(split("  "), [""; 0]);
}

#[test]
fn the_backtick_can_be_the_escape() {
    let read = |text| word(text, Escape::Backtick, &variables()).unwrap();
    assert_eq!(read("`$x c:\\dir"), "$x c:\\dir");
}

#[test]
fn what_was_not_set_is_told() {
    let set = variables();
    let found = Text::new(Escape::Backslash, &set)
        .word("$x $no ${nor} ${ok:-1}")
        .unwrap();
    assert_eq!(found.unset, ["no", "nor"]);
}

#[test]
fn nothing_grows_without_bound() {
    let deep = format!("{}{}", "${a:-".repeat(1_000), "}".repeat(1_000));
    assert_eq!(expand(&deep), Err("variables nested too deeply".into()));
    let mut set = Variables::default();
    set.set("a", &"a".repeat(1 << 19)).unwrap();
    assert!(word("$a$a$a", Escape::Backslash, &set).is_err());
    let slow = format!("${{a//{}b/c}}", "*a".repeat(100));
    assert!(word(&slow, Escape::Backslash, &set).is_err());
}
