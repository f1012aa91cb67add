//! `burnformer data build`: text to a corpus.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use burnformer::core::is_interrupted;
use burnformer::data::corpus::{Corpus, CorpusBuilder, Hash, Tokenization};
use burnformer::data::sentences::SentenceSplitter;
use burnformer::data::tokenizer::Tokenizer;
use indicatif::HumanCount;
use serde::Serialize;

use super::{Context, Outcome};
use crate::args::BuildArgs;
use crate::errors::Advised;
use crate::output::fact;
use crate::{input, records};

/// A corpus that is there.
#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    documents: u64,
    /// Documents that are pairs of texts.
    pairs: Option<u64>,
    sentences: u64,
    tokens: u64,
    text_bytes: u64,
    vocab_size: u64,
    labels: Vec<String>,
    shards: usize,
    empty_records: u64,
    skipped_rows: u64,
    /// `true` if it was there already, of the same text.
    reused: bool,
    /// Tokens of an interrupted build that were not computed again.
    resumed_tokens: u64,
    /// Hash of all that it depends on.
    build: Hash,
}

pub(super) fn run(args: &BuildArgs, Context { terminal, interrupt }: &Context) -> Result<Outcome> {
    let source = Arc::new(input::open_pairs(&args.input, &args.pair_input, &args.format)?);
    let tokenizer = Tokenizer::load(&args.tokenizer)?;
    if args.pair_tokenizer.is_some() && !input::names_pairs(&args.pair_input, &args.format) {
        let hint = "name the second texts with `--pair-input` or `--pair-column`";
        return Err(Advised::new("`--pair-tokenizer` needs text pairs, found none", hint).into());
    }
    let pair_tokenizer = args.pair_tokenizer.as_ref().map(Tokenizer::load).transpose()?;
    let sentences = SentenceSplitter::new(args.language.clone());
    let builder = CorpusBuilder::new(source, Tokenization { tokenizer, pair_tokenizer, sentences })
        .on_bad_row(args.format.on_bad_row);

    let before = Corpus::open(&args.out).ok().map(|corpus| corpus.manifest().build);
    let built = builder.build(&args.out, terminal, interrupt).map_err(anyhow::Error::from);
    if built.as_ref().is_err_and(|error| is_interrupted(error.as_ref())) && args.out.exists() {
        terminal.note(format_args!(
            "the finished part stays in `{}`; run the same command to continue",
            args.out.display()
        ));
    }
    let built = built?;
    let manifest = built.corpus.manifest();
    if before.is_some_and(|before| before != manifest.build) {
        terminal.warn(format_args!(
            "replaced the previous corpus in `{}`, which was built from other text",
            args.out.display()
        ));
    }
    records::warn_of_skipped(terminal, &built.skipped);
    let counts = manifest.counts();
    let report = Report {
        folder: args.out.clone(),
        documents: counts.documents,
        pairs: manifest.pairs,
        sentences: counts.sentences,
        tokens: counts.tokens,
        text_bytes: manifest.text_bytes,
        vocab_size: manifest.vocab_size,
        labels: manifest.labels.clone(),
        shards: manifest.shards.len(),
        empty_records: manifest.empty_records,
        skipped_rows: manifest.skipped_rows,
        reused: built.reused,
        resumed_tokens: built.resumed_tokens,
        build: manifest.build,
    };
    terminal.report(&report, args.report.format)?;
    Ok(Outcome::Done)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let was_there = if self.reused { " (existing, unchanged)" } else { "" };
        fact(f, "corpus", format_args!("{}{was_there}", self.folder.display()))?;
        fact(f, "documents", HumanCount(self.documents))?;
        if let Some(pairs @ 1..) = self.pairs {
            fact(f, "pairs", HumanCount(pairs))?;
        }
        fact(f, "sentences", HumanCount(self.sentences))?;
        fact(f, "tokens", HumanCount(self.tokens))?;
        fact(f, "bytes of text", HumanCount(self.text_bytes))?;
        if !self.labels.is_empty() {
            fact(f, "labels", HumanCount(self.labels.len() as u64))?;
        }
        fact(f, "shards", HumanCount(self.shards as u64))?;
        fact(f, "empty records", HumanCount(self.empty_records))?;
        fact(f, "rows skipped", HumanCount(self.skipped_rows))?;
        if self.resumed_tokens > 0 {
            fact(f, "tokens resumed", HumanCount(self.resumed_tokens))?;
        }
        Ok(())
    }
}
