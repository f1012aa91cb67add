//! Entities and their scores against seqeval, whose answers `fixtures/make_seqeval.py` writes: entities exactly, scores to 1e-12.

use burnformer_tasks::metrics::{EntityCounts, EntityMode, EntityScores, entities};
use serde_json::Value;

fn golden() -> Value {
    let path = format!("{}/tests/fixtures/seqeval.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn modes(case: &Value) -> [(&'static str, EntityMode); 2] {
    let strict = if case["scheme"] == "bio" { EntityMode::Iob2 } else { EntityMode::Iobes };
    [("default", EntityMode::Lenient), ("strict", strict)]
}

fn tags(sentence: &Value) -> Vec<&str> {
    sentence["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect()
}

#[test]
fn entities_are_those_of_seqeval() {
    let golden = golden();
    let mut n_broken = 0;
    for case in golden["cases"].as_array().unwrap() {
        for (name, mode) in modes(case) {
            for sentence in case["sentences"].as_array().unwrap().iter().flat_map(|it| [&it["truth"], &it["predicted"]])
            {
                let tags = tags(sentence);
                let found: Vec<Value> = entities(&tags, mode)
                    .into_iter()
                    .map(|entity| serde_json::json!([entity.label, entity.words.start, entity.words.end]))
                    .collect();
                assert_eq!(&Value::from(found), &sentence[name], "{name}: {tags:?}");
                n_broken += usize::from(sentence["default"] != sentence["strict"]);
            }
        }
    }
    assert!(n_broken > 50, "{n_broken}");
}

#[test]
fn scores_are_those_of_seqeval() {
    for case in golden()["cases"].as_array().unwrap() {
        for (name, mode) in modes(case) {
            let mut counts = EntityCounts::default();
            for sentence in case["sentences"].as_array().unwrap() {
                counts.add(&tags(&sentence["truth"]), &tags(&sentence["predicted"]), mode);
            }
            let averages: [(&str, EntityScores); 3] =
                [("micro", counts.micro()), ("macro", counts.macro_average()), ("weighted", counts.weighted_average())];
            for (average, found) in averages {
                let expected = &case["reports"][name][average];
                let pairs = [("precision", found.precision), ("recall", found.recall), ("f1", found.f1)];
                for (score, found) in pairs {
                    let expected = expected[score].as_f64().unwrap();
                    assert!((found - expected).abs() < 1e-12, "{name} {average} {score}: {found}, {expected}");
                }
            }
        }
    }
}
