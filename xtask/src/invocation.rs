//! Child processes: described as values, so that command lines can be tested, then printed and run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// One command line: program, arguments, and the environment variables it adds for the child alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    program: String,
    args: Vec<String>,
    envs: Vec<(String, String)>,
}

impl Invocation {
    pub(crate) fn new<S: Into<String>>(program: &str, args: impl IntoIterator<Item = S>) -> Self {
        Self { program: program.into(), args: args.into_iter().map(Into::into).collect(), envs: Vec::new() }
    }

    /// A call of cargo.
    pub(crate) fn cargo<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::new("cargo", args)
    }

    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// The command line as it would be typed into a shell.
    pub(crate) fn line(&self) -> String {
        let envs = self.envs.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = std::iter::once(&self.program).chain(&self.args).map(|word| quoted(word));
        envs.chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// Runs command lines from the root of the workspace.
#[derive(Debug)]
pub(crate) struct Runner {
    root: PathBuf,
    cargo: String,
    dry_run: bool,
    ci: bool,
}

impl Runner {
    /// Takes the root and the cargo to call from the variables that `cargo run` sets, and `CI` from the
    /// caller.
    pub(crate) fn from_env(dry_run: bool) -> Self {
        let root = env::var_os("CARGO_MANIFEST_DIR")
            .and_then(|manifest_dir| Path::new(&manifest_dir).parent().map(Path::to_path_buf))
            .unwrap_or_else(|| PathBuf::from("."));
        Self {
            root,
            cargo: env::var("CARGO").unwrap_or_else(|_| "cargo".into()),
            dry_run,
            ci: env::var_os("CI").is_some_and(|value| !value.is_empty()),
        }
    }

    /// The root of the workspace, from which everything runs.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `true` when `CI` is set and not empty: the lock file must be up to date, and all failures are
    /// collected.
    pub(crate) fn is_ci(&self) -> bool {
        self.ci
    }

    /// `true` when commands are printed only.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Prints the command line and runs it with this process's input and output.
    ///
    /// # Errors
    /// If the program cannot be started or fails; the message names the command line.
    pub(crate) fn run(&self, invocation: &Invocation) -> Result<()> {
        eprintln!("$ {}", invocation.line());
        if self.dry_run {
            return Ok(());
        }
        let status =
            self.command(invocation).status().with_context(|| format!("cannot start `{}`", invocation.line()))?;
        if !status.success() {
            bail!("`{}` failed ({status})", invocation.line());
        }
        Ok(())
    }

    /// Prints the command line, runs it and returns what it wrote to its standard output. Ignores a dry run.
    ///
    /// # Errors
    /// If the program cannot be started, fails, or writes something that is not UTF-8.
    pub(crate) fn output(&self, invocation: &Invocation) -> Result<String> {
        eprintln!("$ {}", invocation.line());
        let output = self
            .command(invocation)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", invocation.line()))?;
        if !output.status.success() {
            bail!("`{}` failed ({})", invocation.line(), output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("the output of `{}` is not UTF-8", invocation.line()))
    }

    /// Runs it without a word, and throws away what it prints. Ignores a dry run.
    ///
    /// # Errors
    /// If the program cannot be started or fails.
    pub(crate) fn silently(&self, invocation: &Invocation) -> Result<()> {
        let mut command = self.command(invocation);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start `{}`", invocation.line()))?;
        if !status.success() {
            bail!("`{}` failed ({status})", invocation.line());
        }
        Ok(())
    }

    fn command(&self, invocation: &Invocation) -> Command {
        let program = if invocation.program == "cargo" { &self.cargo } else { &invocation.program };
        let mut command = Command::new(program);
        command
            .args(&invocation.args)
            .envs(invocation.envs.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.root);
        command
    }
}

/// The first file called `program` in the folders of `PATH`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let file_name = format!("{program}{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(&file_name)).find(|file| file.is_file())
}

/// Whether commands run as root.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// `word` in the spelling that a POSIX shell reads as one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(dry_run: bool) -> Runner {
        Runner { root: ".".into(), cargo: "cargo".into(), dry_run, ci: false }
    }

    #[test]
    fn the_line_can_be_pasted_into_a_shell() {
        let invocation = Invocation::cargo(["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").args(["it's", ""]);
        assert_eq!(invocation.line(), r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s' ''");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = runner(false).run(&Invocation::new("no-such-program", ["x"])).expect_err("must not start");
        assert_eq!(error.to_string(), "cannot start `no-such-program x`");
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_command_is_named() {
        let error = runner(false).run(&Invocation::new("false", ["x"])).expect_err("`false` fails");
        assert!(error.to_string().starts_with("`false x` failed"), "{error}");
    }

    #[test]
    fn a_dry_run_starts_nothing() {
        runner(true).run(&Invocation::new("no-such-program", ["x"])).expect("nothing is started");
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find_program("cargo").is_some());
        assert!(find_program("no-such-program").is_none());
    }
}
