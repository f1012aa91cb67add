//! SentencePiece models as transformers reads them: the `tokenizer.json` of each class.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::normalizers::Precompiled;

use super::super::TokenizerError;
use super::super::class::{Class, Family};
use super::super::format::{added_token, special_pieces};
use super::super::settings::Settings;
use super::{BLANK, Piece, PieceType, SentencePiece};

/// The ids of a class of tokenizers, and what stands around texts.
struct Layout {
    /// Tokens with their scores, by id.
    names: Vec<(String, f32)>,
    unknown: String,
    /// Special tokens with a flag that takes the blank in front of them away.
    specials: Vec<(String, bool)>,
    /// Around a text, and around a text and a second one.
    single: Vec<String>,
    pair: Vec<String>,
}

/// Place of a text among special tokens.
const TEXT: &str = "";

impl SentencePiece {
    /// The content of the `tokenizer.json` of the tokenizer that the files beside say the model belongs to. A general one has
    /// the ids of the model itself.
    ///
    /// # Errors
    /// [`TokenizerError::OtherClass`], or [`TokenizerError::NoClass`] if the name of the file tells that the class changes ids
    /// and none is named.
    pub(in crate::tokenizer) fn tokenizer_json(
        &self,
        settings: &Settings,
        path: &Path,
    ) -> Result<Value, TokenizerError> {
        let layout = match settings.class() {
            Class::Known(Family::XlmRoberta) => self.xlm_roberta(settings),
            Class::Known(Family::Camembert) => self.camembert(settings),
            Class::Known(Family::T5) => self.t5(settings),
            Class::General if NAMED.iter().all(|name| path.file_name().is_none_or(|file| file != *name)) => {
                return Ok(self.general(settings));
            }
            Class::General => {
                let expected = "`XLMRobertaTokenizer`, `CamembertTokenizer` or `T5Tokenizer`";
                return Err(TokenizerError::NoClass { path: path.to_owned(), expected });
            }
            other => {
                return Err(TokenizerError::OtherClass { path: path.to_owned(), class: other.to_string() });
            }
        };
        if self.is_bpe {
            let found = "a BPE model of SentencePiece, but its class has Unigram models";
            return Err(TokenizerError::Unsupported { path: path.to_owned(), found });
        }
        let Layout { names, unknown, specials, single, pair } = layout;
        let mut ids: HashMap<&str, usize> = HashMap::new();
        for (id, (name, _)) in names.iter().enumerate() {
            ids.entry(name).or_insert(id);
        }
        let id = |token: &str| ids.get(token).copied();
        let control = self.of_kind(PieceType::Control).map(|piece| (piece, false));
        let (mut added, mut known): (Vec<Value>, HashSet<&str>) = Default::default();
        for (token, lstrip) in specials.iter().map(|(token, lstrip)| (token.as_str(), *lstrip)).chain(control) {
            if let Some(id) = id(token).filter(|_| known.insert(token)) {
                added.push(added_token(id, token, lstrip, true));
            }
        }
        let user_defined = self.of_kind(PieceType::UserDefined);
        added.extend(user_defined.filter_map(|token| Some(added_token(id(token)?, token, false, false))));
        let around = |tokens: &[String]| special_pieces(tokens.iter().map(String::as_str), TEXT, |_| 0);
        let listed = pair.iter().filter(|token| *token != TEXT);
        let listed = listed.map(|token| (token.clone(), json!({ "id": token, "ids": [id(token)], "tokens": [token] })));
        let metaspace = json!({ "type": "Metaspace", "replacement": BLANK, "prepend_scheme": "always", "split": true });
        let unknown_id = id(&unknown).unwrap_or(0) as u32;
        Ok(json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": self.precompiled(),
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": [{ "type": "WhitespaceSplit" }, metaspace] },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": around(&single),
                "pair": around(&pair),
                "special_tokens": listed.collect::<serde_json::Map<_, _>>(),
            },
            "decoder": metaspace,
            "model": self.json(&names, unknown_id, &unknown),
        }))
    }

    /// Fairseq's order: four special tokens, the pieces without their own, the mask.
    fn xlm_roberta(&self, settings: &Settings) -> Layout {
        let token = |key: &str, default: &str| settings.token(key, default).to_owned();
        let [begin, pad, end] =
            [("bos_token", "<s>"), ("pad_token", "<pad>"), ("eos_token", "</s>")].map(|(k, d)| token(k, d));
        let (unknown, mask) = (token("unk_token", "<unk>"), token("mask_token", "<mask>"));
        let first = [&begin, &pad, &end, &unknown].map(|token| (token.clone(), 0.0));
        let pieces = self.pieces.iter().skip(3).map(named);
        let names = first.into_iter().chain(pieces).chain([(mask.clone(), 0.0)]).collect();
        let lstrip = settings.token_flag("mask_token", "lstrip").unwrap_or(false);
        let specials =
            [&begin, &pad, &end, &unknown].map(|token| (token.clone(), false)).into_iter().chain([(mask, lstrip)]);
        Layout { names, unknown, specials: specials.collect(), ..bracketed(begin, end) }
    }

    /// Fairseq's order with a dictionary of its own in front: the pieces but the first, the mask.
    fn camembert(&self, settings: &Settings) -> Layout {
        let token = |key: &str, default: &str| settings.token(key, default).to_owned();
        let [begin, pad, end] =
            [("bos_token", "<s>"), ("pad_token", "<pad>"), ("eos_token", "</s>")].map(|(k, d)| token(k, d));
        let (unknown, mask) = (token("unk_token", "<unk>"), token("mask_token", "<mask>"));
        let unused = |token: &str, score: f32| (format!("{token}NOTUSED"), score);
        let first = [
            unused("<s>", 0.0),
            (pad.clone(), 0.0),
            unused("</s>", 0.0),
            (unknown.clone(), 0.0),
            unused("<unk>", -100.0),
        ];
        let pieces = self.pieces.iter().skip(1).map(named);
        let names = first.into_iter().chain(pieces).chain([(mask.clone(), 0.0)]).collect();
        let lstrip = settings.token_flag("mask_token", "lstrip").unwrap_or(true);
        let specials =
            vec![(begin.clone(), false), (pad, false), (end.clone(), false), (unknown.clone(), false), (mask, lstrip)];
        Layout { names, unknown, specials, ..bracketed(begin, end) }
    }

    /// The pieces, and the marks of gaps in falling order.
    fn t5(&self, settings: &Settings) -> Layout {
        let token = |key: &str, default: &str| settings.token(key, default).to_owned();
        let (end, unknown, pad) =
            (token("eos_token", "</s>"), token("unk_token", "<unk>"), token("pad_token", "<pad>"));
        let gaps: Vec<String> =
            (0..settings.length("extra_ids").unwrap_or(100).min(1000)).map(|gap| format!("<extra_id_{gap}>")).collect();
        let names = self.pieces.iter().map(named).chain(gaps.iter().rev().map(|gap| (gap.clone(), 0.0))).collect();
        let specials =
            [end.clone(), unknown.clone(), pad].into_iter().chain(gaps).map(|token| (token, false)).collect();
        let text = || TEXT.to_owned();
        Layout {
            names,
            unknown,
            specials,
            single: vec![text(), end.clone()],
            pair: vec![text(), end.clone(), text(), end],
        }
    }

    /// As SentencePiece itself encodes, with the ids of the model.
    fn general(&self, settings: &Settings) -> Value {
        let names: Vec<(String, f32)> = self.pieces.iter().map(named).collect();
        let unknown = self.pieces.iter().position(|piece| piece.kind == PieceType::Unknown).unwrap_or(0);
        let added = names
            .iter()
            .zip(&self.pieces)
            .enumerate()
            .filter(|(_, (_, piece))| matches!(piece.kind, PieceType::Control | PieceType::Unknown));
        let added: Vec<Value> = added.map(|(id, ((name, _), _))| added_token(id, name, false, true)).collect();
        let replace =
            |pattern: Value, content: &str| json!({ "type": "Replace", "pattern": pattern, "content": content });
        let blank = BLANK.to_string();
        let mut steps: Vec<Value> = Vec::new();
        if let precompiled @ Value::Object(_) = self.precompiled() {
            steps.push(precompiled);
        }
        if self.normalizer.removes_blanks {
            steps.push(replace(json!({ "Regex": r"\A +| +\z" }), ""));
            steps.push(replace(json!({ "Regex": " {2,}" }), " "));
        }
        steps.push(replace(json!({ "String": " " }), &blank));
        let mut cuts: Vec<Value> = Vec::new();
        let mut decoders = vec![replace(json!({ "String": blank }), " ")];
        if self.byte_fallback {
            decoders.push(json!({ "type": "ByteFallback" }));
        }
        decoders.push(json!({ "type": "Fuse" }));
        if self.normalizer.adds_blank {
            // The next step leaves a text that begins with the mark of a blank as it is, SentencePiece does not.
            steps.push(replace(json!({ "Regex": format!(r"\A{BLANK}") }), &blank.repeat(2)));
            cuts.push(json!({ "type": "Metaspace", "replacement": BLANK, "prepend_scheme": "always", "split": false }));
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        let mut user_defined: Vec<&str> = self.of_kind(PieceType::UserDefined).collect();
        if !user_defined.is_empty() {
            user_defined.sort_unstable_by_key(|piece| std::cmp::Reverse(piece.len()));
            let pattern = user_defined.into_iter().map(escaped).collect::<Vec<_>>().join("|");
            cuts.push(
                json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false }),
            );
        }
        let control = |name: &str| {
            names.iter().zip(&self.pieces).position(|((it, _), piece)| it == name && piece.kind == PieceType::Control)
        };
        let around = |key: &str, flag: &str, default: &str| {
            let token = settings.token(key, default).to_owned();
            Some((control(&token)?, token)).filter(|_| settings.flag(flag) == Some(true))
        };
        let begin = around("bos_token", "add_bos_token", "<s>");
        let end = around("eos_token", "add_eos_token", "</s>");
        let one = |tokens: &mut Vec<String>| {
            tokens.extend(begin.iter().map(|(_, token)| token.clone()));
            tokens.push(TEXT.to_owned());
            tokens.extend(end.iter().map(|(_, token)| token.clone()));
        };
        let (mut single, mut pair) = (Vec::new(), Vec::new());
        one(&mut single);
        one(&mut pair);
        one(&mut pair);
        let n_single = single.len();
        let listed = begin.iter().chain(&end);
        let listed = listed.map(|(id, token)| (token.clone(), json!({ "id": token, "ids": [id], "tokens": [token] })));
        let unknown_name = names[unknown].0.clone();
        json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": { "type": "Sequence", "normalizers": steps },
            "pre_tokenizer": (!cuts.is_empty()).then(|| json!({ "type": "Sequence", "pretokenizers": cuts })),
            "post_processor": {
                "type": "TemplateProcessing",
                "single": special_pieces(single.iter().map(String::as_str), TEXT, |_| 0),
                "pair": special_pieces(pair.iter().map(String::as_str), TEXT, |at| u32::from(at >= n_single)),
                "special_tokens": listed.collect::<serde_json::Map<_, _>>(),
            },
            "decoder": { "type": "Sequence", "decoders": decoders },
            "model": self.json(&names, unknown as u32, &unknown_name),
        })
    }

    /// The step that applies the map of characters, or null if it is empty.
    fn precompiled(&self) -> Value {
        let step = Precompiled::from(&self.charsmap).ok().filter(|_| !self.charsmap.is_empty());
        step.and_then(|step| serde_json::to_value(step).ok()).unwrap_or_default()
    }
}

/// Files whose class changes the ids of the model.
const NAMED: [&str; 2] = ["sentencepiece.bpe.model", "spiece.model"];

fn named(piece: &Piece) -> (String, f32) {
    (piece.text.clone(), piece.score)
}

/// A layout with a token at the beginning and one at the end of texts, and two between them.
fn bracketed(begin: String, end: String) -> Layout {
    let single = vec![begin, TEXT.to_owned(), end.clone()];
    let pair = [&single[..], &[end.clone(), TEXT.to_owned(), end]].concat();
    Layout { names: Vec::new(), unknown: String::new(), specials: Vec::new(), single, pair }
}

/// A regular expression for exactly this text.
fn escaped(text: &str) -> String {
    let means_itself = |c: char| !r"\.+*?()|[]{}^$#&-~".contains(c);
    text.chars().flat_map(|c| (!means_itself(c)).then_some('\\').into_iter().chain([c])).collect()
}
