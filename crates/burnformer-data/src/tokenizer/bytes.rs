//! Byte-level BPE of `vocab.json` and `merges.txt`, as in `RoBERTa` and GPT-2.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::class::Family;
use super::format::{added_token, special_pieces};
use super::settings::Settings;

/// The special tokens of `RoBERTa` and of GPT-2: keys and names.
const ROBERTA: [(&str, &str); 7] = [
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("sep_token", "</s>"),
    ("cls_token", "<s>"),
    ("unk_token", "<unk>"),
    ("pad_token", "<pad>"),
    ("mask_token", "<mask>"),
];
const GPT2: [(&str, &str); 3] =
    [("unk_token", "<|endoftext|>"), ("bos_token", "<|endoftext|>"), ("eos_token", "<|endoftext|>")];

/// Place of a text among special tokens.
const TEXT: &str = "";

/// The content of the `tokenizer.json` of a class.
///
/// # Errors
/// The token that stands around texts and is not in the vocabulary.
pub(super) fn byte_level(
    family: Family,
    tokens: &HashMap<String, u32>,
    merges: &[(&str, &str)],
    settings: &Settings,
) -> Result<Value, String> {
    let specials: &[_] = if family == Family::Roberta { &ROBERTA } else { &GPT2 };
    let mut added: Vec<Value> = Vec::new();
    for (key, default) in specials {
        let token = settings.token(key, default);
        if let Some(&id) = tokens.get(token).filter(|_| added.iter().all(|it| it["content"] != token)) {
            added.push(added_token(id as usize, token, settings.token_flag(key, "lstrip").unwrap_or(false), true));
        }
    }
    let adds_blank = settings.flag("add_prefix_space").unwrap_or(false);
    let around = |key: &str, default: &str| {
        let token = settings.token(key, default).to_owned();
        tokens.get(&token).map(|&id| (token.clone(), id)).ok_or(token)
    };
    let post_processor = if family == Family::Roberta {
        json!({
            "type": "RobertaProcessing",
            "sep": around("sep_token", "</s>")?,
            "cls": around("cls_token", "<s>")?,
            "trim_offsets": settings.flag("trim_offsets").unwrap_or(true),
            "add_prefix_space": adds_blank,
        })
    } else {
        let asked = |flag: &str, key: &str| match settings.flag(flag) {
            Some(true) => around(key, "<|endoftext|>").map(Some),
            _ => Ok(None),
        };
        let (begin, end) = (asked("add_bos_token", "bos_token")?, asked("add_eos_token", "eos_token")?);
        let name = |token: &Option<(String, u32)>| token.as_ref().map(|(name, _)| name.clone());
        let single: Vec<String> = name(&begin).into_iter().chain([TEXT.to_owned()]).chain(name(&end)).collect();
        let pair = [&single[..], &single].concat();
        let listed = begin.iter().chain(&end);
        let listed: Map<String, Value> =
            listed.map(|(name, id)| (name.clone(), json!({ "id": name, "ids": [id], "tokens": [name] }))).collect();
        json!({
            "type": "TemplateProcessing",
            "single": special_pieces(single.iter().map(String::as_str), TEXT, |_| 0),
            "pair": special_pieces(pair.iter().map(String::as_str), TEXT, |at| u32::from(at >= single.len())),
            "special_tokens": listed,
        })
    };
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": adds_blank, "trim_offsets": true, "use_regex": true });
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": bytes,
        "post_processor": post_processor,
        "decoder": bytes,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": tokens,
            "merges": merges,
        },
    }))
}
