//! Laws of reading scripts: nothing panics, and quoting a word makes it one word.

#[cfg(test)]
mod tests {
    use hakone_shell::{Command, Visit, parse, walk};
    use proptest::prelude::*;

    struct Nothing;

    impl Visit for Nothing {}

    fn any_script() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            " ",
            ";",
            "&&",
            "||",
            "|",
            "&",
            "(",
            ")",
            "{ ",
            "}",
            "if ",
            "then ",
            "else ",
            "fi",
            "for i in ",
            "do ",
            "done",
            "case x in ",
            "esac",
            ";;",
            "$(",
            "`",
            "\"",
            "'",
            "${",
            "$((",
            "))",
            "[[ ",
            " ]]",
            "<<E\n",
            "E\n",
            "<",
            ">",
            "\\",
            "#",
            "\n",
            "x=",
            "f()",
            "!",
            "ä",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Whatever the text, it is a script or it is refused.
        #[test]
        fn a_script_is_read_or_refused(text in any_script()) {
            if let Ok(script) = parse(&text) {
                walk(&script, &mut Nothing);
            }
        }

        /// Single quotes keep anything together.
        #[test]
        fn quoted_words_are_one(text in "[^'\\x00]{0,40}") {
            let script = parse(&format!("echo '{text}'")).unwrap();
            let Command::Simple(simple) = &script[0].first.commands[0] else { panic!() };
            prop_assert_eq!(simple.words.len(), 2);
            prop_assert_eq!(simple.words[1].literal(), Some(text));
        }
    }
}
