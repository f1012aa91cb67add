//! `burnformer data build`: text to a corpus.

use std::sync::Arc;

use anyhow::Result;
use burnformer::core::is_interrupted;
use burnformer::data::corpus::{Corpus, CorpusBuilder, Tokenization, unfinished_build};
use burnformer::data::sentences::SentenceSplitter;
use burnformer::data::tokenizer::Tokenizer;
use burnformer::recipes::CorpusReport;

use super::Outcome;
use crate::args::BuildArgs;
use crate::context::Context;
use crate::errors::Advised;
use crate::input;

pub(super) fn run(args: &BuildArgs, context: &Context) -> Result<Outcome> {
    let Context { terminal, interrupt, collective, .. } = context;
    // The first process alone reads and writes.
    let open = || input::open_pairs(&args.input, &args.pair_input, &args.format);
    let source = context.agreed(context.is_first().then(open).transpose())?;
    let tokenizer = Tokenizer::load(&args.tokenizer)?;
    if args.pair_tokenizer.is_some() && !input::names_pairs(&args.pair_input, &args.format) {
        let hint = "name the second texts with `--pair-input` or `--pair-column`";
        return Err(Advised::new("`--pair-tokenizer` needs text pairs, found none", hint).into());
    }
    let pair_tokenizer = match &args.pair_tokenizer {
        Some(path) => Some(Tokenizer::load(path)?),
        // The two of an OPUS-MT model belong together.
        None if input::names_pairs(&args.pair_input, &args.format) => {
            Tokenizer::load_opus(&args.tokenizer)?.map(|(_, target)| target)
        }
        None => None,
    };
    let sentences = SentenceSplitter::new(args.language.clone());
    let tokenization = Tokenization { tokenizer, pair_tokenizer, sentences };
    let Some(source) = source else {
        CorpusBuilder::help(&tokenization, collective.as_ref(), interrupt)?;
        return Ok(Outcome::Done);
    };
    let builder = CorpusBuilder::new(Arc::new(source), tokenization).on_bad_row(args.format.on_bad_row);

    let before = Corpus::open(&args.out).ok().map(|corpus| corpus.manifest().build);
    let built = builder.build_together(&args.out, collective.as_ref(), terminal, interrupt);
    let built = built.map_err(anyhow::Error::from);
    if built.as_ref().is_err_and(|error| is_interrupted(error.as_ref()))
        && let Some(folder) = unfinished_build(&args.out)
    {
        terminal
            .note(format_args!("the finished part stays in `{}`; run the same command to continue", folder.display()));
    }
    let built = built?;
    if before.is_some_and(|before| before != built.corpus.manifest().build) {
        terminal.warn(format_args!(
            "replaced the previous corpus in `{}`, which was built from other text",
            args.out.display()
        ));
    }
    terminal.skipped(&built.skipped);
    let report = CorpusReport::new(&args.out, &built);
    report.warnings().iter().for_each(|warning| terminal.warn(warning));
    terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}
