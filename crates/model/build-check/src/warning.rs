//! A warning: which check, where, and what is wrong.

use hakone_dockerfile::Span;

macro_rules! rules {
    ($($rule:ident $page:literal $about:literal,)*) => {
        /// A check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $about] $rule,)* }

        impl Rule {
            /// Gives the name, as `# check=skip=` has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rule => stringify!($rule),)* }
            }

            /// Says what the check is about.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$rule => $about,)* }
            }

            /// Gives the page that explains it.
            #[must_use]
            pub const fn url(self) -> &'static str {
                match self {
                    $(Self::$rule => concat!("https://docs.docker.com/go/dockerfile/rule/", $page, "/"),)*
                }
            }
        }
    };
}

rules! {
    StageNameCasing "stage-name-casing" "Names of stages are written in small letters.",
    FromAsCasing "from-as-casing" "FROM and AS are written in the same letters.",
    NoEmptyContinuation "no-empty-continuation" "No empty line stands within an instruction.",
    ConsistentInstructionCasing "consistent-instruction-casing" "All instructions are written in the same letters.",
    DuplicateStageName "duplicate-stage-name" "No two stages have one name.",
    ReservedStageName "reserved-stage-name" "No stage has a name with a meaning of its own.",
    JSONArgsRecommended "json-args-recommended" "CMD and ENTRYPOINT are lists, so that signals arrive.",
    MaintainerDeprecated "maintainer-deprecated" "The author is told by a label.",
    UndefinedArgInFrom "undefined-arg-in-from" "FROM uses arguments that are declared.",
    WorkdirRelativePath "workdir-relative-path" "The first WORKDIR does not depend on the base image.",
    UndefinedVar "undefined-var" "Variables are set before they are used.",
    MultipleInstructionsDisallowed "multiple-instructions-disallowed" "What counts once is said once.",
    LegacyKeyValueFormat "legacy-key-value-format" "ENV and LABEL are written with an equals sign.",
    RedundantTargetPlatform "redundant-target-platform" "FROM does not ask for the platform that it has anyway.",
    SecretsUsedInArgOrEnv "secrets-used-in-arg-or-env" "Secrets are mounted, not kept in ARG or ENV.",
    InvalidDefaultArgInFrom "invalid-default-arg-in-from" "FROM names an image with the defaults alone.",
    FromPlatformFlagConstDisallowed "from-platform-flag-const-disallowed" "FROM leaves the platform to the build.",
    CopyIgnoredFile "copy-ignored-file" "Nothing is copied that .dockerignore leaves out.",
    ExposeProtoCasing "expose-proto-casing" "Protocols of ports are written in small letters.",
    ExposeInvalidFormat "expose-invalid-format" "EXPOSE names ports, not addresses of the host.",
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The check.
    pub rule: Rule,
    /// The lines of the instruction.
    pub span: Span,
    /// What is wrong with it.
    pub message: String,
}

/// Warnings as they come up.
#[derive(Debug, Default)]
pub(crate) struct Warnings(pub(crate) Vec<Warning>);

impl Warnings {
    pub(crate) fn add(&mut self, rule: Rule, span: Span, message: impl Into<String>) {
        let message = message.into();
        self.0.push(Warning {
            rule,
            span,
            message,
        });
    }
}
