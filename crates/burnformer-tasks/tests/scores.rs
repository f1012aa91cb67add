//! Averages, correlations, AUROC, rankings, calibration and multi-label scores against scikit-learn, SciPy and
//! sentence-transformers, whose answers `fixtures/make_scores.py` writes: to 1e-12, and intervals as closely as a bootstrap
//! is repeatable.

use burnformer_tasks::metrics::{
    BootstrapInterval, ClassScores, ConfusionMatrix, MultiLabelCounts, RankedGains, RankingMeans, Reliability, auroc,
    auroc_of_labels, auroc_one_vs_rest, bootstrap_interval, kendall_tau_b, pearson, spearman,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Of scores in `[-1, 1]`: rounding in double precision.
const ROUNDING: f64 = 1e-12;
/// Of an end of an interval, in standard errors of the score: the 2.5 % quantile of 1,000 normal numbers has a standard
/// error of 0.08, five of which are allowed. A score of few examples takes few values, so a quantile may be one of them off.
const QUANTILE: f64 = 0.4;
/// Of a standard deviation over 1,000 resamples, relative: five times its own standard error `1 / √2,000`.
const DEVIATION: f64 = 0.112;

fn golden(part: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/scores.json", env!("CARGO_MANIFEST_DIR"));
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    golden[part].as_array().unwrap().clone()
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

#[track_caller]
fn check(case: &Value, what: &str, found: f64, expected: f64) {
    let difference = (found - expected).abs();
    assert!(difference <= ROUNDING, "{} {what}: {found}, expected {expected}, off by {difference:e}", case["name"]);
}

#[track_caller]
fn check_scores(case: &Value, what: &str, found: ClassScores, expected: &Value) {
    let expected: [f64; 3] = read(expected);
    for (found, expected) in [found.precision, found.recall, found.f1].into_iter().zip(expected) {
        check(case, what, found, expected);
    }
}

#[track_caller]
fn check_interval(what: &str, found: BootstrapInterval, expected: &Value) {
    let [low, high, error]: [f64; 3] = read(expected);
    for (found, expected) in [(found.low, low), (found.high, high)] {
        assert!((found - expected).abs() <= QUANTILE * error, "{what}: {found}, expected {expected} ± {error}");
    }
    assert!((found.standard_error / error - 1.0).abs() <= DEVIATION, "{what}: {found:?}, expected {error}");
}

fn confusion(case: &Value) -> ConfusionMatrix {
    let mut confusion = ConfusionMatrix::new(read(&case["n_classes"]));
    let (truth, predicted): (Vec<usize>, Vec<usize>) = (read(&case["truth"]), read(&case["predicted"]));
    truth.into_iter().zip(predicted).for_each(|(truth, predicted)| confusion.add(truth, predicted));
    confusion
}

#[test]
fn averages_over_classes_are_those_of_scikit_learn() {
    for case in golden("classes") {
        let confusion = confusion(&case);
        check_scores(&case, "macro", confusion.macro_average(), &case["averages"]["macro"]);
        check_scores(&case, "weighted", confusion.weighted_average(), &case["averages"]["weighted"]);
        check_scores(&case, "micro", confusion.micro(read::<Vec<usize>>(&case["some"])), &case["micro"]);
        check(&case, "mcc", confusion.mcc(), read(&case["mcc"]));
        assert_eq!(confusion.macro_average().f1, confusion.macro_f1());
        assert_eq!(confusion.micro(0..confusion.n_classes()).f1, confusion.accuracy());
        let each: Vec<_> = (0..confusion.n_classes()).map(|class| confusion.of_class(class)).collect();
        assert_eq!(confusion.by_class().collect::<Vec<_>>(), each);
    }
    let empty = ConfusionMatrix::new(3);
    assert_eq!((empty.mcc(), empty.weighted_average().f1, empty.intervals(1)), (0.0, 0.0, None));
}

#[test]
fn intervals_of_classes_are_those_of_scipys_bootstrap() {
    let cases: Vec<_> = golden("classes").into_iter().filter(|case| case["intervals"].is_object()).collect();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let found = confusion(&case).intervals(7).unwrap();
        check_interval("accuracy", found.accuracy, &case["intervals"]["accuracy"]);
        check_interval("macro F1", found.macro_f1, &case["intervals"]["macro_f1"]);
        check_interval("MCC", found.mcc, &case["intervals"]["mcc"]);
    }
}

/// The squares of so many examples do not fit into 64 bits.
#[test]
fn the_correlation_of_very_many_examples_is_that_of_few_with_the_same_shares() {
    let [few, many] =
        [1, 1_000_000_000].map(|n| ConfusionMatrix::from_counts([vec![40 * n, 10 * n], vec![5 * n, 45 * n]]));
    assert!((few.mcc() - many.mcc()).abs() < ROUNDING);
}

#[test]
fn correlations_are_those_of_scipy() {
    for case in golden("correlation") {
        let (x, y): (Vec<f64>, Vec<f64>) = (read(&case["x"]), read(&case["y"]));
        check(&case, "Pearson", pearson(&x, &y).unwrap(), read(&case["pearson"]));
        check(&case, "Spearman", spearman(&x, &y).unwrap(), read(&case["spearman"]));
        check(&case, "Kendall", kendall_tau_b(&x, &y).unwrap(), read(&case["kendall"]));
        if case["interval"].is_array() {
            let of = |rows: &[usize], all: &[f64]| rows.iter().map(|&row| all[row]).collect::<Vec<f64>>();
            let interval = bootstrap_interval(x.len(), 3, |rows| spearman(&of(rows, &x), &of(rows, &y)));
            check_interval("Spearman", interval.unwrap(), &case["interval"]);
        }
    }
}

#[test]
fn a_correlation_that_is_not_defined_is_none() {
    let cases: [(&[f64], &[f64]); 5] = [
        (&[], &[]),
        (&[1.0], &[2.0]),
        (&[1.0, 2.0], &[3.0, 3.0]),
        (&[1.0, f64::NAN], &[3.0, 4.0]),
        (&[1.0, f64::INFINITY], &[3.0, 4.0]),
    ];
    for (x, y) in cases {
        assert_eq!((pearson(x, y), spearman(x, y), kendall_tau_b(x, y)), (None, None, None), "{x:?} {y:?}");
    }
    // The squares of these numbers are no numbers of double precision.
    assert_eq!(pearson(&[1e-200, 2e-200, 3e-200], &[1e200, 2e200, 3e200]), Some(1.0));
    assert_eq!(pearson(&[-1.7e308, 0.0, 1.7e308], &[1.0, 2.0, 3.0]), Some(1.0));
}

#[test]
fn aurocs_are_those_of_scikit_learn() {
    for case in golden("auroc") {
        let (truth, scores): (Vec<bool>, Vec<f64>) = (read(&case["truth"]), read(&case["scores"]));
        check(&case, "AUROC", auroc(&truth, &scores).unwrap(), read(&case["auroc"]));
    }
    for case in golden("one_vs_rest") {
        let (truth, scores): (Vec<usize>, Vec<f32>) = (read(&case["truth"]), read(&case["scores"]));
        let found = auroc_one_vs_rest(&truth, &scores, read(&case["n_classes"]));
        check(&case, "AUROC", found.unwrap(), read(&case["auroc"]));
    }
    for case in golden("label_auroc") {
        let (truth, scores): (Vec<bool>, Vec<f32>) = (read(&case["truth"]), read(&case["scores"]));
        check(&case, "AUROC", auroc_of_labels(&truth, &scores, read(&case["n_labels"])).unwrap(), read(&case["auroc"]));
    }
}

#[test]
fn classes_without_an_example_have_no_auroc() {
    assert_eq!(auroc(&[true, true], &[0.1, 0.2]), None);
    assert_eq!(auroc(&[false], &[0.1]), None);
    assert_eq!(auroc(&[false, true], &[0.1, f64::NAN]), None);
    // Of the third class there is none: the mean is over two.
    let scores = [0.9, 0.1, 0.0, 0.2, 0.8, 0.0, 0.3, 0.2, 0.5];
    assert_eq!(auroc_one_vs_rest(&[0, 1, 0], &scores, 3), Some(1.0));
    assert_eq!(auroc_one_vs_rest(&[], &[], 3), None);
}

#[test]
fn rankings_are_scored_as_scikit_learn_does() {
    for case in golden("ranking") {
        let (gains, scores): (Vec<f64>, Vec<f64>) = (read(&case["gains"]), read(&case["scores"]));
        let ranked = RankedGains::of_scores(&scores, &gains);
        for k in [1, 3, 10] {
            check(&case, "NDCG", ranked.ndcg(k), read(&case["ndcg"][k.to_string()]));
        }
        let all = usize::MAX;
        let expected = case["average_precision"].as_f64().unwrap_or(0.0);
        check(&case, "average precision", ranked.average_precision(all), expected);
        if let Some(expected) = case["reciprocal_rank"].as_f64() {
            check(&case, "reciprocal rank", ranked.reciprocal_rank(all), expected);
        }
    }
}

#[test]
fn retrieval_is_scored_as_sentence_transformers_does() {
    for case in golden("retrieval") {
        let query = |query: &Value| {
            let relevant = vec![1.0; read(&query["relevant"])];
            RankedGains::of_part(read(&query["gains"]), relevant)
        };
        let queries: Vec<_> = case["queries"].as_array().unwrap().iter().map(query).collect();
        for k in [1, 3, 10] {
            let (found, expected) = (RankingMeans::at(&queries, k), &case["means"][k.to_string()]);
            let names = [("mrr", found.mrr), ("map", found.map), ("ndcg", found.ndcg), ("recall", found.recall)];
            names.into_iter().for_each(|(name, found)| check(&case, name, found, read(&expected[name])));
            let precision = queries.iter().map(|query| query.precision(k)).sum::<f64>() / queries.len() as f64;
            check(&case, "precision", precision, read(&expected["precision"]));
        }
    }
}

#[test]
fn answers_without_a_number_are_behind_all_others() {
    let ranked = RankedGains::of_scores(&[f64::NAN, -1.0, f64::NEG_INFINITY, -0.0, 0.0], &[4.0, 2.0, 3.0, 0.0, 1.0]);
    assert_eq!(ranked, RankedGains::new(vec![0.0, 1.0, 2.0, 4.0, 3.0]));
    let none = RankedGains::new(vec![0.0, f64::NAN, -2.0]);
    assert_eq!((none.n_relevant(), none.ndcg(3), none.recall(3), none.reciprocal_rank(3)), (0, 0.0, 0.0, 0.0));
    assert_eq!(RankingMeans::at(&[], 10), RankingMeans::default());
}

#[test]
fn calibration_is_that_of_scikit_learn() {
    for case in golden("calibration") {
        let (probabilities, right): (Vec<f64>, Vec<bool>) = (read(&case["probabilities"]), read(&case["right"]));
        let count = |part: std::ops::Range<usize>| {
            let mut reliability = Reliability::new(read(&case["n_bins"]));
            part.for_each(|row| reliability.add(probabilities[row], right[row]));
            reliability
        };
        let mut reliability = count(0..right.len() / 2);
        reliability += count(right.len() / 2..right.len());
        check(&case, "ECE", reliability.expected_calibration_error(), read(&case["ece"]));
        let bins: Vec<_> = reliability.bins().iter().filter(|bin| bin.count > 0).collect();
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), read::<Vec<u64>>(&case["counts"]));
        let (accuracy, mean): (Vec<f64>, Vec<f64>) = (read(&case["accuracy"]), read(&case["mean_probability"]));
        for (bin, (accuracy, mean)) in bins.into_iter().zip(accuracy.into_iter().zip(mean)) {
            check(&case, "accuracy", bin.accuracy(), accuracy);
            check(&case, "mean probability", bin.mean_probability(), mean);
        }
        let written = serde_json::to_string(&reliability).unwrap();
        assert_eq!(serde_json::from_str::<Reliability>(&written).unwrap(), reliability);
    }
    assert_eq!(Reliability::new(3).expected_calibration_error(), 0.0);
}

#[test]
fn scores_of_several_labels_are_those_of_scikit_learn() {
    for case in golden("multi_label") {
        let (truth, predicted): (Vec<Vec<bool>>, Vec<Vec<bool>>) = (read(&case["truth"]), read(&case["predicted"]));
        let count = |part: std::ops::Range<usize>| {
            let mut counts = MultiLabelCounts::new(truth[0].len());
            part.for_each(|row| counts.add(&truth[row], &predicted[row]));
            counts
        };
        let mut counts = count(0..truth.len() / 2);
        counts += count(truth.len() / 2..truth.len());
        check_scores(&case, "micro", counts.micro(), &case["averages"]["micro"]);
        check_scores(&case, "macro", counts.macro_average(), &case["averages"]["macro"]);
        check_scores(&case, "weighted", counts.weighted_average(), &case["averages"]["weighted"]);
        check_scores(&case, "samples", counts.samples_average(), &case["averages"]["samples"]);
        check(&case, "subset accuracy", counts.subset_accuracy(), read(&case["subset_accuracy"]));
        let by_label: Vec<[f64; 4]> = read(&case["by_label"]);
        assert_eq!(counts.by_label().len(), by_label.len());
        for (found, [precision, recall, f1, support]) in counts.by_label().zip(by_label) {
            check_scores(&case, "label", found, &serde_json::json!([precision, recall, f1]));
            assert_eq!(found.support as f64, support);
        }
        let written = serde_json::to_string(&counts).unwrap();
        assert_eq!(serde_json::from_str::<MultiLabelCounts>(&written).unwrap(), counts);
    }
    assert_eq!(MultiLabelCounts::new(2).samples_average(), ClassScores::default());
}

#[test]
fn an_interval_depends_on_its_seed_alone_and_of_many_rows_a_part_is_drawn() {
    let share = |n: usize, seed| {
        bootstrap_interval(n, seed, |rows| {
            Some(rows.iter().filter(|&&row| row % 4 == 0).count() as f64 / rows.len() as f64)
        })
    };
    assert_eq!(share(200, 1), share(200, 1));
    assert_ne!(share(200, 1), share(200, 2));
    // √(p (1 - p) / n), of 200,000 rows, of which 20,000 are drawn.
    let interval = share(200_000, 1).unwrap();
    let expected = (0.25 * 0.75 / 200_000.0_f64).sqrt();
    assert!((interval.standard_error / expected - 1.0).abs() < DEVIATION, "{interval:?}");
    assert!((interval.high - interval.low - 2.0 * 1.96 * expected).abs() < 2.0 * QUANTILE * expected, "{interval:?}");
    assert_eq!(bootstrap_interval(0, 1, |_| Some(1.0)), None);
    assert_eq!(bootstrap_interval(5, 1, |_| None), None);
}
