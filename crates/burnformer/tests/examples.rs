//! The examples run to their end, and leave what they say.

#[path = "../examples/finetune.rs"]
#[expect(dead_code, reason = "its `main`")]
mod finetune;
#[path = "../examples/translate.rs"]
#[expect(dead_code, reason = "its `main`")]
mod translate;

#[test]
fn a_model_is_pretrained_and_fine_tuned() {
    let folder = tempfile::tempdir().unwrap();
    let report = finetune::run(folder.path(), None).unwrap();
    assert_eq!((report.training_texts, report.test.unwrap().texts), (43, 12));
    for model in ["model", "classifier"] {
        assert!(folder.path().join(model).join("model.safetensors").is_file(), "{model}");
    }
}

#[test]
fn a_translator_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let report = translate::run(folder.path()).unwrap();
    let metrics = report.validation.unwrap().metrics;
    // Of six words and an end, a guess would be as good as a perplexity of seven.
    assert!(metrics.get("perplexity").unwrap() < 7.0, "{metrics:?}");
}
