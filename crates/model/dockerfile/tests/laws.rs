//! Laws of reading: nothing panics, nothing grows without bound, plain text stays what it is.

#[cfg(test)]
mod tests {
    use hakone_dockerfile::{
        BuildArgs, Dockerfile, Escape, GlobalScope, Graph, Outline, Platforms, Variables,
        ignore::Ignore,
        pattern::{Flavor, Pattern},
        word,
    };
    use proptest::prelude::*;

    /// Lines made of the pieces that the grammar is about.
    fn any_file() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "FROM a",
            " AS b",
            "\n",
            "\\\n",
            "RUN ",
            "COPY ",
            "ADD ",
            "--mount=type=cache,target=/x ",
            "--from=b ",
            "<<EOF",
            "EOF\n",
            "[\"a\"",
            "]",
            "$x",
            "${x:-",
            "}",
            "'",
            "\"",
            "ENV a=",
            "ARG x=",
            "# escape=`\n",
            "`",
            " ",
            "HEALTHCHECK CMD ",
            "ONBUILD ",
            "LABEL ",
            "\u{feff}",
            "\r\n",
            "\t",
            "ä",
        ]);
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Whatever the file, it is read or refused; what is read can be built upon.
        #[test]
        fn a_file_is_read_or_refused(text in any_file()) {
            Outline::parse(text.as_bytes()).ok();
            if let Ok(file) = Dockerfile::parse(text.as_bytes())
                && let Ok(global) = GlobalScope::new(&file, &BuildArgs::default(), &Platforms::default())
                && let Ok(graph) = Graph::new(&file, &global)
            {
                let target = graph.target(None).unwrap();
                let needed = graph.needed(target);
                prop_assert_eq!(needed.last(), Some(&target));
                let lines = u32::try_from(text.lines().count()).unwrap();
                prop_assert!(file.steps().all(|step| step.span.first <= step.span.last && step.span.last <= lines));
            }
        }

        /// A word without signs is itself; one in single quotes is what stands in them.
        #[test]
        fn plain_words_stay(text in "[a-zA-Z0-9/.:=_ -]{0,40}") {
            let none = Variables::default();
            prop_assert_eq!(word(&text, Escape::Backslash, &none).unwrap(), text.clone());
            let quoted = format!("'${{{text}}}'");
            prop_assert_eq!(word(&quoted, Escape::Backslash, &none).unwrap(), format!("${{{text}}}"));
        }

        /// A prefix and what is cut behind it are the whole value.
        #[test]
        fn cutting_a_literal_prefix_leaves_the_rest(head in "[a-z]{0,8}", tail in "[a-z]{0,8}") {
            let mut variables = Variables::default();
            variables.set("v", &format!("{head}{tail}")).unwrap();
            let cut = word(&format!("${{v#{head}}}"), Escape::Backslash, &variables).unwrap();
            prop_assert_eq!(cut, tail);
        }

        /// A name without wildcards matches itself alone, and is left out with all that is below it.
        #[test]
        fn a_plain_pattern_is_a_path(name in "[a-z]{1,5}(/[a-z]{1,5}){0,3}", other in "[a-z]{1,5}") {
            let pattern = Pattern::parse(&name, Flavor::Path).unwrap();
            prop_assert!(pattern.matches(&name));
            let ignore = Ignore::parse(name.as_bytes()).unwrap();
            let below = format!("{name}/{other}");
            let beside = format!("{name}{other}");
            prop_assert!(ignore.excludes(&below));
            prop_assert!(!ignore.excludes(&beside));
            let kept = Ignore::parse(format!("{name}\n!{below}").as_bytes()).unwrap();
            prop_assert!(!kept.excludes(&below) && kept.may_hold_exceptions(&name));
        }

        /// A folder that holds no exceptions holds none at any depth.
        #[test]
        fn folders_without_exceptions_need_no_walk(
            rules in prop::collection::vec("!?(\\*\\*/)?[ab*?]{1,3}(/[ab*]{1,2})?", 0..5),
            folder in "[ab]{1,2}(/[ab]{1,2}){0,2}",
            name in "[ab]{1,2}(/[ab]{1,2}){0,2}",
        ) {
            if let Ok(ignore) = Ignore::parse(rules.join("\n").as_bytes()) {
                let path = format!("{folder}/{name}");
                if ignore.excludes(&folder) && !ignore.may_hold_exceptions(&folder) {
                    prop_assert!(ignore.excludes(&path), "{path} of {rules:?}");
                }
            }
        }
    }
}
