//! A person at a terminal: `run`, `exec` and `attach` with `-it`, the size of the window, the keys that detach.

#[cfg(test)]
mod tests {
    use hakone_e2e::{IMAGE, Lab, Terminal};

    const SMALL: (u16, u16) = (24, 80);
    /// Answers each line, without a shell's editing.
    const ECHO: &str = "echo ready; while read line; do echo got $line; done";
    /// Says its window's size at first and whenever it changes.
    const SIZES: &str = "trap 'stty size' WINCH; stty size; tty; while :; do sleep 0.05; done";

    /// A container `box` with `/script` in it, which runs that if it is told to.
    fn lab(script: &str) -> Lab {
        let lab = Lab::new();
        let script = script.replace('\'', r"'\''");
        let line = format!("echo '{script}' > $PWD/script");
        lab.shell(&line).ok();
        lab.docker(&format!(
            "run -d --name box -v $PWD/script:/script {IMAGE} sleep 1000"
        ))
        .ok();
        lab
    }

    fn run(lab: &Lab, options: &str) -> Terminal {
        let script = lab.path("script");
        let script = script.display();
        let line = format!("run -it {options} -v {script}:/script {IMAGE} sh /script");
        Terminal::docker(lab, &line, SMALL)
    }

    #[test]
    fn a_program_on_a_terminal_has_the_windows_size_and_follows_it() {
        let lab = lab(SIZES);
        let mut program = run(&lab, "--rm --name sizes");
        // The window's size may come a moment after the start, as a change.
        program.see("24 80");
        program.resize_to((40, 132), "40 132");
        let tty = lab.docker("exec sizes readlink /proc/1/fd/0");
        assert_eq!(tty.ok(), "/dev/pts/0");
    }

    #[test]
    fn each_command_in_a_container_has_a_terminal_of_its_own_size() {
        let lab = lab(SIZES);
        let mut one = Terminal::docker(&lab, "exec -it box sh /script", (10, 20));
        let mut two = Terminal::docker(&lab, "exec -it box sh /script", (30, 40));
        one.see("10 20");
        two.see("30 40");
        two.resize_to((31, 41), "31 41");
        one.resize_to((11, 21), "11 21");
    }

    #[test]
    fn the_detach_keys_leave_the_container_running() {
        let lab = lab(ECHO);
        let mut program = run(&lab, "--name talk");
        program.see("ready");
        program.type_in("before\n");
        program.see("got before");
        program.type_in("\x10\x11");
        let (_, rest) = program.end();
        assert!(!rest.contains("rror"), "{rest}");
        let running = || lab.docker("inspect -f '{{.State.Running}}' talk").ok();
        assert_eq!(running(), "true");
        let mut again = Terminal::docker(&lab, "attach --detach-keys ctrl-a,x talk", SMALL);
        again.type_in("after\n");
        again.see("got after");
        // A beginning of the keys that goes on otherwise is typed like all else.
        again.type_in("half\x01y\n");
        again.see("got half\x01y");
        again.type_in("\x01x");
        again.end();
        assert_eq!(running(), "true");
    }

    #[test]
    fn the_detach_keys_leave_a_command_running() {
        let lab = lab(ECHO);
        let line = "exec -it --detach-keys ctrl-b,q box sh /script";
        let mut command = Terminal::docker(&lab, line, SMALL);
        command.see("ready");
        command.type_in("\x02q");
        command.end();
        let listed = lab.docker("exec box sh -c \"ps | grep -c '[s]h /script'\"");
        assert_eq!(listed.ok(), "1");
    }

    #[test]
    fn keys_of_the_terminal_reach_the_program_as_signals() {
        let lab =
            lab("trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done");
        let mut program = run(&lab, "--rm");
        program.see("ready");
        program.type_in("\x03");
        program.see("interrupted");
        assert_eq!(program.end().0, 5);
        let mut command = Terminal::docker(&lab, "exec -it box sh /script", SMALL);
        command.see("ready");
        command.type_in("\x03");
        command.see("interrupted");
        assert_eq!(command.end().0, 5);
    }

    #[test]
    fn the_end_of_the_keys_is_the_end_of_the_programs_input() {
        let lab = lab("cat; echo over");
        let mut program = run(&lab, "--rm");
        program.type_in("typed\n");
        program.see("typed\r\ntyped");
        program.type_in("\x04");
        program.see("over");
        assert_eq!(program.end().0, 0);
    }
}
