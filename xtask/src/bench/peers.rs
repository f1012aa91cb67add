//! `cargo xtask bench --peers`: the same work here and in other libraries, in turns.

use std::fs;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum, value_parser};

use super::case::Case;
use super::comparison::{self, Line, OURS, Row};
use super::peer::{self, Dtype, Peer};
use super::start::{self, Start};
use super::{machine, record};
use crate::backend::Backend;
use crate::invocation::{Invocation, Runner};
use crate::{program, python};

/// How the comparison is made.
#[derive(Args, Debug)]
pub(crate) struct PeersArgs {
    /// With --peers: what to measure, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", requires = "peers")]
    #[arg(default_values_t = Case::value_variants().to_vec())]
    cases: Vec<Case>,

    /// With --peers: what matrices are multiplied in, separated by commas. A case runs in those of them that it has.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", requires = "peers", default_value = "f32")]
    dtype: Vec<Dtype>,

    /// With --peers: compile PyTorch's side by `torch.compile`.
    #[arg(long, requires = "peers")]
    compile: bool,

    /// With --peers or --ranks: how often each side runs in turn; the figures are medians over the rounds.
    #[arg(long, value_name = "N", requires = "comparison", default_value = "3")]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    pub(super) rounds: u32,

    /// With --peers: threads of each side [default: as many as there are processors]
    #[arg(long, value_name = "N", requires = "peers", value_parser = value_parser!(u32).range(1..))]
    threads: Option<u32>,

    /// With --peers or --ranks: a Python that has PyTorch; for --peers also numpy and transformers, and as far as they are
    /// there peft, onnx with onnxruntime, and ctranslate2.
    #[arg(long, value_name = "PATH", requires = "comparison")]
    pub(super) python: Option<String>,

    /// With --peers or --ranks: download these packages without asking, if they are not there.
    #[arg(long, requires = "comparison")]
    pub(super) yes: bool,

    /// With --peers or --ranks: how the result is printed.
    #[arg(long, value_enum, requires = "comparison", default_value = "text")]
    pub(super) format: Format,
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

/// A Python, and what it lacks of what some cases need.
struct Python {
    path: String,
    lacking: Vec<&'static str>,
}

impl Python {
    fn has(&self, peer: Peer, case: Case) -> bool {
        !peer.packages(case).iter().any(|package| self.lacking.contains(package))
    }
}

/// Finds a Python, and says what is not measured for want of a package.
fn find_python(runner: &Runner, args: &PeersArgs) -> Result<Option<Python>> {
    let mut optional: Vec<&str> = Vec::new();
    for (peer, case) in pairs(args) {
        optional.extend(peer.packages(case).iter().filter(|package| !optional.contains(package)).collect::<Vec<_>>());
    }
    let path = python::with_packages(runner, &peer::PACKAGES, &optional, args.python.as_deref(), args.yes)?;
    let Some(path) = path else {
        eprintln!("without PyTorch only our side is measured");
        return Ok(None);
    };
    let lacking = if runner.is_dry_run() { Vec::new() } else { python::lacking(runner, &path, &optional)? };
    let python = Python { path, lacking };
    for (peer, case) in pairs(args).filter(|(peer, case)| !python.has(*peer, *case)) {
        eprintln!("`{}` is not measured in {}", word(&case), peer.name());
    }
    if !python.lacking.is_empty() {
        eprintln!("to measure it: `{}`", python::install(&python.path, &python.lacking).line());
    }
    Ok(Some(python))
}

/// The cases that are asked for, with every library that runs them.
fn pairs(args: &PeersArgs) -> impl Iterator<Item = (Peer, Case)> + '_ {
    let runs = |peer: Peer, case: Case| args.dtype.iter().any(|dtype| peer.runs(case, *dtype));
    let of_case =
        move |&case| Peer::ALL.into_iter().filter(move |peer| runs(*peer, case)).map(move |peer| (peer, case));
    args.cases.iter().flat_map(of_case)
}

pub(super) fn run(runner: &Runner, backends: &[Backend], args: &PeersArgs) -> Result<()> {
    let machine = machine::describe();
    for case in &args.cases {
        for dtype in args.dtype.iter().filter(|dtype| !peer::runs(*case, **dtype)) {
            eprintln!("`{}` is not measured in {}, which it does not have", word(case), word(dtype));
        }
    }
    let python = find_python(runner, args)?;
    // With both CPU backends, whatever is measured: another choice of devices builds nothing anew.
    let compiled = [backends, &[Backend::Ndarray, Backend::Flex]].concat();
    let program = program::build(runner, "peer_case", &compiled)?;
    let started = args.cases.contains(&Case::Start).then(|| Started::new(runner, &compiled)).transpose()?;
    let round = round(args, backends, &program, started.as_ref(), python.as_ref());
    if runner.is_dry_run() {
        return round.iter().try_for_each(|step| runner.run(step.invocation()));
    }

    let (mut measured, mut n_failed) = (Vec::new(), 0);
    for n in 1..=args.rounds {
        eprintln!("\n== round {n} of {}", args.rounds);
        for step in &round {
            match step.lines(runner) {
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
    let mut state =
        format!("- Machine: {machine}\n- State: commit {}, {}\n", machine::commit(runner), sides(&lines, args));
    if let Some(Started { megabytes, .. }) = started {
        state.push_str(&format!("- Program: {megabytes:.1} MB, with everything but wgpu\n"));
    }
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

/// The program `burnformer`, and a model for it.
struct Started {
    program: String,
    megabytes: f64,
    model: String,
}

impl Started {
    fn new(runner: &Runner, backends: &[Backend]) -> Result<Self> {
        let program = program::build(runner, "burnformer", backends)?;
        let model = start::prepare(runner, &program, &program::target_folder().join("bench-start"))?;
        let bytes = fs::metadata(runner.root().join(&program)).map_or(0, |file| file.len());
        Ok(Self { program, megabytes: bytes as f64 / 1e6, model })
    }
}

/// A part of a round.
#[derive(Clone, Debug)]
enum Step {
    /// A process that prints what it has measured.
    Case(Invocation),
    Start(Start),
}

impl Step {
    fn invocation(&self) -> &Invocation {
        match self {
            Self::Case(invocation) => invocation,
            Self::Start(start) => &start.invocation,
        }
    }

    fn lines(&self, runner: &Runner) -> Result<Vec<Line>> {
        match self {
            Self::Case(invocation) => comparison::lines(&runner.output(invocation)?),
            Self::Start(start) => Ok(vec![start.measure(runner)?]),
        }
    }
}

/// The processes of one round. All sides of a case are next to each other, so that a slow minute of the machine hits all.
fn round(
    args: &PeersArgs,
    backends: &[Backend],
    program: &str,
    started: Option<&Started>,
    python: Option<&Python>,
) -> Vec<Step> {
    let mut round = Vec::new();
    for &case in &args.cases {
        for &dtype in args.dtype.iter().filter(|dtype| peer::runs(case, **dtype)) {
            let peers = Peer::ALL.into_iter().filter(|peer| peer.runs(case, dtype));
            if let (Case::Start, Some(Started { program, model, .. })) = (case, started) {
                round.extend(python.map(|python| Step::Start(Start::torch(&python.path, model))));
                let ours = |backend: &Backend| Step::Start(Start::ours(program, model, backend.feature()));
                round.extend(backends.iter().map(ours));
            } else {
                let peers = python.into_iter().flat_map(|python| {
                    let theirs = move |peer| Step::Case(theirs(&python.path, peer, case, dtype, args));
                    peers.clone().filter(move |peer| python.has(*peer, case)).map(theirs)
                });
                round.extend(peers);
                let ours = |backend: &Backend| Step::Case(ours(program, case, dtype, *backend, args));
                round.extend(backends.iter().map(ours));
            }
        }
    }
    round
}

fn theirs(python: &str, peer: Peer, case: Case, dtype: Dtype, args: &PeersArgs) -> Invocation {
    let threads = args.threads.map(|threads| ["--threads".to_owned(), threads.to_string()]);
    Invocation::new(python, [&peer.script(), &word(&case), "--dtype", &word(&dtype)])
        .args((args.compile && peer == Peer::Torch).then_some("--compile"))
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

/// Which libraries, and the threads of all sides.
fn sides(lines: &[Line], args: &PeersArgs) -> String {
    let side = |name: &str| lines.iter().find(|line| line.peer == name && line.threads.is_some());
    let mut sides = Vec::new();
    for line in Peer::ALL.iter().filter_map(|peer| side(peer.name())) {
        let compiled = if args.compile && line.peer == Peer::Torch.name() { ", compiled," } else { "" };
        let (version, threads) = (line.version.as_deref().unwrap_or("of unknown version"), line.threads.unwrap_or(0));
        sides.push(format!("{} {version}{compiled} on {threads} threads", line.peer));
    }
    if sides.is_empty() {
        sides.push("without other libraries".into());
    }
    sides.extend(side(OURS).and_then(|line| line.threads).map(|threads| format!("ours on {threads} threads")));
    sides.join(", ")
}

fn readme(command: &str, state: &str, rows: &[Row]) -> String {
    format!(
        "# Beside other libraries\n\n\
         - Command: `{command}`. `raw.csv` has the figures of every process; its milliseconds are median, least and\n  \
         most of the timed runs.\n\
         {state}\n\
         Medians over the rounds. The ratio is the other's time divided by ours, memory the most that a process had.\n\n\
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

    fn lines_of(round: &[Step]) -> Vec<String> {
        round.iter().map(|step| step.invocation().line()).collect()
    }

    fn python(lacking: &[&'static str]) -> Python {
        Python { path: "python3".into(), lacking: lacking.to_vec() }
    }

    #[test]
    fn both_sides_take_turns_at_each_case() {
        let args = parse(&["--cases", "mha,bert-mini"]);
        let round = round(&args, &[Backend::Ndarray, Backend::Flex], "peer_case", None, Some(&python(&[])));
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
        let started = Started { program: "burnformer".into(), megabytes: 25.0, model: "m".into() };
        let round = round(&parse(&[]), &[Backend::Flex], "peer_case", Some(&started), None);
        let cases =
            "mha,long,encoder,mlm-step,bert-mini,token-step,lora-step,qa-step,seq2seq-step,beam,embed,embed-one,load"
                .split(',');
        let mut expected: Vec<_> = cases.map(|case| format!("peer_case {case} --device flex --dtype f32")).collect();
        expected.push("burnformer predict m 'a red parcel' --device flex".into());
        assert_eq!(lines_of(&round), expected);
    }

    #[test]
    fn types_threads_and_compilation_reach_both_sides() {
        let args = parse(&["--cases", "long", "--dtype", "f32,bf16", "--compile", "--threads", "1"]);
        let round = round(&args, &[Backend::Flex], "peer_case", None, Some(&python(&[])));
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
    fn each_library_runs_what_it_can_in_the_types_it_has() {
        let args = parse(&["--cases", "embed,bert-mini,beam", "--dtype", "int8,f32"]);
        let round = round(&args, &[Backend::Flex], "peer_case", None, Some(&python(&["ctranslate2"])));
        assert_eq!(
            lines_of(&round),
            [
                "python3 benches/peers/onnxruntime_cases.py embed --dtype int8",
                "peer_case embed --device flex --dtype int8",
                "python3 benches/peers/torch_cases.py embed --dtype f32",
                "python3 benches/peers/onnxruntime_cases.py embed --dtype f32",
                "peer_case embed --device flex --dtype f32",
                "python3 benches/peers/torch_cases.py bert-mini --dtype f32",
                "peer_case bert-mini --device flex --dtype f32",
                "peer_case beam --device flex --dtype int8",
                "python3 benches/peers/torch_cases.py beam --dtype f32",
                "peer_case beam --device flex --dtype f32",
            ]
        );
    }

    #[test]
    fn the_record_says_how_and_where_it_was_measured() {
        let lines = [
            samples::ours("flex", 50.0, 70),
            samples::peer("onnxruntime", 60.0, 70),
            Line { threads: Some(4), ..samples::torch(150.5, 900) },
        ];
        assert_eq!(
            sides(&lines, &parse(&["--compile"])),
            "torch 2.15.0, compiled, on 4 threads, onnxruntime 2.15.0 on 2 threads, ours on 2 threads"
        );
        assert_eq!(sides(&lines[..1], &parse(&[])), "without other libraries, ours on 2 threads");
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
