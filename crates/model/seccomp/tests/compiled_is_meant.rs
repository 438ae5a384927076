//! The compiled program says of every call what the rules say of it.

#[cfg(test)]
mod tests {
    use hakone_seccomp::{
        Action, Architecture, Call, Condition, KernelVersion, Operator, Profile, Program, Resolved,
        ResolvedRule, compile,
    };
    use proptest::prelude::*;

    const AUDIT: [(Architecture, u32); 3] = [
        (Architecture::X86_64, 0xc000_003e),
        (Architecture::X86, 0x4000_0003),
        (Architecture::Aarch64, 0xc000_00b7),
    ];

    /// Runs a program as the kernel does; gives the returned value and the number of steps.
    fn run(program: &Program, call: &Call) -> (u32, usize) {
        let audit = AUDIT
            .iter()
            .find(|(architecture, _)| *architecture == call.architecture)
            .unwrap()
            .1;
        let word = |offset: u32| match offset {
            0 => call.number,
            4 => audit,
            16..64 => {
                let argument = call.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) {
                    low(argument)
                } else {
                    low(argument >> 32)
                }
            }
            _ => panic!("a word outside the call's data"),
        };
        let code: Vec<_> = program.instructions().collect();
        let (mut at, mut accumulator) = (0, 0);
        for steps in 1.. {
            let one = code[at];
            let jump = |holds: bool| at + 1 + usize::from(if holds { one.jt } else { one.jf });
            at = match one.code {
                0x20 => {
                    accumulator = word(one.k);
                    at + 1
                }
                0x54 => {
                    accumulator &= one.k;
                    at + 1
                }
                0x05 => at + 1 + one.k as usize,
                0x15 => jump(accumulator == one.k),
                0x25 => jump(accumulator > one.k),
                0x35 => jump(accumulator >= one.k),
                0x06 => return (one.k, steps),
                other => panic!("instruction {other:#x}"),
            };
        }
        unreachable!()
    }

    fn low(argument: u64) -> u32 {
        u32::try_from(argument & 0xffff_ffff).unwrap()
    }

    fn value(action: Action) -> u32 {
        match action {
            Action::KillProcess => 0x8000_0000,
            Action::KillThread => 0,
            Action::Trap => 0x3_0000,
            Action::Errno(number) => 0x5_0000 | u32::from(number),
            Action::Trace(number) => 0x7ff0_0000 | u32::from(number),
            Action::Notify => 0x7fc0_0000,
            Action::Log => 0x7ffc_0000,
            Action::Allow => 0x7fff_0000,
        }
    }

    fn agree(resolved: &Resolved, program: &Program, call: &Call) -> Result<(), TestCaseError> {
        let (given, _) = run(program, call);
        prop_assert_eq!(given, value(resolved.action(call)), "{:?}", call);
        Ok(())
    }

    fn any_action() -> impl Strategy<Value = Action> {
        prop_oneof![
            Just(Action::Allow),
            Just(Action::KillProcess),
            Just(Action::KillThread),
            Just(Action::Trap),
            Just(Action::Notify),
            Just(Action::Log),
            (0_u16..4096).prop_map(Action::Errno),
            (0_u16..4096).prop_map(Action::Trace),
        ]
    }

    /// Values where halves, signs and bits meet.
    fn any_value() -> impl Strategy<Value = u64> {
        prop_oneof![
            0_u64..4,
            any::<u64>(),
            Just(1 << 32),
            Just(u64::from(u32::MAX)),
            Just((1 << 32) + 1),
            Just(u64::MAX),
        ]
    }

    fn any_condition() -> impl Strategy<Value = Condition> {
        let operator = prop_oneof![
            Just(Operator::NotEqual),
            Just(Operator::Less),
            Just(Operator::LessOrEqual),
            Just(Operator::Equal),
            Just(Operator::GreaterOrEqual),
            Just(Operator::Greater),
            any_value().prop_map(|mask| Operator::MaskedEqual { mask }),
        ];
        (0_u8..6, operator, any_value()).prop_map(|(index, operator, value)| Condition {
            index,
            operator,
            value,
        })
    }

    const NAMES: [&str; 10] = [
        "read",
        "write",
        "open",
        "clone",
        "socket",
        "personality",
        "socketcall",
        "file_setattr",
        "nosuch",
        "openat2",
    ];

    fn any_rules() -> impl Strategy<Value = Resolved> {
        let name = prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
        let rule = (
            prop::collection::vec(name, 1..4),
            any_action(),
            prop::collection::vec(any_condition(), 0..3),
        )
            .prop_map(|(names, action, conditions)| ResolvedRule {
                names,
                action,
                conditions,
            });
        let architectures = prop_oneof![
            Just(vec![Architecture::X86_64]),
            Just(vec![Architecture::X86_64, Architecture::X86]),
            Just(vec![
                Architecture::X86_64,
                Architecture::X86,
                Architecture::X32
            ]),
            Just(vec![Architecture::Aarch64]),
        ];
        (
            any_action(),
            architectures,
            prop::collection::vec(rule, 0..12),
        )
            .prop_map(|(default, architectures, rules)| Resolved {
                default,
                architectures,
                rules,
            })
    }

    fn any_call() -> impl Strategy<Value = Call> {
        let number = prop_oneof![0_u32..480, any::<u32>(), Just(0x4000_0000)];
        let architecture =
            prop::sample::select(AUDIT.map(|(architecture, _)| architecture).to_vec());
        (architecture, number, prop::array::uniform6(any_value())).prop_map(
            |(architecture, number, arguments)| Call {
                architecture,
                number,
                arguments,
            },
        )
    }

    proptest! {
        /// Any rules, any call.
        #[test]
        fn any_rules_agree(rules in any_rules(), calls in prop::collection::vec(any_call(), 20)) {
            let program = compile(&rules).unwrap();
            for call in &calls {
                agree(&rules, &program, call)?;
            }
        }

        /// The default profile with any capabilities.
        #[test]
        fn the_default_agrees(all: bool, calls in prop::collection::vec(any_call(), 50)) {
            let rules = default(all);
            let program = compile(&rules).unwrap();
            for call in &calls {
                agree(&rules, &program, call)?;
            }
        }
    }

    fn default(all: bool) -> Resolved {
        Profile::default_profile().resolve(|_| all, KernelVersion { major: 6, minor: 1 })
    }

    #[test]
    fn the_default_agrees_on_every_number() {
        for all in [false, true] {
            let rules = default(all);
            let program = compile(&rules).unwrap();
            for call in AUDIT
                .iter()
                .flat_map(|(architecture, _)| every_number(*architecture))
            {
                agree(&rules, &program, &call).unwrap();
            }
        }
    }

    fn every_number(architecture: Architecture) -> impl Iterator<Item = Call> {
        (0..1200).map(move |number| Call {
            architecture,
            number,
            arguments: [0; 6],
        })
    }

    #[test]
    fn the_default_is_short_and_decides_in_few_steps() {
        let program = compile(&default(false)).unwrap();
        let steps = |number| {
            run(
                &program,
                &Call {
                    architecture: Architecture::X86_64,
                    number,
                    arguments: [0; 6],
                },
            )
            .1
        };
        // Families of sockets are named one by one, and a program asks for a socket seldom.
        const SOCKET: u32 = 41;
        let others = (0..480).filter(|number| *number != SOCKET);
        let worst = others.map(steps).max().unwrap();
        let length = program.instructions().count();
        assert!(length < 620, "{length} instructions");
        assert!(worst <= 20, "{worst} steps");
        assert!(steps(SOCKET) <= 60, "{} steps", steps(SOCKET));
    }

    #[test]
    fn rules_beyond_the_kernels_bound_are_refused() {
        let condition = |value| Condition {
            index: 0,
            operator: Operator::Equal,
            value,
        };
        let rules = (0..3000).map(|value| ResolvedRule {
            names: vec!["read".into()],
            action: Action::Allow,
            conditions: vec![condition(value)],
        });
        let resolved = Resolved {
            default: Action::Errno(1),
            architectures: vec![Architecture::X86_64],
            rules: rules.collect(),
        };
        assert!(compile(&resolved).is_err());
    }
}
