//! Files of tokenizers.

use std::fs;

use burnformer_core::{Interrupt, Silent};
use burnformer_data::tokenizer::{Tokenizer, TokenizerConfig, TokenizerKind, train};

use crate::Target;
use crate::file::beside;

pub(super) const TARGETS: &[Target] = &[
    Target { name: "tokenizer_json", run: tokenizer_json, seeds: tokenizers },
    Target {
        name: "vocab_txt",
        run: vocab_txt,
        seeds: || vec![b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##re\n".to_vec()],
    },
    Target { name: "tokenizer_config_json", run: tokenizer_config_json, seeds: configs },
    Target { name: "spm", run: spm, seeds: sentence_pieces },
    Target { name: "opus_vocab_json", run: opus_vocab_json, seeds: || vec![OPUS_VOCABULARY.as_bytes().to_vec()] },
];

/// A vocabulary beside a model of SentencePiece.
const OPUS_VOCABULARY: &str = r#"{"</s>":0,"<unk>":1,"▁the":2,"t":3,">>fra<<":4,"<pad>":5}"#;

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

/// Loads each of these files of a tokenizer, in a folder with no others, and uses it.
fn load(files: &[(&str, &[u8])]) {
    beside("tokenizer", &[], |folder| {
        let folder = folder.join("a tokenizer");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder for the target");
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).expect("a file for the target");
            if let Ok(tokenizer) = Tokenizer::load(folder.join(name)) {
                use_it(&tokenizer);
            }
        }
    });
}

fn tokenizer_json(bytes: &[u8]) {
    load(&[("tokenizer.json", bytes)]);
}

fn vocab_txt(bytes: &[u8]) {
    load(&[("vocab.txt", bytes)]);
}

fn tokenizer_config_json(bytes: &[u8]) {
    load(&[("tokenizer_config.json", bytes), ("vocab.txt", b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##re\n")]);
}

fn spm(bytes: &[u8]) {
    load(&[("vocab.json", OPUS_VOCABULARY.as_bytes()), ("source.spm", bytes)]);
}

fn opus_vocab_json(bytes: &[u8]) {
    load(&[("vocab.json", bytes), ("source.spm", &sentence_piece(1))]);
}

fn configs() -> Vec<Vec<u8>> {
    let added = r#"{"tokenizer_class":"BertTokenizer","do_lower_case":false,"additional_special_tokens":["the"],
        "added_tokens_decoder":{"7":{"content":"three","lstrip":true,"normalized":false}},
        "mask_token":{"content":"[MASK]","lstrip":true}}"#;
    vec![added.as_bytes().to_vec(), br#"{"model_max_length":512,"extra_special_tokens":{"x":"<x>"}}"#.to_vec()]
}

fn sentence_pieces() -> Vec<Vec<u8>> {
    vec![sentence_piece(1), sentence_piece(2)]
}

/// A model of SentencePiece: 1 for unigram, 2 for BPE.
fn sentence_piece(model_type: u8) -> Vec<u8> {
    let mut model = Vec::new();
    let mut field = |tag: u8, content: &[u8]| {
        model.extend([tag << 3 | 2, content.len() as u8]);
        model.extend(content);
    };
    let pieces = ["<unk>", "</s>", "▁", "t", "h", "e", "▁t", "he", "▁the", "▁three", "x y"];
    for (number, (piece, kind)) in pieces.into_iter().zip([2, 3, 1, 1, 1, 1, 1, 1, 1, 5, 4]).enumerate() {
        let mut content = vec![0x0a, piece.len() as u8];
        content.extend(piece.as_bytes());
        content.push(0x15);
        content.extend((-(number as f32)).to_le_bytes());
        content.extend([0x18, kind]);
        field(1, &content);
    }
    field(2, &[0x18, model_type]);
    field(3, &[0x18, 1, 0x20, 1, 0x28, 1]);
    model
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
