//! `cargo xtask bench --peers`: the same work here and in PyTorch, in turns.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum, value_parser};

use super::case::Case;
use super::comparison::{self, Line, Row};
use super::{machine, record};
use crate::backend::Backend;
use crate::invocation::{Invocation, Runner};
use crate::{program, python};

/// How the comparison with PyTorch is made.
#[derive(Args, Debug)]
pub(crate) struct PeersArgs {
    /// With --peers: what to measure, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", requires = "peers")]
    #[arg(default_values_t = Case::value_variants().to_vec())]
    cases: Vec<Case>,

    /// With --peers: what matrices are multiplied in, separated by commas; bf16 is autocast in PyTorch.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", requires = "peers", default_value = "f32")]
    dtype: Vec<Dtype>,

    /// With --peers: compile PyTorch's side by `torch.compile`.
    #[arg(long, requires = "peers")]
    compile: bool,

    /// With --peers or --ranks: how often each side runs in turn; the figures are medians over the rounds.
    #[arg(long, value_name = "N", requires = "comparison", default_value = "3")]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    pub(super) rounds: u32,

    /// With --peers: threads of each side [default: as many as each takes by itself]
    #[arg(long, value_name = "N", requires = "peers", value_parser = value_parser!(u32).range(1..))]
    threads: Option<u32>,

    /// With --peers or --ranks: a Python that has PyTorch.
    #[arg(long, value_name = "PATH", requires = "comparison")]
    pub(super) python: Option<String>,

    /// With --peers or --ranks: download PyTorch without asking, if it is not there.
    #[arg(long, requires = "comparison")]
    pub(super) yes: bool,

    /// With --peers or --ranks: how the result is printed.
    #[arg(long, value_enum, requires = "comparison", default_value = "text")]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dtype {
    F32,
    Bf16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table
    Text,
    /// One object a line
    Json,
}

/// The word for a value on a command line.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().expect("no value is hidden").get_name().to_owned()
}

fn words(values: &[impl ValueEnum]) -> String {
    values.iter().map(word).collect::<Vec<_>>().join(",")
}

/// What PyTorch's side needs. Without numpy PyTorch warns at every start.
const PACKAGES: [&str; 4] = ["torch", "numpy", "transformers", "peft"];

pub(super) fn run(runner: &Runner, backends: &[Backend], args: &PeersArgs) -> Result<()> {
    let machine = machine::describe();
    let python = python::with_packages(runner, &PACKAGES, args.python.as_deref(), args.yes)?;
    if python.is_none() {
        eprintln!("without PyTorch only our side is measured");
    }
    // With both CPU backends, whatever is measured: another choice of devices builds nothing anew.
    let compiled = [backends, &[Backend::Ndarray, Backend::Flex]].concat();
    let program = program::build(runner, "peer_case", &compiled)?;
    let round = round(args, backends, &program, python.as_deref());
    if runner.is_dry_run() {
        return round.iter().try_for_each(|invocation| runner.run(invocation));
    }

    let (mut measured, mut n_failed) = (Vec::new(), 0);
    for n in 1..=args.rounds {
        eprintln!("\n== round {n} of {}", args.rounds);
        for invocation in &round {
            match runner.output(invocation).and_then(|output| comparison::lines(&output)) {
                Ok(lines) => measured.extend(lines.into_iter().map(|line| (n, line))),
                Err(error) => {
                    eprintln!("error: {error:#}");
                    n_failed += 1;
                }
            }
        }
    }

    let lines: Vec<Line> = measured.iter().map(|(_, line)| line.clone()).collect();
    let rows = comparison::rows(&lines, args.compile);
    let state = format!("- Machine: {machine}\n- State: commit {}, {}\n", machine::commit(runner), sides(&lines, args));
    if !measured.is_empty() {
        let name =
            format!("{}-{}-{}core-peers", machine::today(), machine::slug(&machine::processor()), machine::n_cores());
        let readme = readme(&command(args, backends), &state, &rows);
        let runs = runner.root().join("benches/runs");
        let folder = record::keep(&runs, &name, &readme, &record::csv(&measured, args.compile))?;
        eprintln!("\nevery figure is in `{}`\n", folder.display());
    }
    match args.format {
        Format::Text => print!("{state}\n{}", comparison::table(&rows)),
        Format::Json => {
            for row in &rows {
                println!("{}", serde_json::to_string(row)?);
            }
        }
    }
    if n_failed > 0 {
        bail!("{n_failed} of {} processes failed; their figures are missing", round.len() * args.rounds as usize);
    }
    Ok(())
}

/// The processes of one round. PyTorch and ours are side by side for each case, so that a slow minute of the machine
/// hits both.
fn round(args: &PeersArgs, backends: &[Backend], program: &str, python: Option<&str>) -> Vec<Invocation> {
    let mut round = Vec::new();
    for case in &args.cases {
        for dtype in &args.dtype {
            round.extend(python.map(|python| torch(python, *case, *dtype, args)));
            round.extend(backends.iter().map(|backend| ours(program, *case, *dtype, *backend, args)));
        }
    }
    round
}

fn torch(python: &str, case: Case, dtype: Dtype, args: &PeersArgs) -> Invocation {
    let threads = args.threads.map(|threads| ["--threads".to_owned(), threads.to_string()]);
    Invocation::new(python, ["benches/peers/torch_cases.py", &word(&case), "--dtype", &word(&dtype)])
        .args(args.compile.then_some("--compile"))
        .args(threads.into_iter().flatten())
}

/// Our CPU backends have two pools of threads: rayon's, and that of `ndarray`'s own matrix product.
fn ours(program: &str, case: Case, dtype: Dtype, backend: Backend, args: &PeersArgs) -> Invocation {
    let words = [&word(&case), "--device", backend.feature(), "--dtype", &word(&dtype)];
    let invocation = Invocation::new(program, words);
    let limited = |threads: u32| {
        let threads = threads.to_string();
        invocation.clone().env("RAYON_NUM_THREADS", &threads).env("MATMUL_NUM_THREADS", &threads)
    };
    args.threads.map_or_else(|| invocation.clone(), limited)
}

/// The command line, without what differs between machines.
fn command(args: &PeersArgs, backends: &[Backend]) -> String {
    let PeersArgs { cases, dtype, compile, rounds, threads, .. } = args;
    let mut command = format!(
        "cargo xtask bench --peers --cases {} --backends {} --dtype {} --rounds {rounds}",
        words(cases),
        words(backends),
        words(dtype)
    );
    if *compile {
        command.push_str(" --compile");
    }
    if let Some(threads) = threads {
        command.push_str(&format!(" --threads {threads}"));
    }
    command
}

/// Which PyTorch, and the threads of both.
fn sides(lines: &[Line], args: &PeersArgs) -> String {
    let threads = |is_torch| lines.iter().find(|line| line.torch.is_some() == is_torch).map_or(0, |line| line.threads);
    let compiled = if args.compile { ", compiled" } else { "" };
    match lines.iter().find_map(|line| line.torch.as_ref()) {
        Some(version) => {
            format!("PyTorch {version}{compiled} on {} threads, ours on {}", threads(true), threads(false))
        }
        None => format!("without PyTorch, ours on {} threads", threads(false)),
    }
}

fn readme(command: &str, state: &str, rows: &[Row]) -> String {
    format!(
        "# Against PyTorch\n\n\
         - Command: `{command}`. `raw.csv` has the figures of every process; its milliseconds are median, least and\n  \
         most of the timed runs.\n\
         {state}\n\
         Medians over the rounds. The ratio is PyTorch's time divided by ours, memory the most that a process had.\n\n\
         {}",
        comparison::table(rows)
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::comparison::samples;
    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[arg(long, group = "comparison")]
        peers: bool,
        #[command(flatten)]
        args: PeersArgs,
    }

    fn parse(args: &[&str]) -> PeersArgs {
        Command::try_parse_from([&["bench", "--peers"], args].concat()).expect("the arguments must parse").args
    }

    fn lines_of(round: &[Invocation]) -> Vec<String> {
        round.iter().map(Invocation::line).collect()
    }

    #[test]
    fn both_sides_take_turns_at_each_case() {
        let args = parse(&["--cases", "mha,bert-mini"]);
        let round = round(&args, &[Backend::Ndarray, Backend::Flex], "peer_case", Some("python3"));
        assert_eq!(
            lines_of(&round),
            [
                "python3 benches/peers/torch_cases.py mha --dtype f32",
                "peer_case mha --device ndarray --dtype f32",
                "peer_case mha --device flex --dtype f32",
                "python3 benches/peers/torch_cases.py bert-mini --dtype f32",
                "peer_case bert-mini --device ndarray --dtype f32",
                "peer_case bert-mini --device flex --dtype f32",
            ]
        );
    }

    #[test]
    fn without_python_ours_runs_alone() {
        let round = round(&parse(&[]), &[Backend::Flex], "peer_case", None);
        let cases =
            "mha,long,encoder,mlm-step,bert-mini,token-step,lora-step,qa-step,seq2seq-step,embed,embed-one,load"
                .split(',');
        let expected: Vec<_> = cases.map(|case| format!("peer_case {case} --device flex --dtype f32")).collect();
        assert_eq!(lines_of(&round), expected);
    }

    #[test]
    fn types_threads_and_compilation_reach_both_sides() {
        let args = parse(&["--cases", "long", "--dtype", "f32,bf16", "--compile", "--threads", "1"]);
        let round = round(&args, &[Backend::Flex], "peer_case", Some("python3"));
        assert_eq!(
            lines_of(&round)[2..],
            [
                "python3 benches/peers/torch_cases.py long --dtype bf16 --compile --threads 1",
                "RAYON_NUM_THREADS=1 MATMUL_NUM_THREADS=1 peer_case long --device flex --dtype bf16",
            ]
        );
        assert_eq!(
            command(&args, &[Backend::Flex]),
            "cargo xtask bench --peers --cases long --backends flex --dtype f32,bf16 --rounds 3 --compile --threads 1"
        );
    }

    #[test]
    fn the_record_says_how_and_where_it_was_measured() {
        let lines = [Line { threads: 4, ..samples::torch(150.5, 900) }, samples::ours("flex", 50.0, 70)];
        assert_eq!(sides(&lines, &parse(&["--compile"])), "PyTorch 2.15.0, compiled on 4 threads, ours on 2");
        assert_eq!(sides(&lines[1..], &parse(&[])), "without PyTorch, ours on 2 threads");
        let readme = readme("cargo xtask bench", "- Machine: a\n", &comparison::rows(&lines, false));
        for part in ["`cargo xtask bench`", "- Machine: a", "| mha/forward ", " 3.01 |"] {
            assert!(readme.contains(part), "`{part}` is missing in: {readme}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [&["--cases", "gpt"][..], &["--dtype", "f16"], &["--rounds", "0"], &["--threads", "0"]] {
            assert!(Command::try_parse_from([&["bench", "--peers"], args].concat()).is_err(), "{args:?}");
        }
    }
}
