//! `cargo xtask interop`: models and tokenizers pass between this project and transformers, in both directions.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::backend::Backend;
use crate::invocation::{Invocation, Runner};
use crate::program::{self, target_folder};
use crate::python;

/// Show that models and tokenizers pass both ways between Burnformer and transformers.
///
/// Each side writes random models of every class and tokenizers of every kind, and both sides load all of them: ours a
/// folder of `save_pretrained`, theirs one of ours by `from_pretrained`, where any warning is a failure. Compared are
/// hidden states, attention weights, logits and loss (to 1e-4), the gradient of every parameter (to 1e-4 of its norm), what
/// three steps of AdamW do to it (to 1e-3 of the change's norm), and the tokens of texts. Then a small model is fine-tuned for
/// each task by both sides, on the same batches: the tokens and labels of every row must be equal, and the losses of 50 steps
/// (to 1e-3). Prints tables, and fails if a limit is passed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask interop
  cargo xtask interop --python ~/transformers/bin/python
  cargo xtask interop --backends ndarray,flex,wgpu --yes")]
pub(crate) struct InteropArgs {
    /// Devices of our side, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", default_value = "ndarray,flex")]
    backends: Vec<Backend>,

    /// A Python that has torch, numpy, transformers, accelerate and safetensors.
    #[arg(long, value_name = "PATH")]
    python: Option<String>,

    /// Download them without asking, if they are not there.
    #[arg(long)]
    yes: bool,
}

const PACKAGES: [&str; 5] = ["torch", "numpy", "transformers", "accelerate", "safetensors"];
const SCRIPT: &str = "benches/peers/interop.py";
const FINETUNING: &str = "benches/peers/finetuning.py";

pub(crate) fn run(runner: &Runner, args: &InteropArgs) -> Result<()> {
    let Some(python) = python::with_packages(runner, &PACKAGES, &[], args.python.as_deref(), args.yes)? else {
        bail!("nothing to compare with");
    };
    let program = program::build(runner, "interop_case", &args.backends)?;
    let folder = target_folder().join("interop");
    if !runner.is_dry_run() {
        clear(&runner.root().join(&folder))?;
    }
    steps(&folder.display().to_string(), &args.backends, &program, &python).iter().try_for_each(|step| runner.run(step))
}

/// Both sides write, ours answers, theirs answers and compares; ours fine-tunes, theirs does the same and compares.
fn steps(folder: &str, backends: &[Backend], program: &str, python: &str) -> Vec<Invocation> {
    let both = ["burnformer", "transformers"].map(|side| format!("{folder}/{side}"));
    let devices: Vec<&str> = backends.iter().map(|backend| backend.feature()).collect();
    let answer = |device: &&str| Invocation::new(program, ["answer"]).args(both.clone()).args(["--device", device]);
    let mut steps =
        vec![Invocation::new(program, ["make", &both[0]]), Invocation::new(python, [SCRIPT, "make", &both[1]])];
    steps.extend(devices.iter().map(answer));
    steps.push(Invocation::new(python, [SCRIPT, "compare"]).args(both.clone()).args(["--devices", &devices.join(",")]));
    let runs = format!("{folder}/finetuning");
    let finetune = |device: &&str| Invocation::new(program, ["finetune", &runs, "--device", device]);
    steps.extend(devices.iter().map(finetune));
    steps.push(Invocation::new(python, [FINETUNING, &runs, "--devices", &devices.join(",")]));
    steps
}

/// Removes what an earlier run left, whose files would be taken for this one's.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: InteropArgs,
    }

    fn parse(args: &[&str]) -> Result<InteropArgs, clap::Error> {
        Command::try_parse_from([&["interop"], args].concat()).map(|command| command.args)
    }

    #[test]
    fn both_sides_write_and_answer_before_they_are_compared() {
        let args = parse(&[]).unwrap();
        let steps = steps("io", &args.backends, "interop_case", "python3");
        assert_eq!(
            steps.iter().map(Invocation::line).collect::<Vec<_>>(),
            [
                "interop_case make io/burnformer",
                "python3 benches/peers/interop.py make io/transformers",
                "interop_case answer io/burnformer io/transformers --device ndarray",
                "interop_case answer io/burnformer io/transformers --device flex",
                "python3 benches/peers/interop.py compare io/burnformer io/transformers --devices ndarray,flex",
                "interop_case finetune io/finetuning --device ndarray",
                "interop_case finetune io/finetuning --device flex",
                "python3 benches/peers/finetuning.py io/finetuning --devices ndarray,flex",
            ]
        );
    }

    #[test]
    fn what_an_earlier_run_left_is_removed() {
        let folder = std::env::temp_dir().join(format!("xtask-interop-{}", std::process::id()));
        fs::create_dir_all(folder.join("burnformer")).unwrap();
        clear(&folder).unwrap();
        assert!(!folder.exists());
        clear(&folder).unwrap();
    }

    #[test]
    fn nonsense_is_refused() {
        for args in [&["--backends", "cuda"][..], &["--backends", ""], &["--python"], &["bert"]] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
