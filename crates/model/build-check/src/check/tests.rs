//! Each check, broken and kept.

use super::*;

fn found(text: &str, facts: &Facts) -> Vec<String> {
    let file = Dockerfile::parse(text.as_bytes()).unwrap();
    let line = |warning: &Warning| format!("{}:{}", warning.rule.name(), warning.span.first);
    check(&file, facts).iter().map(line).collect()
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    facts
        .environments
        .insert("a:1".into(), vec!["HOME_OF_A".into()]);
    facts
}

#[test]
fn each_check_finds_what_it_is_about() {
    let table: [(&str, &[&str]); 24] = [
        ("FROM a:1 AS Base\n", &["StageNameCasing:1"]),
        ("FROM a:1 as base\n", &["FromAsCasing:1"]),
        ("FROM a:1\nRUN a \\\n\n b\n", &["NoEmptyContinuation:2"]),
        (
            "FROM a:1\nRUN b\nrun c\n",
            &["ConsistentInstructionCasing:3"],
        ),
        ("FROM a:1 AS b\nFROM a:1 AS b\n", &["DuplicateStageName:2"]),
        ("FROM a:1 AS context\n", &["ReservedStageName:1"]),
        ("FROM a:1\nCMD a\n", &["JSONArgsRecommended:2"]),
        ("FROM a:1\nSHELL [\"b\"]\nCMD a\n", &[]),
        (
            "FROM a:1 AS b\nCMD a\nSHELL [\"c\"]\nFROM b\nCMD a\n",
            &["JSONArgsRecommended:2"],
        ),
        ("FROM a:1\nMAINTAINER a\n", &["MaintainerDeprecated:2"]),
        ("FROM a:1$V\n", &["UndefinedArgInFrom:1"]),
        ("FROM a:1\nWORKDIR b\n", &["WorkdirRelativePath:2"]),
        ("FROM a:1\nCOPY $no /\n", &["UndefinedVar:2"]),
        (
            "FROM a:1\nCMD [\"a\"]\nCMD [\"b\"]\n",
            &["MultipleInstructionsDisallowed:2"],
        ),
        ("FROM a:1\nENV a b\n", &["LegacyKeyValueFormat:2"]),
        (
            "FROM --platform=$TARGETPLATFORM a:1\n",
            &["RedundantTargetPlatform:1"],
        ),
        ("FROM a:1\nARG API_TOKEN\n", &["SecretsUsedInArgOrEnv:2"]),
        ("ARG V\nFROM a:$V\n", &["InvalidDefaultArgInFrom:2"]),
        (
            "FROM --platform=linux/amd64 a:1\n",
            &["FromPlatformFlagConstDisallowed:1"],
        ),
        ("FROM a:1\nCOPY secret.txt /\n", &["CopyIgnoredFile:2"]),
        ("FROM a:1\nEXPOSE 80/TCP\n", &["ExposeProtoCasing:2"]),
        (
            "FROM a:1\nEXPOSE 127.0.0.1:80:80\n",
            &["ExposeInvalidFormat:2"],
        ),
        ("# check=skip=JSONArgsRecommended\nFROM a:1\nCMD a\n", &[]),
        ("# check=skip=all\nFROM a:1 as B\nCMD a\n", &[]),
    ];
    let mut facts = facts();
    facts.ignore = Ignore::parse(b"secret.txt\n").unwrap();
    for (text, wanted) in table {
        let found = found(text, &facts);
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn a_good_file_has_no_warning() {
    let text = "ARG V=1\nFROM --platform=$BUILDPLATFORM a:$V AS build\nARG TARGETARCH\nWORKDIR /src\nENV OUT=/out\n\
        RUN make $whatever\nFROM build AS more\nWORKDIR sub\nCOPY $OUT $HOME_OF_A $PATH $TARGETARCH /x/\nENV PUBLIC_KEY=1\n\
        FROM scratch\nCOPY --from=build /out /\nEXPOSE 80/tcp 53/udp\nENTRYPOINT [\"/app\"]\n";
    assert_eq!(found(text, &facts()), [""; 0]);
}

#[test]
fn of_an_unknown_image_nothing_is_said_to_be_unset() {
    let text = "FROM unknown:1\nCOPY $no /\n";
    assert_eq!(found(text, &facts()), [""; 0]);
    let text = "FROM scratch\nENV Name=1\nCOPY $NAME /\n";
    let file = Dockerfile::parse(text.as_bytes()).unwrap();
    let warnings = check(&file, &facts());
    assert_eq!(warnings[0].message, "$NAME is not set here ($Name is)");
}
