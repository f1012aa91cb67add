//! Tasks and pipelines on small models of random weights.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burnformer_core::progress::{Interrupt, Silent};
use burnformer_data::batches::{
    Batch, ClassificationBatch, Collator, Padded, Padding, PretrainingBatch, TokenClassificationBatch,
    TokenClassificationCollator,
};
use burnformer_data::datasets::TokenClassificationSample;
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerKind, train};
use burnformer_models::{
    BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, BertForTokenClassification,
    BertInput, BertVariant, Pooling, Pretrained,
};
use burnformer_nn::{DropoutRng, init};
use burnformer_ops::DeviceChoice;
use burnformer_tasks::metrics::{EntityMode, entities};
use burnformer_tasks::{
    AttentionMap, ClassificationTask, FillMask, MarkedText, MetricState, Pipeline, PretrainingCounts, PretrainingTask,
    Task, TaskError, TextClassification, TextEmbedding, TokenClassification, TokenClassificationTask,
    cosine_similarity, evaluate,
};

const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\ndog\nsat\nran\nover\nhill\n##s\n.\n";

fn device() -> Device {
    DeviceChoice::Auto.open().unwrap()
}

fn tokenizer(folder: &Path) -> Tokenizer {
    let path = folder.join("vocab.txt");
    std::fs::write(&path, WORDS).unwrap();
    Tokenizer::load(path).unwrap()
}

fn config() -> BertConfig {
    let small = BertConfig::preset("bert-tiny", 14, 0).unwrap();
    BertConfig { d_model: 12, n_heads: 3, d_ff: 20, max_seq_length: 9, init_std: 0.5, ..small }
}

fn pretraining_batch() -> PretrainingBatch {
    PretrainingBatch {
        numbers: vec![4, 9, 11],
        tokens: Padded {
            ids: vec![2, 5, 4, 3, 7, 8, 3, 2, 4, 3, 9, 3, 0, 0, 2, 5, 6, 3, 4, 3, 0],
            lengths: vec![7, 5, 6],
            seq_length: 7,
            multiple_of: 1,
        },
        first_lengths: vec![4, 3, 4],
        masked_positions: vec![2, 8, 18],
        masked_labels: vec![6, 7, 10],
        is_next: vec![true, false, true],
    }
}

#[test]
fn a_steps_loss_is_the_sum_of_its_parts_whatever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let task = PretrainingTask::new(config(), tokenizer(folder.path())).unwrap();
    let device = device();
    let model = BertForPreTraining::init(&config(), 1, &device);
    let loss = |parts: Vec<PretrainingBatch>| {
        let mut totals = PretrainingCounts::default();
        parts.iter().for_each(|part| totals += task.counts(part));
        let mut metric_state = task.metric_state();
        let losses = parts.iter().map(|part| {
            let forward = task.forward(&model, part, &totals, DropoutRng::off(), &device);
            task.add_scores(&mut metric_state, part, &forward.scores.read().unwrap()).unwrap();
            forward.loss.into_scalar::<f32>()
        });
        let loss: f32 = losses.sum();
        (f64::from(loss), metric_state)
    };
    let (whole, metric_state) = loss(vec![pretraining_batch()]);
    let (parts, of_parts) = loss(pretraining_batch().split(1));
    assert!((whole - parts).abs() < 1e-5, "{whole} and {parts}");
    assert_eq!((metric_state.masked, metric_state.pairs), (3, 3));
    assert_eq!(
        (of_parts.masked_correct, of_parts.pairs_correct),
        (metric_state.masked_correct, metric_state.pairs_correct)
    );
    // The loss is the sum of both means, which the metric state has too.
    assert!((metric_state.mlm_loss() + metric_state.nsp_loss() - whole).abs() < 1e-5);
    assert!((metric_state.quality() + whole).abs() < 1e-5);
}

#[test]
fn a_batch_without_pairs_or_masks_has_the_other_loss_alone() {
    let folder = tempfile::tempdir().unwrap();
    let task = PretrainingTask::new(config(), tokenizer(folder.path())).unwrap();
    let device = device().autodiff();
    let model = BertForPreTraining::init(&config(), 1, &device);
    let metric_state = |batch: &PretrainingBatch| {
        let forward = task.forward(&model, batch, &task.counts(batch), DropoutRng::off(), &device);
        forward.loss.backward();
        let mut metric_state = task.metric_state();
        task.add_scores(&mut metric_state, batch, &forward.scores.read().unwrap()).unwrap();
        metric_state
    };
    let whole = metric_state(&pretraining_batch());
    let single = metric_state(&PretrainingBatch { is_next: Vec::new(), ..pretraining_batch() });
    assert!((single.mlm_loss() - whole.mlm_loss()).abs() < 1e-6);
    let names: Vec<_> = single.metrics().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "mlm_loss", "mlm_accuracy", "mlm_perplexity"]);
    let unmasked = metric_state(&PretrainingBatch {
        masked_positions: Vec::new(),
        masked_labels: Vec::new(),
        ..pretraining_batch()
    });
    assert!((unmasked.nsp_loss() - whole.nsp_loss()).abs() < 1e-6);
    assert_eq!((unmasked.masked, unmasked.mlm_loss_sum), (0, 0.0));
}

#[test]
fn a_metric_state_survives_json_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut metric_state = PretrainingTask::new(config(), tokenizer(folder.path())).unwrap().metric_state();
    metric_state.mlm_loss_sum = 0.1 + 0.2;
    metric_state.nsp_loss_sum = f64::MIN_POSITIVE / 3.0;
    let json = serde_json::to_string(&metric_state).unwrap();
    assert_eq!(serde_json::from_str::<burnformer_tasks::PretrainingMetricState>(&json).unwrap(), metric_state);
}

fn labels() -> Vec<String> {
    ["rest", "motion", "neither"].map(str::to_owned).to_vec()
}

#[test]
fn classes_do_not_depend_on_the_texts_beside() {
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    let task = ClassificationTask::new(config(), tokenizer(folder.path()), labels()).unwrap();
    let model = BertForSequenceClassification::init(&config(), &labels(), 1, &device);
    task.save(&model, folder.path()).unwrap();
    let Pipeline::TextClassification(classifier) = Pipeline::from_folder_on(folder.path(), &device).unwrap() else {
        panic!("a classifier was saved")
    };
    assert_eq!(classifier.labels(), labels());
    let texts = [
        ("the cat sat.", None),
        ("dogs", None),
        ("the dog ran over the hills", Some("the cat sat over the hill.")),
        ("", None),
    ];
    let together = classifier.classify(&texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, prediction) in texts.iter().zip(&together) {
        let alone = &classifier.classify(&[*text]).unwrap()[0];
        assert_eq!((&alone.label, alone.index), (&prediction.label, prediction.index));
        for (a, b) in alone.probabilities.iter().zip(&prediction.probabilities) {
            assert!((a - b).abs() < 1e-5, "{text:?}: {alone:?} and {prediction:?}");
        }
        assert!((prediction.probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        assert_eq!(prediction.label, labels()[prediction.index]);
    }
    assert!(classifier.classify(&[]).unwrap().is_empty());
}

#[test]
fn evaluation_counts_every_answer() {
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    let task = ClassificationTask::new(config(), tokenizer(folder.path()), labels()).unwrap();
    let model = BertForSequenceClassification::init(&config(), &labels(), 1, &device);
    let batch = ClassificationBatch {
        numbers: vec![0, 1],
        tokens: Padded { ids: vec![2, 5, 6, 3, 2, 7, 3, 0], lengths: vec![4, 3], seq_length: 4, multiple_of: 1 },
        first_lengths: vec![4, 3],
        labels: vec![2, 0],
    };
    let batches = [Ok(batch.clone()), Ok(batch)];
    let metric_state = evaluate(&task, &model.valid(), batches, 4, &device, &Silent, &Interrupt::new()).unwrap();
    assert_eq!(metric_state.confusion.total(), 4);
    assert_eq!((0..3).map(|class| metric_state.confusion.count(2, class)).sum::<u64>(), 2);
    let loss = metric_state.metrics()[0].1;
    assert!((loss - metric_state.loss_sum / 4.0).abs() < 1e-12 && loss > 0.0);
    let interrupt = Interrupt::new();
    interrupt.request();
    let batches = [Ok(ClassificationBatch::default())];
    assert!(evaluate(&task, &model, batches, 1, &device, &Silent, &interrupt).is_err());
}

#[test]
fn masks_are_filled_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    let task = PretrainingTask::new(config(), tokenizer(folder.path())).unwrap();
    task.save(&BertForPreTraining::init(&config(), 1, &device), folder.path()).unwrap();
    let model = FillMask::load(folder.path(), &device).unwrap();
    let texts = ["the [MASK] sat [MASK].", "[MASK] cat", "the [MASK] sat over the hill"];
    let together = model.fill(&texts, 4).unwrap();
    for (text, expected) in texts.iter().zip(&together) {
        let alone = &model.fill(&[text], 4).unwrap()[0];
        assert_eq!(alone.len(), expected.len());
        for (alone, expected) in alone.iter().zip(expected) {
            assert_eq!(alone.position, expected.position);
            for (alone, expected) in alone.fills.iter().zip(&expected.fills) {
                assert_eq!((alone.id, &alone.text), (expected.id, &expected.text));
                assert!((alone.probability - expected.probability).abs() < 1e-6);
            }
        }
    }
    let filled = &together[0];
    assert_eq!(filled.iter().map(|mask| mask.position).collect::<Vec<_>>(), [2, 4]);
    for mask in filled {
        assert_eq!(mask.fills.len(), 4);
        assert!(mask.fills.is_sorted_by(|a, b| a.probability >= b.probability));
        assert!(mask.fills.iter().all(|fill| fill.text.contains("sat")));
    }
    let all = &model.fill(&["the [MASK] sat"], 100).unwrap()[0][0].fills;
    assert!((all.iter().map(|fill| fill.probability).sum::<f64>() - 1.0).abs() < 1e-6 && all.len() == 14);

    let map = AttentionMap::of(folder.path(), "the cat sat", &device).unwrap();
    assert_eq!(map.tokens, ["[CLS]", "the", "cat", "sat", "[SEP]"]);
    assert_eq!((map.weights.len(), map.weights[0].len()), (2, 3));
    for row in map.weights.iter().flatten().flatten().chain(&map.mean_over_heads(1)) {
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-5);
    }

    assert_eq!(
        model.fill(&["the cat"], 1).unwrap_err().to_string(),
        "`the cat` has no `[MASK]`: write it where a token is to be predicted"
    );
    let error = model.fill(&["the cat sat over the hill the cat [MASK]"], 1).unwrap_err();
    assert!(matches!(error, TaskError::MaskCutOff { max_length: 9, .. }), "{error}");
}

/// Tokens of bytes, or with a mark for a blank, are shown as the text they stand for.
#[test]
fn masks_are_filled_with_what_tokens_stand_for() {
    check_fills(TokenizerKind::ByteLevelBpe);
    check_fills(TokenizerKind::Unigram);
}

fn check_fills(kind: TokenizerKind) {
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    let texts = ["the café of the cat", "the café of the dog"].map(|text| Ok(text.to_owned()));
    let config = TokenizerConfig { kind, vocab_size: 290, ..TokenizerConfig::default() };
    let tokenizer = train(texts.into_iter(), &config, &Silent, &Interrupt::new()).unwrap();
    tokenizer.save(folder.path()).unwrap();
    let pad_id = tokenizer.specials().pad_id.unwrap();
    let vocab_size = tokenizer.vocab_size();
    let config = BertConfig {
        variant: BertVariant::Roberta,
        n_segments: 1,
        vocab_size,
        pad_id,
        max_seq_length: 30,
        ..self::config()
    };
    BertForMaskedLM::init(&config, 1, &device).save(folder.path()).unwrap();
    let model = FillMask::load(folder.path(), &device).unwrap();
    let text = format!("the {} of the cat", model.mask());
    let fills = &model.fill(&[&text], vocab_size).unwrap()[0][0].fills;
    assert_eq!(fills.len(), vocab_size);
    if let [the] = tokenizer.encode("the").unwrap()[..] {
        let fill = fills.iter().find(|fill| fill.id == the).unwrap();
        assert_eq!(fill.token.trim(), "the");
        assert_eq!(fill.text.trim_start(), "the the of the cat");
    } else {
        assert_eq!(kind, TokenizerKind::Unigram);
    }
    assert!(fills.iter().all(|fill| !fill.token.contains(['Ġ', '▁'])));
}

/// Weights that are finite, and products that are not.
#[test]
fn answers_that_are_not_finite_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, device) = (folder.path(), device());
    tokenizer(folder).save(folder).unwrap();
    // The last norm makes hidden states of some 1e38: sums of them are infinite.
    let huge = |path: &str, _: &[usize]| match path.contains("norm_ff") {
        true => init::Init::Constant(1e38),
        false => init::Init::Keep,
    };
    let is_refused = |error: Option<TaskError>| {
        let error = error.expect("an error");
        assert!(matches!(error, TaskError::NotFinite), "{error}");
    };
    init::by_name(BertForSequenceClassification::init(&config(), &labels(), 1, &device), 1, huge).save(folder).unwrap();
    is_refused(TextClassification::load(folder, &device).unwrap().classify(&[("the cat", None)]).err());
    is_refused(TextEmbedding::load(folder, &device).unwrap().embed(&["the cat"]).err());
    is_refused(AttentionMap::of(folder, "the cat", &device).err());
    // Logits that are infinite, which a logistic function hides.
    let infinite = |path: &str, _: &[usize]| match path.starts_with("classifier.") {
        true => init::Init::Constant(3.4e38),
        false => init::Init::Keep,
    };
    let classifier = BertForSequenceClassification::init(&config(), &labels(), 1, &device);
    init::by_name(classifier, 1, infinite).save(folder).unwrap();
    let json = std::fs::read_to_string(folder.join("config.json")).unwrap().replace("single_label", "multi_label");
    std::fs::write(folder.join("config.json"), json).unwrap();
    let texts = ["the cat", "the dog ran", "over the hill", "sat"].map(|text| (text, None));
    is_refused(TextClassification::load(folder, &device).unwrap().classify(&texts).err());
    init::by_name(BertForTokenClassification::init(&config(), &labels(), 1, &device), 1, huge).save(folder).unwrap();
    is_refused(TokenClassification::load(folder, &device).unwrap().mark(&["the cat"]).err());
    init::by_name(BertForMaskedLM::init(&config(), 1, &device), 1, huge).save(folder).unwrap();
    is_refused(FillMask::load(folder, &device).unwrap().fill(&["the [MASK]"], 1).err());
}

#[test]
fn folders_and_vocabularies_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let device = device();
    let task = PretrainingTask::new(config(), tokenizer(folder.path())).unwrap();
    task.save(&BertForPreTraining::init(&config(), 1, &device), folder.path()).unwrap();
    let error = TextClassification::load(folder.path(), &device).unwrap_err().to_string();
    assert!(
        error.ends_with("holds a model for masked language modelling, expected one for text classification"),
        "{error}"
    );
    let few = BertConfig { vocab_size: 13, ..config() };
    let error = PretrainingTask::new(few, tokenizer(folder.path())).unwrap_err();
    assert_eq!(error.to_string(), "the tokenizer has 14 tokens, the model only 13: they do not belong together");
    assert!(Pipeline::from_folder_on(folder.path().join("nothing"), &device).is_err());
}

const TEXTS: [&str; 4] = ["the cat sat", "the dog ran over the hills.", "hill", ""];

fn embedding_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tokenizer(folder.path()).save(folder.path()).unwrap();
    BertForPreTraining::init(&config(), 3, &device()).save(folder.path()).unwrap();
    folder
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// The modules of sentence-transformers, of which the last may be left out.
fn write_modules(folder: &Path, normalize: bool, pooling: &str) {
    let module = |index: usize, path: &str, kind: &str| {
        format!(
            r#"{{"idx": {index}, "name": "{index}", "path": "{path}", "type": "sentence_transformers.models.{kind}"}}"#
        )
    };
    let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
    modules.extend(normalize.then(|| module(2, "2_Normalize", "Normalize")));
    write(folder, "modules.json", &format!("[{}]", modules.join(", ")));
    write(folder, "1_Pooling/config.json", &format!(r#"{{"word_embedding_dimension": 12, "{pooling}": true}}"#));
}

#[test]
fn an_embedding_does_not_depend_on_the_texts_beside_it() {
    let folder = embedding_folder();
    let model = TextEmbedding::load(folder.path(), &device()).unwrap();
    let together = model.embed(&TEXTS).unwrap();
    for (text, embedding) in TEXTS.iter().zip(&together) {
        assert_eq!(embedding.len(), model.n_dimensions());
        let alone = &model.embed(&[text]).unwrap()[0];
        let difference = embedding.iter().zip(alone).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-5, "`{text}`: {difference:e}");
        let length: f32 = embedding.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "`{text}`: {length}");
        assert!((cosine_similarity(embedding, alone) - 1.0).abs() < 1e-5);
    }
    assert!(cosine_similarity(&together[0], &together[1]) < 0.999);
    assert!(model.embed(&[]).unwrap().is_empty());
}

#[test]
fn a_folder_of_sentence_transformers_says_how_vectors_are_made() {
    let folder = embedding_folder();
    let plain = TextEmbedding::load(folder.path(), &device()).unwrap();
    let with = |pooling, normalized| {
        let model = TextEmbedding::load(folder.path(), &device()).unwrap();
        model.with_pooling(pooling).unwrap().with_normalization(normalized).embed(&TEXTS).unwrap()
    };
    let (mean, cls) = (with(Pooling::Mean, true), with(Pooling::Cls, false));
    assert_eq!(plain.embed(&TEXTS).unwrap(), mean);
    assert_ne!(mean, cls);
    for (normalize, mode, expected) in
        [(true, "pooling_mode_mean_tokens", &mean), (false, "pooling_mode_cls_token", &cls)]
    {
        write_modules(folder.path(), normalize, mode);
        let Pipeline::TextEmbedding(model) = Pipeline::from_folder_on(folder.path(), &device()).unwrap() else {
            panic!("expected a pipeline for embeddings");
        };
        assert_eq!(&model.embed(&TEXTS).unwrap(), expected);
    }
    // Cut off behind `[CLS]`, one token, and `[SEP]`.
    write(folder.path(), "sentence_bert_config.json", r#"{"max_seq_length": 3}"#);
    let model = TextEmbedding::load(folder.path(), &device()).unwrap();
    assert_eq!(model.embed(&["hill cat"]).unwrap(), model.embed(&["hill dog ran"]).unwrap());
}

#[test]
fn a_way_to_embed_that_is_not_known_is_refused() {
    let folder = embedding_folder();
    let error = || {
        let error = TextEmbedding::load(folder.path(), &device()).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "FOLDER")
    };
    write_modules(folder.path(), true, "pooling_mode_max_tokens");
    let modules = std::fs::read_to_string(folder.path().join("modules.json")).unwrap();
    write(folder.path(), "modules.json", &modules.replace("1_Pooling", "../1_Pooling"));
    assert!(error().contains("asks for a module in `../1_Pooling`"), "{}", error());
    write(folder.path(), "modules.json", "[{}]");
    assert_eq!(error(), "`FOLDER/modules.json` does not describe how texts are embedded");
}

/// A model of random weights in `folder`, which gives words one of three tags.
fn tagger(folder: &Path) -> BertForTokenClassification {
    let labels = ["O", "B-X", "I-X"].map(str::to_owned);
    let model = BertForTokenClassification::init(&config(), &labels, 3, &device());
    let task = TokenClassificationTask::new(config(), tokenizer(folder), labels.to_vec()).unwrap();
    task.save(&model, folder).unwrap();
    model
}

fn tagged_batch() -> TokenClassificationBatch {
    let sample = |ids: &[u32], positions: &[u32], labels: &[u32]| TokenClassificationSample {
        ids: ids.to_vec(),
        positions: positions.to_vec(),
        labels: labels.to_vec(),
        further: Vec::new(),
    };
    let samples = vec![sample(&[2, 5, 12, 6, 3], &[1, 3], &[0, 1]), sample(&[2, 7, 8, 9, 3], &[1, 2, 3], &[1, 2, 0])];
    let padding = Padding { pad_id: 0, multiple_of: 1 };
    TokenClassificationCollator { padding }.collate(vec![3, 5], samples)
}

#[test]
fn the_loss_of_tags_is_the_mean_over_the_words_of_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let (model, device) = (tagger(folder.path()), device());
    let task = TokenClassificationTask::new(config(), tokenizer(folder.path()), model.labels().to_vec()).unwrap();
    let run = |parts: Vec<TokenClassificationBatch>| {
        let (mut totals, mut state, mut loss) = (0, task.metric_state(), 0.0);
        parts.iter().for_each(|part| totals += task.counts(part));
        for part in &parts {
            let forward = task.forward(&model, part, &totals, DropoutRng::off(), &device);
            let mut metrics = task.metric_state();
            task.add_scores(&mut metrics, part, &forward.scores.read().unwrap()).unwrap();
            state.merge(metrics);
            loss += f64::from(forward.loss.into_scalar::<f32>());
        }
        (loss, state)
    };
    let (whole, state) = run(vec![tagged_batch()]);
    let (parts, of_parts) = run(tagged_batch().split(1));
    assert!((whole - parts).abs() < 1e-6 && (state.loss() - whole).abs() < 1e-6, "{whole}, {parts}, {state:?}");
    assert_eq!((state.words, state.sentences, &state.entities), (5, 2, &of_parts.entities));
    assert_eq!(state.entities.micro().support, 2);
    let names: Vec<_> = state.metrics().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "accuracy", "entity_precision", "entity_recall", "entity_f1"]);

    // Without a label the loss is 0, where transformers has NaN.
    let none = TokenClassificationBatch { positions: vec![], labels: vec![], ..tagged_batch() };
    let (loss, state) = run(vec![none]);
    assert_eq!((loss, state.words, state.loss()), (0.0, 0, 0.0));
}

#[test]
fn further_tokens_of_words_are_in_the_loss_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (model, device) = (tagger(folder.path()), device());
    let task = TokenClassificationTask::new(config(), tokenizer(folder.path()), model.labels().to_vec()).unwrap();
    let run = |batch: &TokenClassificationBatch| {
        let forward = task.forward(&model, batch, &task.counts(batch), DropoutRng::off(), &device);
        let mut state = task.metric_state();
        task.add_scores(&mut state, batch, &forward.scores.read().unwrap()).unwrap();
        (f64::from(forward.loss.into_scalar::<f32>()), state)
    };
    let with_further =
        TokenClassificationBatch { further_positions: vec![2], further_labels: vec![2], ..tagged_batch() };
    // The same token as a word of its own.
    let as_word = TokenClassificationBatch {
        positions: vec![1, 2, 3, 6, 7, 8],
        labels: vec![0, 2, 1, 1, 2, 0],
        ..tagged_batch()
    };
    let ((loss, state), (expected, _)) = (run(&with_further), run(&as_word));
    assert!((loss - expected).abs() < 1e-6 && (state.loss() - expected).abs() < 1e-6, "{loss}, {expected}, {state:?}");
    assert_eq!((state.words, state.further_tokens), (5, 1));
    let (_, without) = run(&tagged_batch());
    assert_eq!((state.entities, state.correct), (without.entities, without.correct));
}

#[test]
fn entities_have_the_characters_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let model = tagger(folder.path());
    let Pipeline::TokenClassification(pipeline) = Pipeline::from_folder(folder.path()).unwrap() else {
        panic!("another pipeline")
    };
    // `cats` has two tokens, the emoji none that is known.
    let texts = ["\u{1f600} Thé cats sat.", "", "the hill", "the cat ran the dog ran over the hill"];
    let marked = pipeline.mark(&texts).unwrap();
    assert_eq!(marked[1], MarkedText::default());
    // Seven tokens besides the special ones.
    assert_eq!((marked[0].words_cut_off, marked[3].words_cut_off), (0, 2));
    let mut n_entities = 0;
    for (text, marked) in texts.iter().zip(&marked) {
        for entity in &marked.entities {
            let found: String = text.chars().skip(entity.start).take(entity.end - entity.start).collect();
            assert_eq!(found, entity.text);
            assert!(entity.label == "X" && entity.score > 1.0 / 3.0 && entity.score <= 1.0, "{entity:?}");
            assert!(!entity.text.starts_with(' ') && !entity.text.ends_with(' '), "{entity:?}");
            n_entities += 1;
        }
    }
    assert!(n_entities > 2, "{marked:?}");

    // Alone, a text has the same entities, and they are those of the model's answers to its words.
    let ids = tokenizer(folder.path()).encode_with_specials("the hill", None, None).unwrap().ids;
    let ids = Tensor::<1, Int>::from_data(TensorData::from(ids.as_slice()), &device()).reshape([1, 4]);
    let logits = model.forward(BertInput::new(ids), Tensor::from_data([1, 2], &device()));
    let answers: Vec<i64> = logits.argmax(1).into_data().iter::<i64>().collect();
    let tags: Vec<&str> = answers.iter().map(|&label| model.labels()[label as usize].as_str()).collect();
    let spans = [0..3, 4..8];
    let expected: Vec<_> = entities(&tags, EntityMode::Lenient)
        .into_iter()
        .map(|entity| (spans[entity.words.start].start, spans[entity.words.end - 1].end))
        .collect();
    let found: Vec<_> = pipeline.mark(&["the hill"]).unwrap()[0].entities.iter().map(|it| (it.start, it.end)).collect();
    assert_eq!(found, expected);
}

/// Byte-level tokens hold the blank in front of a word, which is none of the word's characters.
#[test]
fn words_of_byte_level_tokens_have_no_blank_in_front() {
    let folder = tempfile::tempdir().unwrap();
    let texts = ["the café of the cat", "the café of the dog"].map(|text| Ok(text.to_owned()));
    let config = TokenizerConfig { kind: TokenizerKind::ByteLevelBpe, vocab_size: 290, ..TokenizerConfig::default() };
    let tokenizer = train(texts.into_iter(), &config, &Silent, &Interrupt::new()).unwrap();
    let (pad_id, vocab_size) = (tokenizer.specials().pad_id.unwrap(), tokenizer.vocab_size());
    let config = BertConfig {
        variant: BertVariant::Roberta,
        n_segments: 1,
        vocab_size,
        pad_id,
        max_seq_length: 20,
        ..self::config()
    };
    // Without `O` and `I-` every word is an entity.
    let labels = ["B-X", "B-Y"].map(str::to_owned);
    let task = TokenClassificationTask::new(config.clone(), tokenizer, labels.to_vec()).unwrap();
    task.save(&BertForTokenClassification::init(&config, &labels, 1, &device()), folder.path()).unwrap();
    let model = TokenClassification::load(folder.path(), &device()).unwrap();
    let words = |text: &str| -> Vec<(usize, usize, String)> {
        let marked = model.mark(&[text]).unwrap().remove(0);
        marked.entities.into_iter().map(|entity| (entity.start, entity.end, entity.text)).collect()
    };
    let expected = |words: &[(usize, usize, &str)]| -> Vec<(usize, usize, String)> {
        words.iter().map(|(start, end, text)| (*start, *end, (*text).to_owned())).collect()
    };
    assert_eq!(words("the café"), expected(&[(0, 3, "the"), (4, 8, "café")]));
    assert_eq!(words(" the dog"), expected(&[(1, 4, "the"), (5, 8, "dog")]));
    assert_eq!(words("\u{1f600} dog."), expected(&[(0, 1, "\u{1f600}"), (2, 5, "dog"), (5, 6, ".")]));
}

/// What tokenizers of the wild put around texts: nothing, or one token.
fn processors() -> [(serde_json::Value, &'static [&'static str]); 3] {
    let special = |token: &str| serde_json::json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let text = || serde_json::json!({ "Sequence": { "id": "A", "type_id": 0 } });
    let template = |single: Vec<serde_json::Value>, token: &str, id: u32| {
        serde_json::json!({
            "type": "TemplateProcessing",
            "single": single,
            "pair": [text(), { "Sequence": { "id": "B", "type_id": 1 } }, special(token)],
            "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
        })
    };
    [
        (serde_json::Value::Null, &[]),
        (template(vec![special("[CLS]"), text()], "[CLS]", 2), &["[CLS]"]),
        (template(vec![text(), special("[SEP]")], "[SEP]", 3), &["[SEP]"]),
    ]
}

fn write_processor(folder: &Path, processor: &serde_json::Value) {
    let path = folder.join("tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    json["post_processor"] = processor.clone();
    std::fs::write(path, json.to_string()).unwrap();
    // A class of its own would put its special tokens around texts.
    let path = folder.join("tokenizer_config.json");
    let mut json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    json["tokenizer_class"] = "PreTrainedTokenizerFast".into();
    std::fs::write(path, json.to_string()).unwrap();
}

/// Nothing is taken off a text that the tokenizer did not put there.
#[test]
fn a_text_is_whole_whatever_stands_around_it() {
    let folder = tempfile::tempdir().unwrap();
    tokenizer(folder.path()).save(folder.path()).unwrap();
    BertForPreTraining::init(&config(), 1, &device()).save(folder.path()).unwrap();
    for (processor, added) in processors() {
        write_processor(folder.path(), &processor);
        let n_front = usize::from(added == ["[CLS]"]);
        let model = FillMask::load(folder.path(), &device()).unwrap();
        for (text, place) in [("[MASK]", 0), ("the [MASK] sat", 1), ("[MASK] the hill", 0), ("the cat [MASK]", 2)] {
            let masks = &model.fill(&[text], 14).unwrap()[0];
            assert_eq!(masks.len(), 1, "{processor}: {text}");
            assert_eq!(masks[0].position, place + n_front, "{processor}: {text}");
            let fill = masks[0].fills.iter().find(|fill| fill.token == "dog").unwrap();
            assert_eq!(fill.text, text.replace("[MASK]", "dog"), "{processor}");
        }
        let map = AttentionMap::of(folder.path(), "the cat sat", &device()).unwrap();
        let (front, behind): (&[&str], &[&str]) = if n_front == 1 { (added, &[]) } else { (&[], added) };
        assert_eq!(map.tokens, [front, &["the", "cat", "sat"], behind].concat());
    }
}

/// Without a token there is nothing to answer: alone and beside other texts, and no panic.
#[test]
fn a_text_without_tokens_is_an_error_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let check = |error: TaskError, what: &str| {
        assert_eq!(error.to_string(), "text 2 cannot be used", "{what}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("a text has no tokens, and the tokenizer puts none around it"), "{what}: {source}");
    };
    BertForSequenceClassification::init(&config(), &labels(), 1, &device()).save(folder.path()).unwrap();
    for (processor, added) in processors() {
        tokenizer(folder.path()).save(folder.path()).unwrap();
        write_processor(folder.path(), &processor);
        let classifier = TextClassification::load(folder.path(), &device()).unwrap();
        match classifier.classify(&[("the cat", None), ("", None)]) {
            Err(error) if added.is_empty() => check(error, "class"),
            answers => assert_eq!(answers.unwrap().len(), 2, "{processor}"),
        }
        assert_eq!(classifier.classify(&[("", Some("the cat"))]).unwrap().len(), 1, "{processor}");
    }
    let none = &processors()[0].0;
    let folder = embedding_folder();
    write_processor(folder.path(), none);
    check(TextEmbedding::load(folder.path(), &device()).unwrap().embed(&["cat", " \n"]).unwrap_err(), "vector");
    check(FillMask::load(folder.path(), &device()).unwrap().fill(&["[MASK]", "\u{7}"], 1).unwrap_err(), "mask");
    let filled = FillMask::load(folder.path(), &device()).unwrap().fill(&["", "[MASK]", " "], 1).unwrap();
    assert_eq!(filled.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
    let folder = tempfile::tempdir().unwrap();
    tagger(folder.path());
    write_processor(folder.path(), none);
    let tagger = TokenClassification::load(folder.path(), &device()).unwrap();
    // Where nothing is, there is no entity.
    assert_eq!(tagger.mark(&[""]).unwrap(), [MarkedText::default()]);
    let marked = tagger.mark(&["\u{7}", "the cat ran the dog"]).unwrap();
    assert_eq!(marked, [MarkedText::default(), tagger.mark(&["the cat ran the dog"]).unwrap().remove(0)]);
}

#[test]
fn texts_that_are_cut_are_counted() {
    let folder = embedding_folder();
    let (fits, long) = ("the cat sat over the hill .", "the cat sat over the hill . the");
    let model = TextEmbedding::load(folder.path(), &device()).unwrap();
    model.embed(&[fits, "", fits]).unwrap();
    assert_eq!((model.n_cut(), model.max_length()), (0, 9));
    model.embed(&[long, fits, long]).unwrap();
    model.embed(&[long]).unwrap();
    assert_eq!(model.n_cut(), 3);
    let folder = tempfile::tempdir().unwrap();
    tagger(folder.path());
    let tagger = TokenClassification::load(folder.path(), &device()).unwrap();
    tagger.mark(&[fits, long]).unwrap();
    assert_eq!((tagger.n_cut(), tagger.max_length()), (1, 9));
    tokenizer(folder.path()).save(folder.path()).unwrap();
    BertForSequenceClassification::init(&config(), &labels(), 1, &device()).save(folder.path()).unwrap();
    let classifier = TextClassification::load(folder.path(), &device()).unwrap();
    // The special tokens of a pair are three.
    classifier.classify(&[("the cat sat", Some("the hill .")), ("the cat sat", Some("the hill . the"))]).unwrap();
    assert_eq!(classifier.n_cut(), 1);
}

/// A text of any length costs what its first tokens cost.
#[test]
fn a_giant_text_is_read_no_further_than_the_model_can() {
    let folder = tempfile::tempdir().unwrap();
    tagger(folder.path());
    let tagger = TokenClassification::load(folder.path(), &device()).unwrap();
    let words = "the cat ran ".repeat(100_000);
    let marked = &tagger.mark(&[&words]).unwrap()[0];
    assert_eq!(marked.words_cut_off, 300_000 - 7);
    let beginning = &tagger.mark(&["the cat ran the cat ran the"]).unwrap()[0];
    assert_eq!(marked.entities, beginning.entities);
}
