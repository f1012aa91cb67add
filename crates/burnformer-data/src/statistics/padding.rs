//! Share of padding in the batches of a corpus.

use std::sync::Arc;

use burnformer_core::progress::{Interrupt, Progress, Unit};

use super::Statistics;
use crate::DataError;
use crate::batches::{Batch, BatchConfig, Batches, Padding, PretrainingCollator};
use crate::corpus::Corpus;
use crate::datasets::{Dataset, PretrainingConfig, PretrainingDataset};

/// Seed of the order of samples, on which padding hardly depends.
const SEED: u64 = 42;

impl Statistics {
    /// Measures the share of padding in an epoch of samples for BERT's pretraining of at most `max_seq_length` tokens.
    ///
    /// # Errors
    /// [`DataError::Samples`] if the corpus gives no such samples; if it cannot be read; on request of `interrupt`.
    pub fn measure_pretraining_padding(
        &mut self,
        corpus: &Arc<Corpus>,
        max_seq_length: usize,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<(), DataError> {
        let tokenizer = corpus.tokenizer();
        let config = PretrainingConfig { max_seq_length, ..PretrainingConfig::default() };
        let documents: Vec<u32> = (0..corpus.n_documents()).collect();
        let samples = PretrainingDataset::new(Arc::clone(corpus), &documents, &tokenizer, &config, SEED)?;
        let stage = progress.stage("measure padding", Some(samples.per_epoch()), Unit::Items("samples"));
        // Which token is padded with does not change how many are.
        let pad_id = tokenizer.specials().pad_id.unwrap_or_default();
        let collator = PretrainingCollator { padding: Padding { pad_id, multiple_of: 8 } };
        let batches = Batches::epoch(Arc::new(samples), &collator, &BatchConfig::default(), SEED)?;
        self.measure_padding(batches.map(|batch| {
            interrupt.check()?;
            batch.inspect(|batch| stage.advance(batch.numbers().len() as u64))
        }))
    }
}
