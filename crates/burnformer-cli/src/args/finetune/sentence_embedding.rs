//! Flags of `burnformer finetune` for sentence embeddings.

use burnformer::models::Pooling;
use burnformer::recipes::finetune::{EmbeddingLossKind, FinetuneTask, SentenceEmbeddingSettings};
use clap::Args;

use super::super::embed::poolings;
use super::super::names::names;

/// Loss and pooling of sentence embeddings.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sentence embedding")]
pub(crate) struct SentenceEmbeddingArgs {
    /// Loss [default: cosent with `--label-column`, else multiple-negatives]
    #[arg(long, value_name = "LOSS", conflicts_with = "resume", value_parser = names::<EmbeddingLossKind, _>([
        ("multiple-negatives", "Pairs without scores: tell the second text from all others of the batch, and from negatives"),
        ("cosent", "Pairs with scores: cosines in the order of the scores"),
        ("cosine", "Pairs with scores from -1 to 1: squared difference of cosine and score"),
        ("triplet", "Pairs with negatives: the second text nearer than the negative by a margin"),
        ("contrastive", "Pairs with scores of 0 or 1: near or far apart"),
    ]))]
    pub(crate) loss: Option<EmbeddingLossKind>,

    /// Column of a text that does not go together with the first one, or of a list of such texts (hard negatives)
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub(crate) negative_column: Option<String>,

    /// Factor of cosines: 1 / temperature [default: 20]
    #[arg(long, value_name = "FACTOR", conflicts_with = "resume")]
    pub(crate) scale: Option<f64>,

    /// Margin of the loss [default: 5 for triplet, 0.5 for contrastive]
    #[arg(long, value_name = "DISTANCE", conflicts_with = "resume")]
    pub(crate) margin: Option<f64>,

    /// Score that stands for a cosine of 1, for the loss cosine [default: 1]
    #[arg(long, value_name = "SCORE", conflicts_with = "resume")]
    pub(crate) highest_score: Option<f64>,

    /// Pooling of token vectors into one text vector [default: as the model folder says, else mean]
    #[arg(long, value_name = "POOLING", conflicts_with = "resume", value_parser = poolings())]
    pub(crate) pooling: Option<Pooling>,
}

impl SentenceEmbeddingArgs {
    /// The settings.
    pub(crate) fn settings(&self) -> SentenceEmbeddingSettings {
        let Self { loss, scale, margin, highest_score, pooling, .. } = self.clone();
        SentenceEmbeddingSettings { loss, scale, margin, highest_score, pooling, normalize: None }
    }

    /// The flags that were given, and the task that they are for.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, FinetuneTask)> {
        let flags = [
            ("--loss", self.loss.is_some()),
            ("--negative-column", self.negative_column.is_some()),
            ("--scale", self.scale.is_some()),
            ("--margin", self.margin.is_some()),
            ("--highest-score", self.highest_score.is_some()),
            ("--pooling", self.pooling.is_some()),
        ];
        let given = flags.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(flag, _)| (flag, FinetuneTask::SentenceEmbedding))
    }
}
