//! Special tokens.

use serde_json::{Map, Value};

/// Ids of special tokens, by role. A tokenizer need not have all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Specials {
    /// Padding: `[PAD]`, `<pad>`.
    pub pad_id: Option<u32>,
    /// Unknown token: `[UNK]`, `<unk>`.
    pub unk_id: Option<u32>,
    /// Start of a sequence: `[CLS]`, `<s>`, `<bos>`.
    pub bos_id: Option<u32>,
    /// End of a text of a sequence: `[SEP]`, `</s>`, `<eos>`.
    pub eos_id: Option<u32>,
    /// Mask, in place of a token to be predicted: `[MASK]`, `<mask>`.
    pub mask_id: Option<u32>,
}

/// Role of a special token: its keys in `tokenizer_config.json`, and its common names.
struct Role {
    keys: &'static [&'static str],
    names: &'static [&'static str],
}

const PAD: Role = Role { keys: &["pad_token"], names: &["[PAD]", "<pad>"] };
const UNK: Role = Role { keys: &["unk_token"], names: &["[UNK]", "<unk>"] };
const BOS: Role = Role { keys: &["cls_token", "bos_token"], names: &["[CLS]", "<s>", "<bos>", "<|endoftext|>"] };
const EOS: Role = Role { keys: &["sep_token", "eos_token"], names: &["[SEP]", "</s>", "<eos>", "<|endoftext|>"] };
const MASK: Role = Role { keys: &["mask_token"], names: &["[MASK]", "<mask>"] };

impl Specials {
    /// Looks the tokens up in `library`: those that `config`, the content of a `tokenizer_config.json`, names, and of
    /// the special tokens of the library those with common names for what is left. An ordinary word may have such a
    /// name too.
    ///
    /// # Errors
    /// The token that `config` names and `library` does not have.
    pub(super) fn find(config: &Map<String, Value>, library: &tokenizers::Tokenizer) -> Result<Self, String> {
        let special = |token: &str| library.get_added_vocabulary().is_special_token(token);
        let find = |role: &Role| match role.keys.iter().find_map(|&key| content(config.get(key)?)) {
            Some(token) => library.token_to_id(token).map(Some).ok_or_else(|| token.to_owned()),
            None => Ok(role.names.iter().find(|name| special(name)).and_then(|name| library.token_to_id(name))),
        };
        Ok(Self {
            pad_id: find(&PAD)?,
            unk_id: find(&UNK)?,
            bos_id: find(&BOS)?,
            eos_id: find(&EOS)?,
            mask_id: find(&MASK)?,
        })
    }

    /// The ids there are.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        [self.pad_id, self.unk_id, self.bos_id, self.eos_id, self.mask_id].into_iter().flatten()
    }

    /// The keys of `tokenizer_config.json`, each with the id it stands for.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [(PAD, self.pad_id), (UNK, self.unk_id), (BOS, self.bos_id), (EOS, self.eos_id), (MASK, self.mask_id)]
            .into_iter()
            .flat_map(|(role, id)| role.keys.iter().filter_map(move |&key| Some((key, id?))))
    }
}

/// The keys of all roles in `tokenizer_config.json`.
pub(super) fn role_keys() -> impl Iterator<Item = &'static str> {
    [PAD, UNK, BOS, EOS, MASK].into_iter().flat_map(|role| role.keys.iter().copied())
}

/// The token that a value names, either as it is or as an object with its properties.
pub(super) fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}
