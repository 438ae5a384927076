//! Every instruction and form, and what is refused in which words.

use crate::*;

fn step(line: &str) -> Result<Step, String> {
    let file = format!("FROM a\n{line}\n");
    let file = Dockerfile::parse(file.as_bytes()).map_err(|error| error.to_string())?;
    Ok(file.stages[0].steps[0].clone())
}

fn says(line: &str) -> Instruction {
    step(line).unwrap().instruction
}

fn fails(line: &str) -> String {
    let error = step(line).unwrap_err();
    let prefix = "dockerfile parse error on line 2: ";
    error.strip_prefix(prefix).unwrap_or(&error).to_owned()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn commands_are_lists_or_lines() {
    let line = |text: &str| Command::Shell(text.into());
    assert_eq!(says("CMD a  b"), Instruction::Cmd(line("a  b")));
    assert_eq!(
        says("cmd [\"a\", \"b\"]"),
        Instruction::Cmd(Command::Exec(strings(&["a", "b"])))
    );
    assert_eq!(says("CMD []"), Instruction::Cmd(Command::Exec(vec![])));
    assert_eq!(
        says("ENTRYPOINT ['a']"),
        Instruction::Entrypoint(line("['a']"))
    );
    let Instruction::Run(run) = says("RUN --network=none make") else {
        panic!()
    };
    assert_eq!(run.command, line("make"));
    let shell = strings(&["/bin/sh", "-c"]);
    assert_eq!(run.command.arguments(&shell), ["/bin/sh", "-c", "make"]);
}

#[test]
fn pairs_and_lists() {
    let Instruction::Env(pairs) = says("ENV a=1 b=\"2 3\"") else {
        panic!()
    };
    assert_eq!(
        (pairs.len(), pairs[1].value.as_str(), pairs[1].legacy),
        (2, "\"2 3\"", false)
    );
    let Instruction::Label(pairs) = says("LABEL a b c") else {
        panic!()
    };
    assert_eq!((pairs[0].value.as_str(), pairs[0].legacy), ("b c", true));
    let Instruction::Arg(pairs) = says("ARG a b=\"x y\"") else {
        panic!()
    };
    assert_eq!(
        (pairs[0].default.clone(), pairs[1].default.as_deref()),
        (None, Some("\"x y\""))
    );
    assert_eq!(
        says("EXPOSE 80 53/udp"),
        Instruction::Expose(strings(&["80", "53/udp"]))
    );
    assert_eq!(
        says("VOLUME /a /b"),
        Instruction::Volume(strings(&["/a", "/b"]))
    );
    assert_eq!(
        says("VOLUME [\"/a b\"]"),
        Instruction::Volume(strings(&["/a b"]))
    );
    assert_eq!(
        says("SHELL [\"a\", \"-c\"]"),
        Instruction::Shell(strings(&["a", "-c"]))
    );
}

#[test]
fn words_of_one_argument() {
    assert_eq!(says("USER a b"), Instruction::User("a b".into()));
    assert_eq!(says("WORKDIR /a b"), Instruction::Workdir("/a b".into()));
    assert_eq!(says("STOPSIGNAL 9"), Instruction::StopSignal("9".into()));
    assert_eq!(
        says("MAINTAINER a <b>"),
        Instruction::Maintainer("a <b>".into())
    );
}

#[test]
fn triggers_are_read_twice() {
    let Instruction::Onbuild(onbuild) = says("onbuild copy <<E /x\nc\nE") else {
        panic!()
    };
    assert_eq!(onbuild.text, "copy <<E /x\nc\nE");
    let step = parse_trigger(&onbuild.text).unwrap();
    assert_eq!(step.instruction, *onbuild.trigger);
    assert!(parse_trigger("FROM a").is_err() && parse_trigger("USER a\nUSER b").is_err());
}

#[test]
fn stages_have_names_in_small_letters() {
    let file = "ARG V\nFROM --platform=$P a:$V as Build\nFROM build\n";
    let file = Dockerfile::parse(file.as_bytes()).unwrap();
    let from = &file.stages[0].from;
    assert_eq!(
        (from.image.as_str(), from.platform.as_deref()),
        ("a:$V", Some("$P"))
    );
    assert_eq!(file.stage("BUILD").map(|stage| stage.index), Some(0));
    assert_eq!((file.stages.len(), file.global_arguments.len()), (2, 1));
    assert_eq!(file.stages[0].span(), Span::line(2));
}

#[test]
fn faults_are_told_in_docker_s_words() {
    let table = [
        ("FOO a", "unknown instruction: FOO"),
        ("RUM a", "unknown instruction: RUM (did you mean RUN?)"),
        ("RUN", "RUN requires at least one argument"),
        ("CMD", "CMD requires at least one argument"),
        ("USER", "USER requires exactly one argument"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a b", "FROM requires either one or three arguments"),
        (
            "FROM a AS 1x",
            "invalid name for build stage: \"1x\", name can't start with a number or contain symbols",
        ),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("ARG =a", "ARG names can not be blank"),
        ("SHELL a", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        (
            "VOLUME [\"\"]",
            "VOLUME specified can not be an empty string",
        ),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        (
            "ONBUILD ONBUILD RUN a",
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        ("ONBUILD FROM a", "FROM isn't allowed as an ONBUILD trigger"),
        ("WORKDIR --x /", "unknown flag: --x"),
        (
            "CMD [1]",
            "when using JSON array syntax, arrays must be comprised of strings only",
        ),
    ];
    for (line, wanted) in table {
        assert_eq!(fails(line), wanted, "{line}");
    }
    let whole = |text: &str| Dockerfile::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        whole("\nRUN a"),
        "dockerfile parse error on line 2: no build stage in current context"
    );
    assert_eq!(whole("ARG a"), "dockerfile contains no stages to build");
}
