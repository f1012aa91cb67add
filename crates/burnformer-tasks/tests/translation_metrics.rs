//! BLEU, chrF and paired bootstrap against sacreBLEU, whose answers `fixtures/make_translation_metrics.py` writes.

use burnformer_tasks::metrics::{
    Bleu, BleuStatistics, BleuTokenizer, Chrf, ChrfScore, ChrfVariant, CorpusMetric, MetricError, PairedBootstrap,
    paired_bootstrap, paired_bootstrap_of,
};
use proptest::prelude::*;
use regex::Regex;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Of scores in `[0, 100]`: rounding in double precision.
const ROUNDING: f64 = 1e-9;
/// The same in single precision, in which sacreBLEU computes the scores of resamples.
const SINGLE_ROUNDING: f64 = 1e-4;

#[derive(Deserialize)]
struct Tokens {
    tokenizers: Vec<String>,
    /// Each text and its words by each tokenizer.
    texts: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Corpus {
    name: String,
    hypotheses: Vec<String>,
    references: Vec<Vec<String>>,
    bleu: Vec<GoldenBleu>,
    chrf: Vec<GoldenChrf>,
}

#[derive(Deserialize)]
struct GoldenBleu {
    tokenizer: String,
    lowercase: bool,
    score: f64,
    precisions: [f64; 4],
    brevity_penalty: f64,
    hypothesis_length: u64,
    reference_length: u64,
    matches: [u64; 4],
    totals: [u64; 4],
    text: String,
    signature: String,
}

#[derive(Deserialize)]
struct GoldenChrf {
    word_order: usize,
    lowercase: bool,
    score: f64,
    text: String,
    signature: String,
}

#[derive(Deserialize)]
struct Bootstrap {
    references: Vec<String>,
    baseline: Vec<String>,
    system: Vec<String>,
    resamples: Vec<Vec<usize>>,
    bleu: GoldenPair,
    chrf: GoldenPair,
}

#[derive(Deserialize)]
struct GoldenPair {
    #[serde(flatten)]
    double: GoldenComparison,
    /// In single precision.
    whole: GoldenComparison,
}

#[derive(Deserialize)]
struct GoldenComparison {
    baseline: GoldenEstimate,
    system: GoldenEstimate,
    p_value: f64,
}

#[derive(Deserialize)]
struct GoldenEstimate {
    score: f64,
    mean: f64,
    half_width: f64,
}

fn golden<T: DeserializeOwned>(part: &str) -> T {
    golden_in("translation_metrics.json", part)
}

fn golden_in<T: DeserializeOwned>(file: &str, part: &str) -> T {
    let path = format!("{}/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    T::deserialize(&golden[part]).unwrap()
}

fn tokenizer(name: &str) -> BleuTokenizer {
    BleuTokenizer::ALL.into_iter().find(|tokenizer| tokenizer.name() == name).unwrap()
}

fn slices(references: &[Vec<String>]) -> Vec<&[String]> {
    references.iter().map(Vec::as_slice).collect()
}

#[track_caller]
fn check(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected} within {tolerance:e}");
}

#[test]
fn words_are_those_of_sacrebleu() {
    let golden: Tokens = golden("tokens");
    for text in &golden.texts {
        for (name, words) in golden.tokenizers.iter().zip(&text[1..]) {
            assert_eq!(tokenizer(name).tokenize(&text[0]), *words, "{name} of {:?}", text[0]);
        }
    }
}

/// Every character is asked, between two letters: one that is a word of its own is set apart, white space vanishes.
#[test]
fn white_space_and_chinese_characters_are_those_of_sacrebleu() {
    let [space, chinese] = ["space", "chinese"].map(golden::<Vec<[u32; 2]>>);
    let is_in = |ranges: &[[u32; 2]], c: char| ranges.iter().any(|&[first, last]| (first..=last).contains(&(c as u32)));
    for c in '\0'..=char::MAX {
        let text = format!("a{c}a");
        let (is_space, is_chinese) = (is_in(&space, c), is_in(&chinese, c));
        let words = if is_space { "a a".to_owned() } else { text.clone() };
        assert_eq!(BleuTokenizer::Whitespace.tokenize(&text), words, "{c:?}");
        let words = match c {
            _ if is_space => words,
            _ if is_chinese => format!("a {c} a"),
            // What is set apart between letters as punctuation.
            '.' | ',' | '!'..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~' => format!("a {c} a"),
            _ => text.clone(),
        };
        assert_eq!(BleuTokenizer::Chinese.tokenize(&text), words, "{c:?}");
    }
}

/// The file of `intl`, made by `fixtures/make_intl.py`.
const INTL: &str = "translation_metrics_intl.json";

#[test]
fn international_words_are_those_of_sacrebleu() {
    for [text, words] in golden_in::<Vec<[String; 2]>>(INTL, "tokens") {
        assert_eq!(BleuTokenizer::International.tokenize(&text), words, "{text:?}");
    }
}

/// Every character is asked, between two letters and between two digits; but for those that are newer than the tables of our
/// library.
#[test]
fn categories_of_characters_are_those_of_sacrebleu() {
    let parts = ["number", "punctuation", "symbol"].map(|part| golden_in::<Vec<[u32; 2]>>(INTL, part));
    let is_space = |c: char| c.is_whitespace() || ('\u{1C}'..='\u{1F}').contains(&c);
    let tokenize = |text: &str| BleuTokenizer::International.tokenize(text);
    let unassigned = Regex::new(r"\p{Cn}").unwrap();
    for c in ('\0'..=char::MAX).filter(|c| !is_space(*c) && !unassigned.is_match(c.encode_utf8(&mut [0; 4]))) {
        let is_in = |ranges: &[[u32; 2]]| ranges.iter().any(|&[first, last]| (first..=last).contains(&(c as u32)));
        let [is_number, is_punctuation, is_symbol] = [0, 1, 2].map(|part| is_in(&parts[part]));
        let apart = if is_punctuation || is_symbol { format!("a {c} a") } else { format!("a{c}a") };
        assert_eq!(tokenize(&format!("a{c}a")), apart, "{c:?}");
        let apart = if is_symbol { format!("1 {c} 1") } else { format!("1{c}1") };
        assert_eq!(tokenize(&format!("1{c}1")), apart, "{c:?}");
        let apart = if is_number { format!("{c}.1") } else { format!("{c} . 1") };
        assert_eq!(tokenize(&format!("{c}.1")), apart, "{c:?}");
    }
}

#[test]
fn a_tokenizer_that_is_missing_is_said_to_be() {
    for name in ["flores200", "flores101", "ja-mecab", "ko-mecab", "spm", "spBLEU-1K"] {
        assert!(BleuTokenizer::absence(name).is_some(), "{name}");
    }
    assert!(BleuTokenizer::ALL.into_iter().all(|it| BleuTokenizer::absence(it.name()).is_none()));
    assert_eq!(BleuTokenizer::absence("x"), None);
}

#[test]
fn bleu_is_that_of_sacrebleu() {
    let international = golden_in::<Vec<Corpus>>(INTL, "corpora");
    for corpus in golden::<Vec<Corpus>>("corpora").into_iter().chain(international) {
        for golden in &corpus.bleu {
            let what = format!("{}, {}, lowercase {}", corpus.name, golden.tokenizer, golden.lowercase);
            let bleu = Bleu { tokenizer: tokenizer(&golden.tokenizer), lowercase: golden.lowercase };
            let found = bleu.corpus(&corpus.hypotheses, &slices(&corpus.references)).unwrap();
            let statistics = BleuStatistics {
                hypothesis_length: golden.hypothesis_length,
                reference_length: golden.reference_length,
                matches: golden.matches,
                totals: golden.totals,
            };
            assert_eq!(found.statistics, statistics, "{what}");
            check(&what, found.score, golden.score, ROUNDING);
            check(&what, found.brevity_penalty, golden.brevity_penalty, ROUNDING);
            for (precision, golden) in found.precisions.into_iter().zip(golden.precisions) {
                check(&what, precision, golden, ROUNDING);
            }
            assert_eq!(found.to_string(), golden.text, "{what}");
            assert_eq!(bleu.signature(corpus.references.len()), golden.signature, "{what}");
        }
    }
}

#[test]
fn chrf_is_that_of_sacrebleu() {
    for corpus in golden::<Vec<Corpus>>("corpora") {
        for golden in &corpus.chrf {
            let what = format!("{}, {} words, lowercase {}", corpus.name, golden.word_order, golden.lowercase);
            let variant = if golden.word_order == 0 { ChrfVariant::Chrf } else { ChrfVariant::ChrfPlusPlus };
            let chrf = Chrf { variant, lowercase: golden.lowercase };
            let found = chrf.corpus(&corpus.hypotheses, &slices(&corpus.references)).unwrap();
            check(&what, found.score, golden.score, ROUNDING);
            assert_eq!(found.to_string(), golden.text, "{what}");
            assert_eq!(chrf.signature(corpus.references.len()), golden.signature, "{what}");
        }
    }
}

fn compare<M: CorpusMetric>(metric: &M, texts: &Bootstrap, resamples: Vec<Vec<usize>>) -> PairedBootstrap {
    let [baseline, system] =
        [&texts.baseline, &texts.system].map(|texts_of| metric.statistics(texts_of, &[&texts.references]).unwrap());
    paired_bootstrap_of(metric, &baseline, &system, resamples).unwrap()
}

#[test]
fn intervals_and_p_values_on_the_same_resamples_are_those_of_sacrebleu() {
    let golden: Bootstrap = golden("bootstrap");
    let of_metrics = [
        ("BLEU", compare(&Bleu::default(), &golden, golden.resamples.clone()), &golden.bleu),
        ("chrF", compare(&Chrf::default(), &golden, golden.resamples.clone()), &golden.chrf),
    ];
    for (what, found, golden) in of_metrics {
        for (golden, tolerance) in [(&golden.double, ROUNDING), (&golden.whole, SINGLE_ROUNDING)] {
            for (found, golden) in [(found.baseline, &golden.baseline), (found.system, &golden.system)] {
                check(&format!("{what}: score"), found.score, golden.score, tolerance);
                check(&format!("{what}: mean"), found.mean, golden.mean, tolerance);
                check(&format!("{what}: half_width"), found.half_width, golden.half_width, tolerance);
            }
            check(&format!("{what}: p_value"), found.p_value, golden.p_value, 1e-12);
        }
    }
}

/// On other resamples the estimates come near: within five standard errors of sacreBLEU's mean over 200.
#[test]
fn own_resamples_estimate_the_same_and_depend_on_the_seed_alone() {
    let texts: Bootstrap = golden("bootstrap");
    let bleu = Bleu::default();
    let [baseline, system] =
        [&texts.baseline, &texts.system].map(|texts_of| bleu.statistics(texts_of, &[&texts.references]).unwrap());
    let of_seed = |seed| paired_bootstrap(&bleu, &baseline, &system, 1_000, seed).unwrap();
    let found = of_seed(1);
    assert_eq!(found, of_seed(1));
    assert_ne!(found, of_seed(2));
    // The interval is 2 · 1.96 standard deviations wide.
    let standard_error = texts.bleu.double.system.half_width / 1.96 / 200.0_f64.sqrt();
    check("mean", found.system.mean, texts.bleu.double.system.mean, 5.0 * standard_error);
    // The standard deviation of 200 draws is known to a twentieth.
    check(
        "half_width",
        found.system.half_width,
        texts.bleu.double.system.half_width,
        0.25 * texts.bleu.double.system.half_width,
    );
    // Binomial, p about 0.03: five standard errors of 200 draws.
    check("p_value", found.p_value, texts.bleu.double.p_value, 5.0 * (0.03 * 0.97 / 200.0_f64).sqrt());
}

/// As in sacreBLEU: see [`PairedBootstrap::p_value`].
#[test]
fn the_same_answers_have_the_smallest_p_value() {
    let chrf = Chrf::default();
    let statistics = chrf.statistics(&["one", "two", "three"], &[&["one", "two", "four"]]).unwrap();
    let found = paired_bootstrap(&chrf, &statistics, &statistics, 99, 0).unwrap();
    assert_eq!(found.p_value, 0.01);
    assert_eq!(found.baseline, found.system);
}

#[test]
fn what_cannot_be_scored_is_refused_and_named() {
    let chrf = Chrf::default();
    let none: [&str; 0] = [];
    let check = |found: Result<ChrfScore, MetricError>, error: MetricError, text: &str| {
        assert_eq!(found.unwrap_err(), error);
        assert_eq!(error.to_string(), text);
    };
    check(chrf.corpus(&none, &[&none]), MetricError::NoSentences, "there is no sentence to score");
    let no_references: [&[&str]; 0] = [];
    check(chrf.corpus(&["a"], &no_references), MetricError::NoReferences, "there are no references to compare with");
    check(
        chrf.corpus(&["a", "b"], &[&["a", "b"], &["a", "b", "c"]]),
        MetricError::DifferentLengths { hypotheses: 2, references: 3, set: 1 },
        "2 sentences and 3 references in set 1 (counted from 0): each sentence needs one reference",
    );
}

#[test]
fn systems_that_cannot_be_compared_are_refused_and_named() {
    let chrf = Chrf::default();
    let statistics = chrf.statistics(&["a", "b"], &[&["a", "c"]]).unwrap();
    let check = |baseline, system, n_resamples, error: MetricError, text: &str| {
        assert_eq!(paired_bootstrap(&chrf, baseline, system, n_resamples, 0), Err(error));
        assert_eq!(error.to_string(), text);
    };
    check(
        &statistics,
        &statistics[..1],
        9,
        MetricError::DifferentSystems { baseline: 2, system: 1 },
        "2 sentences of the baseline and 1 of the system: both must have answered the same texts",
    );
    check(&[], &[], 9, MetricError::NoSentences, "there is no sentence to score");
    check(&statistics, &statistics, 0, MetricError::NoResamples, "0 resamples, expected at least 1");
}

#[test]
fn scores_are_written_flat() {
    let bleu = Bleu::default().corpus(&["a b c d e"], &[&["a b c d e"]]).unwrap();
    let expected = serde_json::json!({
        "score": bleu.score,
        "precisions": [100.0, 100.0, 100.0, 100.0],
        "brevity_penalty": 1.0,
        "hypothesis_length": 5,
        "reference_length": 5,
        "matches": [5, 4, 3, 2],
        "totals": [5, 4, 3, 2],
    });
    assert_eq!(serde_json::to_value(bleu).unwrap(), expected);
    let chrf = Chrf { variant: ChrfVariant::ChrfPlusPlus, lowercase: false }.corpus(&["a"], &[&["b"]]).unwrap();
    assert_eq!(serde_json::to_value(chrf).unwrap(), serde_json::json!({ "variant": "chrF++", "score": 0.0 }));
}

/// Sentences of few words, so that some match.
fn sentences() -> impl Strategy<Value = Vec<(String, String)>> {
    let sentence = "([abc.,1-]{1,3}|猫|\u{301}| ){0,12}";
    proptest::collection::vec((sentence, sentence), 1..6)
}

fn scores(pairs: &[(String, String)]) -> Vec<f64> {
    let (hypotheses, references): (Vec<_>, Vec<_>) = pairs.iter().cloned().unzip();
    let bleu = BleuTokenizer::ALL.map(|tokenizer| Bleu { tokenizer, lowercase: false });
    let chrf = [ChrfVariant::Chrf, ChrfVariant::ChrfPlusPlus].map(|variant| Chrf { variant, lowercase: false });
    let bleu = bleu.iter().map(|bleu| bleu.corpus(&hypotheses, &[&references]).unwrap().score);
    let chrf = chrf.iter().map(|chrf| chrf.corpus(&hypotheses, &[&references]).unwrap().score);
    bleu.chain(chrf).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scores_are_percentages(pairs in sentences()) {
        for score in scores(&pairs) {
            prop_assert!((0.0..=100.0 + ROUNDING).contains(&score), "{score}");
        }
    }

    #[test]
    fn the_order_of_sentences_is_irrelevant(mut pairs in sentences()) {
        let before = scores(&pairs);
        pairs.reverse();
        prop_assert_eq!(before, scores(&pairs));
    }

    #[test]
    fn what_equals_its_reference_is_perfect(texts in proptest::collection::vec("[a-z]{1,3}( [a-z,.]{1,3}){4,9}", 1..6)) {
        let pairs: Vec<_> = texts.iter().map(|text| (text.clone(), text.clone())).collect();
        for score in scores(&pairs) {
            prop_assert!((score - 100.0).abs() < ROUNDING, "{score}");
        }
    }

    /// Every set of references is looked at, whichever comes first.
    #[test]
    fn the_order_of_references_is_irrelevant(pairs in sentences()) {
        let (one, other): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let hypotheses: Vec<_> = one.iter().zip(&other).map(|(one, other)| format!("{one}{other}")).collect();
        let bleu = Bleu::default();
        let found = bleu.corpus(&hypotheses, &[&one, &other]).unwrap();
        prop_assert_eq!(found, bleu.corpus(&hypotheses, &[&other, &one]).unwrap());
    }
}
