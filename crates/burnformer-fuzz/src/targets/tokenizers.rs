//! Files of tokenizers.

use burnformer_core::{Interrupt, Silent};
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerKind, train};

use crate::Target;
use crate::file::file;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "tokenizer_json", run: tokenizer_json, seeds: tokenizers },
    Target {
        name: "vocab_txt",
        run: vocab_txt,
        seeds: || vec![b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##re\n".to_vec()],
    },
];

/// A text with everything that tokenizers treat in ways of their own.
const TEXT: &str = "The \u{e9}t\u{e9} isn't [MASK]\u{200d}\t\n 三three <s> 𝒳\u{0}";

fn use_it(tokenizer: &Tokenizer) {
    let mut encoder = tokenizer.encoder();
    let _ = encoder.encode_into(TEXT, &mut Vec::new());
    let _ = tokenizer.encode_with_specials(TEXT, Some("re"), Some(8));
    if let Ok(ids) = tokenizer.encode(TEXT) {
        let _ = tokenizer.decode(&ids, true);
    }
}

fn tokenizer_json(bytes: &[u8]) {
    file("tokenizer.json", bytes, |path| {
        if let Ok(tokenizer) = Tokenizer::load(path) {
            use_it(&tokenizer);
        }
    });
}

fn vocab_txt(bytes: &[u8]) {
    file("vocab.txt", bytes, |path| {
        if let Ok(tokenizer) = Tokenizer::load_vocab(path, None) {
            use_it(&tokenizer);
        }
    });
}

/// A small tokenizer of each kind, as this project writes it.
pub(super) fn tokenizers() -> Vec<Vec<u8>> {
    let kinds = [TokenizerKind::WordPiece, TokenizerKind::ByteLevelBpe, TokenizerKind::WordLevel];
    let trained = kinds.map(|kind| {
        let vocab_size = if kind == TokenizerKind::ByteLevelBpe { 270 } else { 40 };
        let config = TokenizerConfig { kind, vocab_size, min_frequency: 1, ..TokenizerConfig::default() };
        let texts = ["the three there"].map(|text| Ok(text.to_owned()));
        let tokenizer = train(texts.into_iter(), &config, &Silent, &Interrupt::new()).expect("a tokenizer");
        let folder = tempfile::tempdir().expect("a folder");
        tokenizer.save(folder.path()).expect("a file");
        std::fs::read(folder.path().join("tokenizer.json")).expect("a file")
    });
    trained.to_vec()
}
