//! Scores of classifiers for reports, and their pictures.

use burnformer_reports::{
    AverageScores, ClassReport, ClassificationIntervals, ClassificationScores, OutOfScopeScores, ReliabilityBin,
};
use burnformer_tasks::ClassificationMetricState;
use burnformer_tasks::metrics::{
    BootstrapInterval, ClassProbabilities, ClassScores, ConfusionMatrix, MOST_WRITTEN, auroc, bootstrap_interval,
};
use burnformer_train::{PictureError, ReliabilityBar, confusion_picture, reliability_picture};

use crate::Picture;

/// The scores of a classifier with these classes; intervals are drawn with `seed`.
pub(crate) fn of_state(state: &ClassificationMetricState, labels: &[String], seed: u64) -> ClassificationScores {
    let loss = state.loss_sum / state.confusion.total().max(1) as f64;
    let scores = of_confusion(&state.confusion, Some(loss), labels, seed);
    match &state.probabilities {
        Some(probabilities) => with_probabilities(scores, probabilities, seed),
        None => scores,
    }
}

/// How well texts out of scope are told apart from those with a class, by the probability of the answer; `None` if the states
/// have no probabilities.
pub(crate) fn out_of_scope(
    within: &ClassificationMetricState,
    outside: &ClassificationMetricState,
    seed: u64,
) -> Option<OutOfScopeScores> {
    let of = |state: &ClassificationMetricState| state.probabilities.as_ref().map(|it| it.confidences().to_vec());
    let (within, outside) = (of(within)?, of(outside)?);
    let is_within: Vec<bool> = (0..within.len() + outside.len()).map(|row| row < within.len()).collect();
    let confidences: Vec<f64> = within.iter().chain(&outside).map(|&it| f64::from(it)).collect();
    let score = |rows: &[usize]| {
        let of_rows = rows.iter().map(|&row| (is_within[row], confidences[row]));
        let (is_within, confidences): (Vec<bool>, Vec<f64>) = of_rows.unzip();
        auroc(&is_within, &confidences)
    };
    let interval = bootstrap_interval(is_within.len(), seed, score).map(ends);
    Some(OutOfScopeScores { texts: outside.len() as u64, auroc: auroc(&is_within, &confidences)?, interval })
}

/// The scores that follow from a confusion matrix, and the mean loss where there is one.
pub(crate) fn of_confusion(
    confusion: &ConfusionMatrix,
    loss: Option<f64>,
    labels: &[String],
    seed: u64,
) -> ClassificationScores {
    let (all, occurring) = (confusion.macro_f1(), confusion.macro_f1_of_occurring());
    let is_written = labels.len() <= MOST_WRITTEN;
    let intervals = confusion.intervals(seed);
    let class = |(label, scores): (&String, ClassScores)| {
        let ClassScores { precision, recall, f1, support } = scores;
        ClassReport { label: label.clone(), precision, recall, f1, support, auroc: None }
    };
    ClassificationScores {
        texts: confusion.total(),
        loss,
        accuracy: confusion.accuracy(),
        accuracy_standard_error: confusion.accuracy_standard_error(),
        macro_f1: all,
        macro_f1_standard_error: intervals.map_or(0.0, |intervals| intervals.macro_f1.standard_error),
        // Means over other numbers of classes; the sums are the same.
        macro_f1_of_occurring: (occurring != all).then_some(occurring),
        macro_average: Some(average(confusion.macro_average())),
        weighted_average: Some(average(confusion.weighted_average())),
        mcc: Some(confusion.mcc()),
        auroc: None,
        calibration_error: None,
        out_of_scope: None,
        intervals: intervals.map(|intervals| ClassificationIntervals {
            accuracy: ends(intervals.accuracy),
            macro_f1: ends(intervals.macro_f1),
            mcc: ends(intervals.mcc),
            auroc: None,
        }),
        classes: labels.iter().zip(confusion.by_class()).map(class).collect(),
        reliability: Vec::new(),
        absent_labels: confusion.absent().into_iter().filter_map(|class| labels.get(class).cloned()).collect(),
        labels: labels.to_vec(),
        confusion: if is_written { confusion.counts() } else { Vec::new() },
        confusion_cells: if is_written { Vec::new() } else { confusion.cells().collect() },
    }
}

fn average(ClassScores { precision, recall, f1, .. }: ClassScores) -> AverageScores {
    AverageScores { precision, recall, f1 }
}

fn ends(interval: BootstrapInterval) -> (f64, f64) {
    (interval.low, interval.high)
}

/// `scores`, with those of the probabilities.
fn with_probabilities(
    mut scores: ClassificationScores,
    probabilities: &ClassProbabilities,
    seed: u64,
) -> ClassificationScores {
    let aurocs = probabilities.aurocs();
    let defined: Vec<f64> = aurocs.iter().copied().flatten().collect();
    scores.auroc = (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64);
    for (class, auroc) in scores.classes.iter_mut().zip(aurocs) {
        class.auroc = auroc;
    }
    if let Some(intervals) = &mut scores.intervals {
        intervals.auroc = probabilities.auroc_interval(seed).map(ends);
    }
    let reliability = probabilities.reliability();
    scores.calibration_error = Some(reliability.expected_calibration_error());
    let bin = |bin: &burnformer_tasks::metrics::ReliabilityBin| ReliabilityBin {
        count: bin.count,
        accuracy: bin.accuracy(),
        probability: bin.mean_probability(),
    };
    scores.reliability = reliability.bins().iter().map(bin).collect();
    scores
}

/// The confusion matrix of a report.
pub(crate) fn confusion(scores: &ClassificationScores) -> ConfusionMatrix {
    match scores.confusion.is_empty() {
        true => ConfusionMatrix::from_cells(scores.labels.len(), scores.confusion_cells.iter().copied()),
        false => ConfusionMatrix::from_counts(&scores.confusion),
    }
}

/// Confusion matrix and reliability of scores.
pub(crate) fn pictures(scores: &ClassificationScores) -> Result<Vec<Picture>, PictureError> {
    let mut pictures = vec![("confusion_matrix.svg", confusion_picture(&confusion(scores), &scores.labels)?)];
    if scores.reliability.iter().any(|bin| bin.count > 0) {
        let bar = |&ReliabilityBin { count, accuracy, probability }: &ReliabilityBin| ReliabilityBar {
            count,
            accuracy,
            probability,
        };
        let bars: Vec<ReliabilityBar> = scores.reliability.iter().map(bar).collect();
        pictures.push(("reliability.svg", reliability_picture(&bars)?));
    }
    Ok(pictures)
}
