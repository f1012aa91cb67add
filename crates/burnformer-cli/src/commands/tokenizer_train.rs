//! `burnformer tokenizer train`: text to a vocabulary.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use anyhow::Result;
use burnformer::core::config::Validate;
use burnformer::core::files::NewFolder;
use burnformer::core::settings;
use burnformer::data::corpus::Hash;
use burnformer::data::source::{Sides, Texts};
use burnformer::data::tokenizer::{TokenizerConfig, TokenizerKind, train};
use indicatif::HumanCount;
use serde::Serialize;

use super::{Context, Outcome};
use crate::args::TrainArgs;
use crate::output::fact;
use crate::{input, records};

/// A tokenizer that was trained.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    kind: TokenizerKind,
    vocab_size: usize,
    fingerprint: Hash,
    skipped_rows: u64,
}

pub(super) fn run(args: &TrainArgs, Context { terminal, interrupt }: &Context) -> Result<Outcome> {
    let config = config(args)?;
    let source = input::open(&args.input, &args.format)?;
    let folder = NewFolder::create(&args.out)?;
    terminal.detail(settings::to_toml(&config)?.trim_end());

    let mut texts = Texts::new(&source, Sides::Both, args.format.on_bad_row, terminal);
    let tokenizer = train(&mut texts, &config, terminal, interrupt)?;
    tokenizer.save(folder.path())?;
    folder.commit()?;

    records::warn_of_skipped(terminal, texts.skipped());
    let report = Report {
        folder: args.out.clone(),
        kind: tokenizer.kind(),
        vocab_size: tokenizer.vocab_size(),
        fingerprint: Hash(tokenizer.fingerprint()),
        skipped_rows: texts.skipped().rows,
    };
    if report.vocab_size < config.vocab_size {
        terminal.note(format_args!(
            "the text yields only {} tokens, fewer than the {} allowed",
            report.vocab_size, config.vocab_size
        ));
    }
    terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}

/// The settings: defaults, over them the file, over that `--set`, over that the flags.
fn config(args: &TrainArgs) -> Result<TokenizerConfig> {
    let preset = TokenizerConfig { vocab_size: 8192, ..TokenizerConfig::default() };
    let loaded = settings::load(&preset, args.settings.config.as_deref(), &args.settings.set)?;
    let config = TokenizerConfig {
        kind: args.kind.unwrap_or(loaded.kind),
        vocab_size: args.vocab_size.unwrap_or(loaded.vocab_size),
        lowercase: loaded.lowercase && !args.cased,
        limit_alphabet: args.limit_alphabet.unwrap_or(loaded.limit_alphabet),
        ..loaded
    };
    config.validate()?;
    Ok(config)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fact(f, "tokenizer", self.folder.display())?;
        fact(f, "tokens", HumanCount(self.vocab_size as u64))?;
        fact(f, "fingerprint", self.fingerprint)?;
        fact(f, "rows skipped", HumanCount(self.skipped_rows))
    }
}
