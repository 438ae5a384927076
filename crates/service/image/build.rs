//! Builds the program of the embedded image: static, small, for the machine that we build for.
//!
//! Calls `$RUSTC` itself: a package of its own would need a second cargo run, and artifact dependencies are unstable.

use std::{env, error::Error, path::PathBuf, process::Command};

const SOURCE: &str = "../../../images/hello/hello.rs";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("{name} is not set"));
    let target = variable("TARGET")?;
    let output = PathBuf::from(variable("OUT_DIR")?).join("hello");
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script runs the compiler"
    )]
    let mut compiler = Command::new(variable("RUSTC")?);
    compiler
        .args(["--edition=2024", "--crate-name=hello", "--crate-type=bin"])
        .args([
            "-Copt-level=z",
            "-Cpanic=abort",
            "-Clto=fat",
            "-Ccodegen-units=1",
        ])
        .args(["-Cstrip=symbols", "-Ctarget-feature=+crt-static"])
        // No path of the building machine in the program, and so in the image's id.
        .arg(format!(
            "--remap-path-prefix={}=.",
            env::current_dir()?.display()
        ))
        .arg("--target")
        .arg(target)
        .arg("-o")
        .arg(output)
        .arg(SOURCE);
    match compiler.status()?.success() {
        true => Ok(()),
        false => Err("the program of hakone/hello did not compile".into()),
    }
}
