//! Training: what is learnt, that it is learnt again in the same way, and that it is what Hugging Face's library learns.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use burnformer_core::progress::{Progress, Stage, Unit};
use burnformer_core::{Interrupt, Interrupted, Silent};
use burnformer_data::DataError;
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerError, TokenizerKind, train, train_covering};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::models::wordlevel::WordLevelTrainer;
use tokenizers::models::wordpiece::WordPieceTrainer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Trainer as _};

const KINDS: [TokenizerKind; 3] = [TokenizerKind::WordPiece, TokenizerKind::ByteLevelBpe, TokenizerKind::WordLevel];

/// Made-up words of made-up syllables: some common, most rare, many equally common.
fn corpus() -> Vec<String> {
    let syllables = ["ba", "ke", "Lo", "mí", "nu", "ro", "SA", "tê", "vi", "zo", "北", "的", "aa", "'s", "1."];
    let mut state = 7_u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut word = || {
        let syllable = |n: u64| syllables[(n as usize).min(syllables.len() - 1)];
        let spread = 1 + next(15);
        (0..=next(4)).map(|_| syllable(next(spread))).collect::<String>()
    };
    let line = |word: &mut dyn FnMut() -> String, i: usize| {
        let words: Vec<String> = (0..i % 17).map(|_| word()).collect();
        words.join(["  ", " ", ", ", "\n", " ! "][i % 5])
    };
    (0..3000).map(|i| line(&mut word, i)).collect()
}

fn train_on(texts: &[String], config: &TokenizerConfig) -> Result<Tokenizer, DataError> {
    train(texts.iter().map(|text| Ok(text.clone())), config, &Silent, &Interrupt::new())
}

fn config(kind: TokenizerKind, vocab_size: usize) -> TokenizerConfig {
    TokenizerConfig { kind, vocab_size, ..TokenizerConfig::default() }
}

fn json(tokenizer: &Tokenizer) -> String {
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path()).unwrap();
    std::fs::read_to_string(folder.path().join("tokenizer.json")).unwrap()
}

fn vocabulary(tokenizer: &Tokenizer) -> Vec<String> {
    (0..tokenizer.vocab_size() as u32).map(|id| tokenizer.token(id).unwrap()).collect()
}

#[test]
fn the_same_texts_give_the_same_file_on_any_number_of_threads() {
    let corpus = corpus();
    for kind in KINDS {
        let config = TokenizerConfig { limit_alphabet: 20, ..config(kind, 500) };
        let expected = json(&train_on(&corpus, &config).unwrap());
        for threads in [1, 2, 3, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for _ in 0..3 {
                assert_eq!(json(&pool.install(|| train_on(&corpus, &config)).unwrap()), expected, "{kind:?}");
            }
        }
    }
}

/// Trains the library on `corpus` as it would be trained without us. It gives WordPiece's single characters their ids in the
/// order of a hash map, so they are listed as special tokens here, in our order.
fn check_like_library(config: &TokenizerConfig, corpus: &[String]) {
    let ours = train_on(corpus, config).unwrap();
    let mut library: tokenizers::Tokenizer = json(&ours).parse().unwrap();
    let added = |tokens: &[String]| tokens.iter().map(|it| AddedToken::from(it.as_str(), true)).collect::<Vec<_>>();
    let n_specials = ours.special_ids().len();
    let tokens = vocabulary(&ours);
    let (size, frequency) = (config.vocab_size, config.min_frequency);
    let mut trainer: TrainerWrapper = match config.kind {
        TokenizerKind::WordLevel => {
            let mut trainer = WordLevelTrainer::builder();
            let trainer = trainer.vocab_size(size).min_frequency(frequency).show_progress(false);
            trainer.special_tokens(added(&tokens[..n_specials])).build().unwrap().into()
        }
        TokenizerKind::ByteLevelBpe => BpeTrainer::builder()
            .vocab_size(size)
            .min_frequency(frequency)
            .show_progress(false)
            .special_tokens(added(&tokens[..n_specials]))
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build()
            .into(),
        _ => {
            let single = |token: &str| token.trim_start_matches("##").chars().count() == 1;
            let letters = tokens.iter().skip(n_specials).take_while(|token| single(token)).count();
            WordPieceTrainer::builder()
                .vocab_size(size)
                .min_frequency(frequency)
                .show_progress(false)
                .special_tokens(added(&tokens[..n_specials + letters]))
                .build()
                .into()
        }
    };
    assert!(!trainer.should_show_progress());
    library.train(&mut trainer, corpus.iter()).unwrap();
    let theirs: Vec<_> = (0..tokens.len() as u32).map(|id| library.id_to_token(id).unwrap()).collect();
    assert_eq!(tokens, theirs);
    let merges = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap()["model"]["merges"].take();
    assert_eq!(merges(&json(&ours)), merges(&library.to_string(false).unwrap()));
}

#[test]
fn training_gives_what_the_library_gives() {
    let corpus = corpus();
    for (kind, lowercase) in KINDS.iter().flat_map(|&kind| [(kind, true), (kind, false)]) {
        for (vocab_size, min_frequency) in [(320, 2), (700, 1), (5000, 4)] {
            let config = TokenizerConfig { kind, lowercase, vocab_size, min_frequency, ..TokenizerConfig::default() };
            check_like_library(&config, &corpus);
        }
    }
}

#[test]
fn special_tokens_come_first_and_are_never_learnt() {
    let texts = ["<unk> <pad> [MASK] </s> the <unk> the <mask>".to_owned()];
    for (kind, first) in KINDS.into_iter().zip(["[PAD]", "<s>", "<unk>"]) {
        let tokenizer = train_on(&texts, &TokenizerConfig { min_frequency: 1, ..config(kind, 400) }).unwrap();
        let tokens = vocabulary(&tokenizer);
        assert_eq!(tokens[0], first);
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), tokens.len());
        let n_specials = tokenizer.special_ids().len() as u32;
        assert_eq!(tokenizer.special_ids(), (0..n_specials).collect::<Vec<_>>());
        let specials = tokenizer.specials();
        assert!(specials.pad_id.is_some() && specials.unk_id.is_some());
        assert!(specials.bos_id.is_some() && specials.eos_id.is_some());
        assert_eq!(specials.mask_id.is_some(), kind != TokenizerKind::WordLevel);
    }
}

#[test]
fn words_begin_where_the_kind_says() {
    let corpus = corpus();
    for (kind, within) in [(TokenizerKind::WordPiece, "##ba"), (TokenizerKind::ByteLevelBpe, "ba")] {
        let tokenizer = train_on(&corpus, &config(kind, 600)).unwrap();
        assert!(!tokenizer.starts_word(tokenizer.id(within).unwrap()), "{kind:?}");
        let ids = tokenizer.encode("ba bake").unwrap();
        assert!(tokenizer.starts_word(ids[0]) && tokenizer.starts_word(ids[1]), "{kind:?}");
    }
    let tokenizer = train_on(&corpus, &config(TokenizerKind::WordLevel, 600)).unwrap();
    assert!((0..600).all(|id| tokenizer.starts_word(id)));
}

#[test]
fn a_mask_in_user_input_is_one_token_and_in_a_corpus_it_is_text() {
    let corpus = corpus();
    let tokenizer = train_on(&corpus, &config(TokenizerKind::WordPiece, 300)).unwrap();
    let specials = *tokenizer.specials();
    let encoded = tokenizer.encode_with_specials("ba [MASK] ke", Some("ba"), None).unwrap();
    let count = |ids: &[u32], id: Option<u32>| ids.iter().filter(|it| Some(**it) == id).count();
    assert_eq!(count(&encoded.ids, specials.mask_id), 1);
    assert_eq!((encoded.ids[0], encoded.ids.last()), (specials.bos_id.unwrap(), specials.eos_id.as_ref()));
    assert_eq!(count(&encoded.ids, specials.eos_id), 2);
    assert_eq!(encoded.type_ids.iter().sum::<u32>() as usize, tokenizer.encode("ba").unwrap().len() + 1);
    assert_eq!(count(&tokenizer.encode("ba [MASK] ke").unwrap(), specials.mask_id), 0);
    for max_length in 0..=3 {
        let error = tokenizer.encode_with_specials("ba", Some("ke"), Some(max_length)).unwrap_err();
        assert!(matches!(error, TokenizerError::TooShort { n_specials: 3, .. }), "{error}");
    }
    assert_eq!(tokenizer.encode_with_specials("ba ba", Some("ke ke"), Some(4)).unwrap().ids.len(), 4);
}

#[test]
fn what_cannot_be_learnt_is_an_error() {
    for kind in KINDS {
        for texts in [vec![], vec![String::new()], vec![" \n ".to_owned()]] {
            let words = kind == TokenizerKind::ByteLevelBpe && texts.iter().any(|text| !text.is_empty());
            let result = train_on(&texts, &config(kind, 400));
            assert!(words || matches!(result, Err(DataError::Tokenizer(TokenizerError::EmptyCorpus))), "{kind:?}");
        }
    }
    for (kind, too_small) in KINDS.into_iter().zip([20, 260, 4]) {
        let error = train_on(&corpus(), &config(kind, too_small)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`vocab_size` is {too_small}, but")), "{error}");
        let error = train_on(&corpus(), &config(kind, 0)).unwrap_err();
        assert_eq!(error.to_string(), "`vocab_size` is 0, expected at least 1");
    }
}

#[test]
fn an_error_of_the_texts_comes_out() {
    let texts = [Ok("a a".to_owned()), Err(Interrupted.into()), Ok("b".to_owned())];
    let result = train(texts.into_iter(), &TokenizerConfig::default(), &Silent, &Interrupt::new());
    assert!(matches!(result, Err(DataError::Interrupted(_))));
}

#[derive(Default)]
struct Log {
    stages: Mutex<Vec<(String, Option<u64>, Unit)>>,
    done: std::sync::Arc<AtomicU64>,
}

struct Count(std::sync::Arc<AtomicU64>);

impl Progress for Log {
    fn stage(&self, name: &str, total: Option<u64>, unit: Unit) -> Box<dyn Stage> {
        self.stages.lock().unwrap().push((name.to_owned(), total, unit));
        Box::new(Count(self.done.clone()))
    }
}

impl Stage for Count {
    fn advance(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn message(&self, _text: &str) {}
}

/// The blank that a text is encoded with in front does not come back, whatever else happens to the text.
#[test]
fn byte_level_bpe_gives_texts_back_as_they_were_learnt() {
    let corpus = corpus();
    for lowercase in [true, false] {
        let config =
            TokenizerConfig { lowercase, strip_accents: Some(false), ..config(TokenizerKind::ByteLevelBpe, 400) };
        let tokenizer = train_on(&corpus, &config).unwrap();
        for text in ["a boat, at sea", "boats"] {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap(), false).unwrap(), text);
        }
    }
}

#[test]
fn progress_counts_tokens_and_an_interrupt_ends_it() {
    let corpus = corpus();
    let log = Log::default();
    let texts = || corpus.iter().map(|text| Ok(text.clone()));
    let config = config(TokenizerKind::ByteLevelBpe, 400);
    train(texts(), &config, &log, &Interrupt::new()).unwrap();
    let stages = log.stages.into_inner().unwrap();
    assert_eq!((stages.len(), stages[0].2), (1, Unit::Items("tokens")));
    assert_eq!(log.done.load(Ordering::Relaxed), stages[0].1.unwrap());

    let interrupt = Interrupt::new();
    interrupt.request();
    assert!(matches!(train(texts(), &config, &Silent, &interrupt), Err(DataError::Interrupted(_))));
}

#[test]
fn what_a_tokenizer_loses_of_its_texts_is_counted() {
    let covered = |texts: &[&str], config: TokenizerConfig| {
        let texts = texts.iter().map(|text| Ok((*text).to_owned()));
        train_covering(texts, &config, &Silent, &Interrupt::new()).unwrap()
    };
    let texts = ["ab ab abc ab", "xyz \u{e01}\u{e34} \u{e01}\u{e34}"];
    for kind in KINDS {
        let known = TokenizerConfig { min_frequency: 1, ..config(kind, 400) };
        let (tokenizer, coverage) = covered(&texts, known.clone());
        let tokens: Vec<u32> = texts.iter().flat_map(|text| tokenizer.encode(text).unwrap()).collect();
        assert_eq!((coverage.tokens, coverage.unknown_tokens), (tokens.len() as u64, 0), "{kind:?}");
        assert_eq!((coverage.text_bytes, coverage.stripped_marks), (12 + 17, 2), "{kind:?}");
        let cased = TokenizerConfig { strip_accents: Some(false), ..known };
        assert_eq!(covered(&texts, cased).1.stripped_marks, 0, "{kind:?}");
    }
    // A word of more than a hundred characters is unknown to WordPiece, and a rare one to whole words.
    let long = "ก".repeat(101);
    let (_, coverage) = covered(&["ab ab ab", &long], config(TokenizerKind::WordPiece, 60));
    assert_eq!((coverage.tokens, coverage.unknown_tokens), (4, 1));
    let (_, coverage) = covered(&["ab ab ab", "c d"], config(TokenizerKind::WordLevel, 60));
    assert_eq!((coverage.tokens, coverage.unknown_tokens), (5, 2));
}

fn unigram(vocab_size: usize) -> TokenizerConfig {
    TokenizerConfig { limit_alphabet: 40, ..config(TokenizerKind::Unigram, vocab_size) }
}

/// The library's sums depend on threads, and the scores of dropped characters on the order of a hash map.
#[test]
fn unigram_is_the_same_each_time_and_cuts_words_into_known_pieces() {
    let mut corpus = corpus();
    // Characters so rare that training drops their pieces.
    corpus.extend("ÿøæœßðþłđħ".chars().map(|c| format!("ba{c}ke")));
    let expected = train_on(&corpus, &unigram(160)).unwrap();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(json(&pool.install(|| train_on(&corpus, &unigram(160))).unwrap()), json(&expected), "{threads}");
    }
    assert_eq!((expected.kind(), expected.vocab_size()), (TokenizerKind::Unigram, 160));
    assert_eq!(vocabulary(&expected)[..5], ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]);

    let folder = tempfile::tempdir().unwrap();
    expected.save(folder.path()).unwrap();
    let again = Tokenizer::load(folder.path()).unwrap();
    assert_eq!((again.fingerprint(), json(&again)), (expected.fingerprint(), json(&expected)));
    let pieces =
        |text: &str| again.encode(text).unwrap().into_iter().map(|id| again.token(id).unwrap()).collect::<String>();
    assert_eq!(pieces("  Bake\tLO  ba\u{f8}ke "), "▁bake▁lo▁baøke");
    assert_eq!(again.encode("ba 😀").unwrap().last(), Some(&again.specials().unk_id.unwrap()));
    let encoded = again.encode_with_specials("ba <mask>", None, None).unwrap();
    assert_eq!(again.decode(&encoded.ids, true).unwrap(), "ba");
    assert_eq!((encoded.ids.first(), encoded.ids.last()), (Some(&0), Some(&2)));

    let kept = TokenizerConfig { lowercase: false, ..unigram(160) };
    let cased = train_on(&corpus, &kept).unwrap();
    assert_ne!(cased.encode("Lo").unwrap(), cased.encode("lo").unwrap());
}

#[test]
fn unigram_says_what_it_cannot_learn() {
    let message = |texts: &[&str], config: TokenizerConfig| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        train_on(&texts, &config).unwrap_err().to_string()
    };
    let small = message(&["abc"], unigram(9));
    assert!(small.starts_with("`vocab_size` is 9, but special tokens and single characters alone are 10"), "{small}");
    assert_eq!(message(&[" "], unigram(20)), "the texts to train a tokenizer on contain no words");
    let interrupt = Interrupt::new();
    interrupt.request();
    let texts = corpus().into_iter().map(Ok);
    assert!(matches!(train(texts, &unigram(160), &Silent, &interrupt), Err(DataError::Interrupted(Interrupted))));
    // A word of any length, and counts of any size.
    let giant = "ab".repeat(100_000);
    let texts = vec![giant.clone(), "ab ba".to_owned()];
    assert!(train_on(&texts, &unigram(20)).unwrap().encode("abba").unwrap().len() <= 4);
}
