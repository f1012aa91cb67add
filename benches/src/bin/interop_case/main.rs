//! Our side of `cargo xtask interop`: writes models and tokenizers, and says what those in a folder answer, whoever wrote
//! them. `benches/peers/interop.py` is the other side; both read `benches/peers/interop.json`.

mod answer;
mod bert;
mod finetuning;
mod material;
mod rows;
mod seq2seq;
mod tokenizer;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use burn::tensor::Device;
use burnformer_models::{Head, ModelClass};
use burnformer_ops::DeviceChoice;
use clap::Parser;

/// Our side of `cargo xtask interop`.
#[derive(Debug, Parser)]
enum Task {
    /// Write a random model of every class, and a tokenizer of every kind, into folders of their own
    Make {
        /// Gets the folders `models` and `tokenizers`
        folder: PathBuf,
    },
    /// Fine-tune a small model for each task, and write down its batches and losses
    Finetune {
        /// Gets a folder for each task
        folder: PathBuf,

        /// `ndarray`, `flex`, `wgpu` or `wgpu:N`
        #[arg(long, default_value = "ndarray")]
        device: DeviceChoice,
    },
    /// Write beside every model and tokenizer what it answers, as `burnformer-DEVICE.safetensors` and `burnformer.json`
    Answer {
        /// Have the folders `models` and `tokenizers`
        #[arg(required = true)]
        folders: Vec<PathBuf>,

        /// `ndarray`, `flex`, `wgpu` or `wgpu:N`
        #[arg(long, default_value = "ndarray")]
        device: DeviceChoice,
    },
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Make { folder } => {
            bert::make(&folder.join("models"))?;
            seq2seq::make(&folder.join("models"))?;
            tokenizer::make(&folder.join("tokenizers"))
        }
        Task::Finetune { folder, device } => finetuning::run(&folder, device),
        Task::Answer { folders, device: choice } => {
            let device = choice.open()?.autodiff();
            let file = format!("burnformer-{choice}.safetensors");
            let answer_all = |folder: &PathBuf| {
                each(&folder.join("models"), |model| answer_model(model, &model.join(&file), &device))?;
                each(&folder.join("tokenizers"), tokenizer::answer)
            };
            folders.iter().try_for_each(answer_all)
        }
    }
}

fn answer_model(folder: &Path, file: &Path, device: &Device) -> Result<()> {
    match ModelClass::of(folder)?.head() {
        Head::Seq2Seq => seq2seq::answer(folder, file, device),
        head => bert::answer(head, folder, file, device),
    }
}

/// Does something with each folder in a folder.
fn each(folder: &Path, work: impl Fn(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry?.path();
        work(&path).with_context(|| format!("`{}`", path.display()))?;
    }
    Ok(())
}
