//! `burnformer tokenizer train`: text to a vocabulary.

use anyhow::Result;
use burnformer::core::config::Validate;
use burnformer::core::files::NewFolder;
use burnformer::core::settings;
use burnformer::data::source::{Sides, Texts};
use burnformer::data::tokenizer::{TokenizerConfig, train_covering};
use burnformer::recipes::TokenizerReport;

use super::Outcome;
use crate::args::TrainArgs;
use crate::context::Context;
use crate::input;

pub(super) fn run(args: &TrainArgs, Context { terminal, interrupt, .. }: &Context) -> Result<Outcome> {
    let config = config(args)?;
    let source = input::open(&args.input, &args.format)?;
    let folder = NewFolder::create(&args.out)?;
    terminal.detail(settings::to_toml(&config)?.trim_end());

    let mut texts = Texts::new(&source, Sides::Both, args.format.on_bad_row, terminal);
    let (tokenizer, coverage) = train_covering(&mut texts, &config, terminal, interrupt)?;
    tokenizer.save(folder.path())?;
    folder.commit()?;

    terminal.skipped(texts.skipped());
    let report = TokenizerReport::new(&args.out, &tokenizer, coverage, texts.skipped().rows);
    report.warnings().iter().for_each(|warning| terminal.warn(warning));
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
