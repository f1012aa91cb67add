//! The `tokenizer.json` of a newly trained tokenizer of each kind.

use serde_json::{Value, json};

/// The characters of a byte-level token that stands for a blank.
pub(super) const BLANK: char = 'Ġ';

/// Normalisation of a text before it is cut into words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Normalization {
    pub lowercase: bool,
    pub strip_accents: Option<bool>,
    pub split_chinese: bool,
}

impl Normalization {
    fn json(self) -> Value {
        let Self { lowercase, strip_accents, split_chinese } = self;
        json!({
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": split_chinese,
            "strip_accents": strip_accents,
            "lowercase": lowercase,
        })
    }
}

/// The special tokens of WordPiece, in the order of their ids when it is trained.
pub(super) const WORD_PIECE_SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// The special tokens of byte-level BPE, those of `RoBERTa`, in the order of their ids.
pub(super) const BYTE_LEVEL_SPECIALS: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
/// The special tokens of Unigram, those of `RoBERTa` too.
pub(super) const UNIGRAM_SPECIALS: [&str; 5] = BYTE_LEVEL_SPECIALS;
/// The one of them that is unknown.
pub(super) const UNKNOWN: &str = "<unk>";
/// The special tokens of whole words, in the order of their ids.
pub(super) const WORD_LEVEL_SPECIALS: [&str; 4] = ["<unk>", "<pad>", "<bos>", "<eos>"];

/// WordPiece as in BERT, with `(token, id)` as its vocabulary and its special tokens in the order of
/// [`WORD_PIECE_SPECIALS`].
pub(super) fn word_piece(vocabulary: &[(String, u32)], specials: [&str; 5], normalization: Normalization) -> Value {
    let [_, unknown, begin, end, _] = specials;
    let model = json!({
        "type": "WordPiece",
        "unk_token": unknown,
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocab(vocabulary),
    });
    json!({
        "version": "1.0",
        "added_tokens": added(vocabulary, &specials),
        "normalizer": normalization.json(),
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": template(vocabulary, begin, end),
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": model,
    })
}

/// Byte-level BPE as in `RoBERTa`, except that a text is encoded as if it began with a blank: so a word is the same
/// token at the beginning of a sentence as within it.
pub(super) fn byte_level(vocabulary: &[(String, u32)], merges: &[(&str, &str)], normalization: Normalization) -> Value {
    let Normalization { lowercase, strip_accents, .. } = normalization;
    let mut steps = Vec::new();
    if strip_accents.unwrap_or(lowercase) {
        steps.extend([json!({ "type": "NFD" }), json!({ "type": "StripAccents" })]);
    }
    if lowercase {
        steps.push(json!({ "type": "Lowercase" }));
    }
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true });
    let special = |token: &str| json!([token, id(vocabulary, token)]);
    let model = json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": false,
        "vocab": vocab(vocabulary),
        "merges": merges,
    });
    json!({
        "version": "1.0",
        "added_tokens": added(vocabulary, &BYTE_LEVEL_SPECIALS),
        "normalizer": (!steps.is_empty()).then(|| json!({ "type": "Sequence", "normalizers": steps })),
        "pre_tokenizer": bytes,
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": special("</s>"),
            "cls": special("<s>"),
            "trim_offsets": true,
            "add_prefix_space": true,
        },
        "decoder": bytes,
        "model": model,
    })
}

/// Unigram with `pieces` and their scores as its vocabulary: white space becomes one `▁`, which begins every word, and characters
/// are normalised as by SentencePiece.
pub(super) fn unigram(pieces: &[(String, f64)], unknown: &str, normalization: Normalization) -> Value {
    let vocabulary: Vec<(String, u32)> = pieces.iter().zip(0..).map(|((token, _), id)| (token.clone(), id)).collect();
    let Normalization { lowercase, strip_accents, .. } = normalization;
    let step = |name: &str| json!({ "type": name });
    let mut steps = vec![step("Nmt")];
    if strip_accents.unwrap_or(lowercase) {
        steps.extend([step("NFKD"), step("StripAccents")]);
    }
    if lowercase {
        steps.push(step("Lowercase"));
    }
    steps.extend([
        step("NFKC"),
        json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }),
        json!({ "type": "Strip", "strip_left": true, "strip_right": true }),
    ]);
    let blanks = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    json!({
        "version": "1.0",
        "added_tokens": added(&vocabulary, &UNIGRAM_SPECIALS),
        "normalizer": { "type": "Sequence", "normalizers": steps },
        "pre_tokenizer": blanks,
        "post_processor": template(&vocabulary, "<s>", "</s>"),
        "decoder": blanks,
        "model": { "type": "Unigram", "unk_id": id(&vocabulary, unknown), "vocab": pieces, "byte_fallback": false },
    })
}

/// Whole words between white space.
pub(super) fn word_level(vocabulary: &[(String, u32)], normalization: Normalization) -> Value {
    json!({
        "version": "1.0",
        "added_tokens": added(vocabulary, &WORD_LEVEL_SPECIALS),
        "normalizer": normalization.json(),
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": template(vocabulary, "<bos>", "<eos>"),
        "decoder": null,
        "model": { "type": "WordLevel", "unk_token": "<unk>", "vocab": vocab(vocabulary) },
    })
}

fn vocab(vocabulary: &[(String, u32)]) -> Value {
    vocabulary.iter().map(|(token, id)| (token.clone(), Value::from(*id))).collect()
}

fn id(vocabulary: &[(String, u32)], token: &str) -> Option<u32> {
    // Of a token that is listed twice the last place counts, as in `vocab`.
    vocabulary.iter().rev().find(|(it, _)| it == token).map(|(_, id)| *id)
}

/// Those of the special tokens `names` that there are.
fn added(vocabulary: &[(String, u32)], names: &[&str]) -> Value {
    let mut ids: Vec<_> = names.iter().filter_map(|&name| Some((id(vocabulary, name)?, name))).collect();
    ids.sort_unstable();
    // The blank in front of a masked word is part of the word.
    ids.into_iter().map(|(id, content)| added_token(id as usize, content, content == "<mask>", true)).collect()
}

/// A token beside the vocabulary; `lstrip` takes the blank in front of it away.
pub(super) fn added_token(id: usize, content: &str, lstrip: bool, special: bool) -> Value {
    json!({
        "id": id,
        "content": content,
        "single_word": false,
        "lstrip": lstrip,
        "rstrip": false,
        "normalized": false,
        "special": special,
    })
}

/// The pieces of a template: special tokens, and the texts A and B where `tokens` have `text`. `type_id` is that of each
/// place.
pub(super) fn special_pieces<'a>(
    tokens: impl Iterator<Item = &'a str>,
    text: &str,
    type_id: impl Fn(usize) -> u32,
) -> Value {
    let mut texts = ["A", "B"].into_iter();
    let piece = |(at, token): (usize, &str)| {
        let (kind, id) =
            if token == text { ("Sequence", texts.next().unwrap_or("B")) } else { ("SpecialToken", token) };
        json!({ kind: { "id": id, "type_id": type_id(at) } })
    };
    tokens.enumerate().map(piece).collect()
}

/// `begin A end` for one text and `begin A end B end` for two.
fn template(vocabulary: &[(String, u32)], begin: &str, end: &str) -> Value {
    let special = |token: &str, type_id: u32| json!({ "SpecialToken": { "id": token, "type_id": type_id } });
    let text = |name: &str, type_id: u32| json!({ "Sequence": { "id": name, "type_id": type_id } });
    let ids = |token: &str| json!({ "id": token, "ids": [id(vocabulary, token)], "tokens": [token] });
    let single = [special(begin, 0), text("A", 0), special(end, 0)];
    let second = [text("B", 1), special(end, 1)];
    json!({
        "type": "TemplateProcessing",
        "single": single,
        "pair": single.iter().chain(&second).collect::<Vec<_>>(),
        "special_tokens": { begin: ids(begin), end: ids(end) },
    })
}
