//! Metrics against scikit-learn and scipy, whose answers `fixtures/make_metrics.py` writes: to 1e-12, and standard errors as
//! closely as a bootstrap is repeatable.

use burnformer_core::random::{Key, Purpose, Stream};
use burnformer_tasks::metrics::{ConfusionMatrix, entropy, majority, perplexity, wilson_interval};
use serde_json::Value;

/// Of scores in `[0, 1]`: rounding in double precision.
const ROUNDING: f64 = 1e-12;
/// Of a standard deviation over 1,000 resamples, relative: five times its own standard error `1 / √2,000`.
const BOOTSTRAP: f64 = 0.112;

fn golden(part: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/metrics.json", env!("CARGO_MANIFEST_DIR"));
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    golden[part].as_array().unwrap().clone()
}

fn counts(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
}

/// The matrix with these counts, example by example.
fn confusion(counts: &[Vec<u64>]) -> ConfusionMatrix {
    let mut confusion = ConfusionMatrix::new(counts.len());
    for (truth, row) in counts.iter().enumerate() {
        for (predicted, &count) in row.iter().enumerate() {
            (0..count).for_each(|_| confusion.add(truth, predicted));
        }
    }
    confusion
}

fn cases() -> Vec<(Value, ConfusionMatrix)> {
    let cases = golden("confusion").into_iter().map(|case| {
        let rows: Vec<_> = case["counts"].as_array().unwrap().iter().map(counts).collect();
        let confusion = confusion(&rows);
        (case, confusion)
    });
    cases.collect()
}

#[track_caller]
fn check(what: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: no golden value"));
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected} within {tolerance:e}");
}

#[test]
fn scores_are_those_of_scikit_learn() {
    for (case, confusion) in cases() {
        let at = |what: &str| format!("{}: {what}", case["name"]);
        check(&at("accuracy"), confusion.accuracy(), &case["accuracy"], ROUNDING);
        check(&at("macro_f1"), confusion.macro_f1(), &case["macro_f1"], ROUNDING);
        let occurring = confusion.macro_f1_of_occurring();
        check(&at("macro_f1_of_occurring"), occurring, &case["macro_f1_of_occurring"], ROUNDING);
        let support = counts(&case["support"]);
        assert_eq!(confusion.total(), support.iter().sum::<u64>());
        for class in 0..confusion.n_classes() {
            let scores = confusion.of_class(class);
            check(&at("precision"), scores.precision, &case["precision"][class], ROUNDING);
            check(&at("recall"), scores.recall, &case["recall"][class], ROUNDING);
            check(&at("f1"), scores.f1, &case["f1"][class], ROUNDING);
            assert_eq!(scores.support, support[class], "{}", at("support"));
        }
        let absent: Vec<usize> = (0..support.len()).filter(|&class| support[class] == 0).collect();
        assert_eq!(confusion.absent(), absent, "{}", at("absent"));
        let majority = majority(&support, &support);
        check(&at("majority_accuracy"), majority.accuracy(), &case["majority_accuracy"], ROUNDING);
        check(&at("majority_macro_f1"), majority.macro_f1(), &case["majority_macro_f1"], ROUNDING);
    }
}

#[test]
fn standard_errors_are_those_of_scipys_bootstrap() {
    for (case, confusion) in cases() {
        let at = |what: &str| format!("{}: {what}", case["name"]);
        let relative = |value: &Value| BOOTSTRAP * value.as_f64().unwrap();
        let expected = &case["accuracy_standard_error"];
        check(&at("accuracy"), confusion.accuracy_standard_error(), expected, relative(expected));
        let expected = &case["macro_f1_standard_error"];
        check(&at("macro_f1"), confusion.macro_f1_standard_error(7), expected, relative(expected));
    }
}

#[test]
fn a_standard_error_depends_on_its_seed_alone() {
    let confusion = confusion(&[vec![30, 9], vec![4, 50]]);
    let of_seed = |seed| confusion.macro_f1_standard_error(seed);
    assert_eq!(of_seed(1), of_seed(1));
    assert_ne!(of_seed(1), of_seed(2));
}

/// Ten times as many examples as are drawn at most, with the same shares: `√10` less uncertain.
#[test]
fn many_examples_are_drawn_in_part_and_scaled() {
    let scaled =
        |factor: u64| confusion(&[vec![40_000 * factor, 10_000 * factor], vec![5_000 * factor, 45_000 * factor]]);
    let (all, part) = (scaled(1).macro_f1_standard_error(1), scaled(10).macro_f1_standard_error(2));
    let ratio = all / part / 10.0_f64.sqrt();
    // Two deviations of 1,000 resamples each, five standard errors of their ratio.
    assert!((ratio - 1.0).abs() < 0.16, "{all} and {part}, {ratio} times what is expected");
}

#[test]
fn intervals_are_those_of_scipy() {
    for case in golden("wilson") {
        let [successes, total] = ["successes", "total"].map(|key| case[key].as_u64().unwrap());
        let (low, high) = wilson_interval(successes, total, case["z"].as_f64().unwrap());
        check(&format!("{successes} of {total}"), low, &case["low"], ROUNDING);
        check(&format!("{successes} of {total}"), high, &case["high"], ROUNDING);
    }
    assert_eq!(wilson_interval(0, 0, 1.96), (0.0, 1.0));
}

#[test]
fn entropies_are_those_of_scipy() {
    for case in golden("entropy") {
        let counts = counts(&case["counts"]);
        check(&format!("{counts:?}"), entropy(counts), &case["nats"], ROUNDING);
    }
    assert_eq!(entropy([]), 0.0);
    assert_eq!(entropy([0, 0]), 0.0);
}

#[test]
fn the_perplexity_of_choosing_evenly_is_the_number_of_choices() {
    assert!((perplexity(entropy([7; 1_000])) - 1_000.0).abs() < 1e-9);
    assert_eq!(perplexity(0.0), 1.0);
}

#[test]
fn batches_add_up_to_the_whole_in_any_order() {
    let mut stream = Stream::new(Key::new(3, Purpose::Order, "test"), 0);
    let examples: Vec<_> = (0..500).map(|_| (stream.below(6) as usize, stream.below(6) as usize)).collect();
    let count = |examples: &[(usize, usize)]| {
        let mut confusion = ConfusionMatrix::new(6);
        examples.iter().for_each(|&(truth, predicted)| confusion.add(truth, predicted));
        confusion
    };
    let mut sum = ConfusionMatrix::new(6);
    examples.chunks(77).rev().for_each(|batch| sum += count(batch));
    assert_eq!(sum, count(&examples));
    assert_eq!(sum.total(), 500);
    let of_cell = examples.iter().filter(|&&example| example == (2, 5)).count();
    assert_eq!(sum.count(2, 5), of_cell as u64);
}

#[test]
fn nothing_counted_scores_nothing() {
    for confusion in [ConfusionMatrix::default(), ConfusionMatrix::new(3), majority(&[], &[])] {
        assert_eq!((confusion.accuracy(), confusion.macro_f1(), confusion.macro_f1_of_occurring()), (0.0, 0.0, 0.0));
        assert_eq!((confusion.accuracy_standard_error(), confusion.macro_f1_standard_error(1)), (0.0, 0.0));
    }
}

#[test]
fn the_first_of_the_most_frequent_classes_is_the_majority() {
    let confusion = majority(&[2, 5, 5], &[2, 5, 5]);
    assert_eq!([0, 1, 2].map(|truth| confusion.count(truth, 1)), [2, 5, 5]);
    assert_eq!(confusion.total(), 12);
}

#[test]
fn the_majority_of_one_set_answers_another() {
    let confusion = majority(&[9, 1], &[3, 4]);
    assert_eq!(confusion.counts(), [[3, 0], [4, 0]]);
    assert_eq!(ConfusionMatrix::from_counts(confusion.counts()), confusion);
}

#[test]
#[should_panic(expected = "prediction 2 is none of 2 classes")]
fn a_class_that_does_not_exist_is_refused() {
    ConfusionMatrix::new(2).add(0, 2);
}

#[test]
#[should_panic(expected = "2 classes and 3 do not add up")]
fn matrices_of_other_classes_do_not_add_up() {
    let mut confusion = ConfusionMatrix::new(2);
    confusion += ConfusionMatrix::new(3);
}

#[test]
fn it_is_written_as_rows() {
    let confusion = confusion(&[vec![1, 2], vec![0, 3]]);
    assert_eq!(serde_json::to_string(&confusion).unwrap(), "[[1,2],[0,3]]");
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_table_has_names_counts_and_shares() {
    let confusion = confusion(&[vec![412, 16], vec![24, 420]]);
    let expected = "\
truth \\ predicted  negative  positive  recall
negative                412        16  96.3 %
positive                 24       420  94.6 %
precision            94.5 %    96.3 %
";
    assert_eq!(confusion.table(&names(&["negative", "positive"])), expected);
}

#[test]
fn long_names_are_cut_and_missing_ones_are_numbers() {
    let confusion = confusion(&[vec![1, 0, 0], vec![0, 2, 0], vec![0, 0, 3]]);
    let expected = "\
truth \\ predicted               a  überraschend langer…        2   recall
a                               1                     0        0  100.0 %
überraschend langer Nam…        0                     2        0  100.0 %
2                               0                     0        3  100.0 %
precision                 100.0 %               100.0 %  100.0 %
";
    assert_eq!(confusion.table(&names(&["a", "überraschend langer Name einer Klasse"])), expected);
}

#[test]
fn many_classes_are_shown_by_their_confusions() {
    let mut confusion = ConfusionMatrix::new(30);
    (0..30).for_each(|class| confusion.add(class, class));
    let labels: Vec<_> = (0..29).map(|class| format!("class {class}")).collect();
    assert_eq!(confusion.table(&labels), "no class was taken for another\n");
    (0..12).for_each(|_| confusion.add(29, 3));
    (0..25).for_each(|class| confusion.add(class + 1, class));
    let table = confusion.table(&labels);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "count  truth     taken for",
            "   12  29        class 3",
            "    1  class 1   class 0",
            "    1  class 2   class 1"
        ]
    );
    assert_eq!(lines.len(), 21);
}
