//! Histories, configs and plans, in Docker's words.

use hakone_dockerfile::{Dockerfile, Platforms};

use super::*;

struct Stage {
    state: State,
    planned: Vec<Result<Planned, Error>>,
}

fn stage(text: &str, given: &[(&str, &str)], words: Words) -> Stage {
    let file = Dockerfile::parse(format!("FROM base\n{text}").as_bytes()).unwrap();
    let given = given
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let global = GlobalScope::new(&file, &given.collect(), &Platforms::default()).unwrap();
    let base = ImageConfig {
        cmd: Some(vec!["base".to_owned()]),
        ..ImageConfig::default()
    };
    let (mut state, _) = State::new(&global, &base, Escape::Backslash, words).unwrap();
    let planned = file.stages[0]
        .steps
        .iter()
        .map(|step| state.plan(step))
        .collect();
    Stage { state, planned }
}

fn history(text: &str) -> Vec<String> {
    let stage = stage(
        text,
        &[("V", "given"), ("API_TOKEN", "hush")],
        Words::Classic,
    );
    let texts = stage.planned.into_iter().map(|one| one.unwrap().history);
    texts.collect()
}

#[test]
fn the_history_is_in_dockers_words() {
    let told = history(
        "ENV A=1 B=\"two words\"\nLABEL x=y\nCMD echo hi\nCMD [\"a\", \"b\"]\nENTRYPOINT [\"e\"]\nEXPOSE 90 80/udp\nUSER me\n\
         VOLUME /a /b\nWORKDIR w\nSTOPSIGNAL SIGINT\nARG V=1\nRUN make\nRUN [\"a\", \"b\"]\nCOPY a /b/\nADD --chown=1:2 a b\n\
         ONBUILD RUN x\nMAINTAINER me\nHEALTHCHECK --interval=90s --retries=3 CMD curl -f x\nHEALTHCHECK NONE\nSHELL [\"/bin/bash\", \"-c\"]\nRUN make",
    );
    assert_eq!(
        told,
        [
            "/bin/sh -c #(nop)  ENV A=1 B=two words",
            "/bin/sh -c #(nop)  LABEL x=y",
            "/bin/sh -c #(nop)  CMD [\"/bin/sh\" \"-c\" \"echo hi\"]",
            "/bin/sh -c #(nop)  CMD [\"a\" \"b\"]",
            "/bin/sh -c #(nop)  ENTRYPOINT [\"e\"]",
            "/bin/sh -c #(nop)  EXPOSE 80/udp 90",
            "/bin/sh -c #(nop)  USER me",
            "/bin/sh -c #(nop)  VOLUME [/a /b]",
            "/bin/sh -c #(nop) WORKDIR /w",
            "/bin/sh -c #(nop)  STOPSIGNAL SIGINT",
            "/bin/sh -c #(nop)  ARG V=1",
            "|1 V=given /bin/sh -c make",
            "|1 V=given a b",
            "/bin/sh -c #(nop) COPY {} in /b/ ",
            "/bin/sh -c #(nop) ADD --chown=1:2 {} in b ",
            "/bin/sh -c #(nop)  ONBUILD RUN x",
            "/bin/sh -c #(nop)  MAINTAINER me",
            "/bin/sh -c #(nop)  HEALTHCHECK &{[\"CMD-SHELL\" \"curl -f x\"] \"1m30s\" \"0s\" \"0s\" \"0s\" '\\x03'}",
            "/bin/sh -c #(nop)  HEALTHCHECK &{[\"NONE\"] \"0s\" \"0s\" \"0s\" \"0s\" '\\x00'}",
            "/bin/bash -c #(nop)  SHELL [/bin/bash -c]",
            "|1 V=given /bin/bash -c make",
        ]
    );
}

#[test]
fn what_looks_like_a_secret_is_not_in_the_history_and_counts_all_the_same() {
    let planned = |value: &str| {
        let given = [("API_TOKEN", value)];
        let stage = stage("ARG API_TOKEN\nRUN x", &given, Words::Classic);
        stage.planned[1].clone().unwrap()
    };
    let (one, other) = (planned("hush"), planned("other"));
    assert_eq!(one.history, "|1 API_TOKEN=*** /bin/sh -c x");
    assert_ne!(one.identity, other.identity);
    let Effect::Run(run) = one.effect else {
        panic!("{one:?}");
    };
    assert_eq!(run.environment, ["API_TOKEN=hush"]);
}

#[test]
fn an_entry_point_forgets_the_command_of_the_base_and_not_ones_own() {
    let entry = stage("ENTRYPOINT x", &[], Words::Classic);
    assert_eq!(entry.state.config().cmd, None);
    let own = stage("CMD [\"a\"]\nENTRYPOINT x", &[], Words::Classic);
    assert_eq!(
        own.state.config().cmd.as_deref(),
        Some(&["a".to_owned()][..])
    );
    let none = stage("RUN x", &[], Words::Classic);
    assert_eq!(
        none.state.config().cmd.as_deref(),
        Some(&["base".to_owned()][..])
    );
}

#[test]
fn destinations_are_absolute_and_keep_their_slash() {
    let to = |line: &str| {
        let stage = stage(&format!("WORKDIR /w\n{line}"), &[], Words::Classic);
        match stage.planned[1].clone().unwrap().effect {
            Effect::Copy(copy) => copy.destination,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(to("COPY a ."), "/w/");
    assert_eq!(to("COPY a b"), "/w/b");
    assert_eq!(to("COPY a /x/../y/"), "/y/");
    assert_eq!(to("COPY a ../../../up"), "/up");
}

#[test]
fn several_files_need_a_folder_and_modes_are_octal() {
    let refused = |line: &str| {
        let stage = stage(line, &[], Words::Classic);
        stage.planned[0].clone().unwrap_err().to_string()
    };
    assert_eq!(
        refused("COPY a b c"),
        "When using COPY with more than one source file, the destination must be a directory and end with a /"
    );
    assert!(refused("COPY --chmod=u+x a b").starts_with("invalid chmod parameter"));
    assert!(refused("EXPOSE nosuch").starts_with("Invalid containerPort"));
}

#[test]
fn buildkits_words_are_others() {
    let stage = stage(
        "COPY --chmod=755 a b /c/\nRUN make\nEXPOSE 80\nWORKDIR /w",
        &[],
        Words::Buildkit,
    );
    let told: Vec<String> = stage
        .planned
        .into_iter()
        .map(|one| one.unwrap().history)
        .collect();
    assert_eq!(
        told,
        [
            "COPY --chmod=755 a b /c/ # buildkit",
            "RUN /bin/sh -c make # buildkit",
            "EXPOSE map[80/tcp:{}]",
            "WORKDIR /w"
        ]
    );
}

#[test]
fn files_may_come_from_elsewhere_and_still_be_the_same() {
    let identity = |line: &str| {
        let stage = stage(line, &[], Words::Classic);
        stage.planned[0].clone().unwrap().identity
    };
    assert_eq!(identity("COPY --from=x a /b"), identity("COPY other /b"));
    assert_ne!(identity("COPY a /b"), identity("COPY a /c"));
    assert_ne!(identity("COPY --chown=1 a /b"), identity("COPY a /b"));
}

#[test]
fn a_stage_upon_a_stage_has_its_arguments_with_buildkit_alone() {
    let seen = |words: Words| {
        let parent = stage("ARG V=1\nARG W\n", &[("W", "given")], words).state;
        let child = stage("", &[], words);
        let mut state = child.state;
        state.inherit(parent.scope()).unwrap();
        let step = Dockerfile::parse(b"FROM base\nRUN echo\n").unwrap();
        let planned = state.plan(&step.stages[0].steps[0]).unwrap();
        match planned.effect {
            Effect::Run(plan) => plan.environment,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(seen(Words::Classic), [""; 0]);
    assert_eq!(seen(Words::Buildkit), ["V=1", "W=given"]);
}

#[test]
fn another_images_history_counts_where_it_tells_all() {
    let told = |text: &str, words: Words| {
        let given = [("V", "given"), ("API_TOKEN", "hush")];
        let planned = stage(text, &given, words).planned;
        planned.into_iter().next_back().unwrap().unwrap().told
    };
    for text in ["ENV A=1", "WORKDIR /w", "RUN make", "ARG V\nRUN make"] {
        assert!(
            told(text, Words::Classic) && told(text, Words::Buildkit),
            "{text}"
        );
    }
    // Values that are not shown, files that are mounted.
    for text in ["ARG API_TOKEN\nRUN make", "RUN --mount=target=/s make"] {
        assert!(
            !told(text, Words::Classic) && !told(text, Words::Buildkit),
            "{text}"
        );
    }
    // BuildKit's history has no digest of what is copied.
    for text in ["COPY a /b/", "ADD a b", "COPY --from=x a /b/"] {
        assert!(
            told(text, Words::Classic) && !told(text, Words::Buildkit),
            "{text}"
        );
    }
    for text in [
        "COPY --chmod=700 a b",
        "COPY --exclude=x a b",
        "COPY --parents a b",
        "ADD --unpack=false a b",
    ] {
        assert!(!told(text, Words::Classic), "{text}");
    }
}
