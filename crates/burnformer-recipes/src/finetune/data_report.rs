//! Report on the data of a fine-tuning run: what is learned from, and what is measured on.

use burnformer_data::DataError;
use burnformer_data::datasets::Dataset;
use burnformer_data::source::Skipped;
use burnformer_reports::{Contradiction, DataPart, DataReport, LabelCount, Lengths, ScoreRange};

use super::{Base, Examples, Supervised, Texts};

/// The report on `texts` and the samples made of them, where those of the test texts are there if these are.
pub(super) fn data_report<S: Supervised>(
    supervised: &S,
    base: &Base,
    texts: &Texts<S::Texts>,
    (training, validation, test): (&S::Samples, &S::Samples, Option<&S::Samples>),
) -> Result<DataReport, DataError> {
    let part = |texts: &S::Texts, samples: &S::Samples, skipped: &Skipped| -> Result<DataPart, DataError> {
        let n_samples = samples.per_epoch();
        let lengths =
            (0..n_samples).map(|number| Ok(samples.length(number)? as u64)).collect::<Result<_, DataError>>()?;
        let counts = supervised.counts(texts, samples).into_iter();
        Ok(DataPart {
            rows: texts.n_texts() as u64,
            skipped_rows: skipped.rows,
            skipped_by_reason: skipped.reasons.iter().map(|(reason, rows)| ((*reason).to_owned(), *rows)).collect(),
            samples: n_samples,
            lengths: Lengths::of(lengths),
            cut: supervised.n_cut(samples),
            counts: counts.map(|(name, count)| (name.to_owned(), count)).collect(),
        })
    };
    let skipped = &texts.skipped;
    let test = match (&texts.test, test) {
        (Some(texts), Some(samples)) => Some(part(texts, samples, &skipped.test)?),
        _ => None,
    };
    let counted = texts.train.labels().iter().zip(texts.train.label_counts());
    let mut labels: Vec<_> = counted.map(|(label, count)| LabelCount { label: label.clone(), count }).collect();
    // Stable, so that labels with equal counts keep their order.
    labels.sort_by_key(|label| std::cmp::Reverse(label.count));
    let contradictions = texts.conflicts.examples.iter();
    Ok(DataReport {
        rows: S::ROWS.to_owned(),
        training: part(&texts.train, training, &skipped.training)?,
        validation: part(&texts.validation, validation, &skipped.validation)?,
        test,
        max_seq_length: base.max_seq_length as u64,
        labels,
        scores: ScoreRange::of(&texts.train.scores()),
        repeated: texts.repeated,
        contradictions: contradictions
            .map(|it| Contradiction { text: it.text.clone(), labels: it.labels.clone() })
            .collect(),
    })
}
