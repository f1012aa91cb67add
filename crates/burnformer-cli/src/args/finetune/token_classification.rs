//! Flags of `burnformer finetune` for token classification.

use burnformer::data::tag_scheme::TagScheme;
use burnformer::recipes::{FinetuneTask, TokenClassificationSettings};
use clap::Args;

use super::super::names::names;

/// Flags of token classification.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Token classification")]
pub(crate) struct TokenClassificationArgs {
    /// Scheme of the tags [default: the one that the training data show]
    #[arg(long, value_name = "SCHEME", conflicts_with = "resume", value_parser = names::<TagScheme, _>([
        ("bio", "`B-` begins an entity, `I-` continues it (IOB2)"),
        ("bioes", "`E-` is on the last word too, and `S-` on an only word (BIOES, BILOU, BMEWO)"),
        ("iob1", "`I-` may begin an entity; read as `bio`"),
        ("io", "Neighbouring words of one type are an entity"),
        ("words", "No entities: a tag for each word, such as its part of speech"),
    ]))]
    pub(crate) scheme: Option<TagScheme>,

    /// Train on all tokens of a word, not on its first alone
    #[arg(long, conflicts_with = "resume")]
    pub(crate) label_all_tokens: bool,
}

impl TokenClassificationArgs {
    /// The settings; absent for another task.
    pub(crate) fn settings(self, task: FinetuneTask) -> Option<TokenClassificationSettings> {
        let Self { scheme, label_all_tokens } = self;
        let settings = TokenClassificationSettings { scheme, label_all_tokens };
        (task == FinetuneTask::TokenClassification).then_some(settings)
    }

    /// The first flag that was given.
    pub(crate) fn given(self) -> Option<&'static str> {
        let flags = [self.scheme.map(|_| "--scheme"), self.label_all_tokens.then_some("--label-all-tokens")];
        flags.into_iter().flatten().next()
    }
}
