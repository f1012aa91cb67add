//! `burnformer data stats`: what is in a corpus.

use std::sync::Arc;

use anyhow::Result;
use burnformer::core::progress::{Progress, Unit};
use burnformer::data::DataError;
use burnformer::data::batches::{Batch, BatchConfig, Batches, Padding, PretrainingCollator};
use burnformer::data::corpus::Corpus;
use burnformer::data::datasets::{Dataset, PretrainingConfig, PretrainingDataset};
use burnformer::data::statistics::Statistics;

use super::{Context, Outcome};
use crate::args::StatsArgs;

/// Padding hardly depends on the order of the samples.
const SEED: u64 = 42;

pub(super) fn run(args: &StatsArgs, context: &Context) -> Result<Outcome> {
    let Context { terminal, interrupt } = context;
    let corpus = Arc::new(Corpus::open(&args.corpus)?);
    let mut statistics = Statistics::of(&corpus, terminal, interrupt)?;
    match pretraining(&corpus, args.seq_length as usize) {
        Ok((samples, pad_id)) => measure_padding(&mut statistics, samples, pad_id, context)?,
        Err(DataError::Samples(reason)) => {
            terminal.note(format_args!("padding is not measured: {reason}"));
        }
        Err(error) => return Err(error.into()),
    }
    terminal.report(&statistics, args.report.format)?;
    Ok(Outcome::Done)
}

/// Samples for BERT's pretraining of all documents, and the token they are padded with.
fn pretraining(corpus: &Arc<Corpus>, max_seq_length: usize) -> Result<(PretrainingDataset, u32), DataError> {
    let tokenizer = corpus.tokenizer()?;
    let config = PretrainingConfig { max_seq_length, ..PretrainingConfig::default() };
    let documents: Vec<u32> = (0..corpus.n_documents()).collect();
    let samples = PretrainingDataset::new(Arc::clone(corpus), &documents, &tokenizer, &config, SEED)?;
    // Which token is padded with does not change how many are.
    Ok((samples, tokenizer.specials().pad_id.unwrap_or_default()))
}

fn measure_padding(
    statistics: &mut Statistics,
    samples: PretrainingDataset,
    pad_id: u32,
    context: &Context,
) -> Result<()> {
    let stage = context.terminal.stage("measure padding", Some(samples.per_epoch()), Unit::Items("samples"));
    let collator = PretrainingCollator { padding: Padding { pad_id, multiple_of: 8 } };
    let batches = Batches::epoch(Arc::new(samples), &collator, &BatchConfig::default(), SEED)?;
    let watched = batches.map(|batch| {
        context.interrupt.check()?;
        batch.inspect(|batch| stage.advance(batch.numbers().len() as u64))
    });
    Ok(statistics.measure_padding(watched)?)
}
