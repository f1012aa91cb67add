//! Settings of sentence embeddings.

use burnformer_core::config::{ConfigError, Validate};
use burnformer_data::paired::PairedTexts;
use burnformer_models::Pooling;
use burnformer_tasks::EmbeddingLoss;
use serde::{Deserialize, Serialize};

use crate::RecipeError;

/// Loss of sentence embeddings, by its name in settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingLossKind {
    /// Cross entropy of the second text among those of the batch and all negatives.
    MultipleNegatives,
    /// Order of the cosines as that of the scores.
    Cosent,
    /// Squared difference of cosine and score.
    Cosine,
    /// Distance to the second text against that to the negatives.
    Triplet,
    /// Cosine distances of pairs with a score of 1 and of pairs with one of 0.
    Contrastive,
}

impl EmbeddingLossKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::MultipleNegatives, Self::Cosent, Self::Cosine, Self::Triplet, Self::Contrastive];

    /// Name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MultipleNegatives => "multiple-negatives",
            Self::Cosent => "cosent",
            Self::Cosine => "cosine",
            Self::Triplet => "triplet",
            Self::Contrastive => "contrastive",
        }
    }

    /// The kind for data with scores, or without, if none is asked for.
    pub(crate) fn default_for(have_scores: bool) -> Self {
        if have_scores { Self::Cosent } else { Self::MultipleNegatives }
    }

    /// Validation metric that selects the best model, as in `metrics.jsonl`.
    pub(crate) fn quality(self) -> &'static str {
        match self {
            Self::MultipleNegatives => "mrr",
            Self::Triplet => "accuracy",
            Self::Cosent | Self::Cosine | Self::Contrastive => "spearman",
        }
    }
}

/// Settings of sentence embeddings. What is absent is as the model's files say, or the loss's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SentenceEmbeddingSettings {
    /// Loss; absent for `cosent` if pairs have scores, else `multiple-negatives`.
    pub loss: Option<EmbeddingLossKind>,
    /// Factor of the cosines in the losses `multiple-negatives` and `cosent`; absent for 20.
    pub scale: Option<f64>,
    /// Margin of the losses `triplet` and `contrastive`; absent for 5 and 0.5.
    pub margin: Option<f64>,
    /// Score that stands for a cosine of 1, in the loss `cosine`; absent for 1.
    pub highest_score: Option<f64>,
    /// Pooling of token vectors; absent for that of the model, or the mean.
    pub pooling: Option<Pooling>,
    /// `true` L2-normalises the embeddings; absent for as the model does, or normalised.
    pub normalize: Option<bool>,
}

impl SentenceEmbeddingSettings {
    /// The loss for pairs with scores, or without.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] for a setting of another loss, or one that cannot work.
    pub(super) fn loss(&self, have_scores: bool) -> Result<EmbeddingLoss, ConfigError> {
        use EmbeddingLossKind::{Contrastive, Cosent, Cosine, MultipleNegatives, Triplet};
        let kind = self.loss.unwrap_or(EmbeddingLossKind::default_for(have_scores));
        let of_use = [
            (
                "scale",
                self.scale,
                [MultipleNegatives, Cosent].as_slice(),
                "none: it is for `multiple-negatives` and `cosent`",
            ),
            ("margin", self.margin, &[Triplet, Contrastive], "none: it is for the losses `triplet` and `contrastive`"),
            ("highest_score", self.highest_score, &[Cosine], "none: it is for the loss `cosine`"),
        ];
        for (field, value, kinds, range) in of_use {
            let Some(value) = value else { continue };
            ConfigError::check(field, &value, kinds.contains(&kind), range)?;
            ConfigError::check_finite_positive(field, value)?;
        }
        Ok(match kind {
            MultipleNegatives => EmbeddingLoss::MultipleNegatives { scale: self.scale.unwrap_or(20.0) },
            Cosent => EmbeddingLoss::Cosent { scale: self.scale.unwrap_or(20.0) },
            Cosine => EmbeddingLoss::Cosine,
            Triplet => EmbeddingLoss::Triplet { margin: self.margin.unwrap_or(5.0) },
            Contrastive => EmbeddingLoss::Contrastive { margin: self.margin.unwrap_or(0.5) },
        })
    }

    /// Refuses pairs that the loss cannot use.
    pub(super) fn check(&self, texts: &PairedTexts) -> Result<(), RecipeError> {
        let (have_scores, have_negatives) = (texts.have_scores(), texts.have_negatives());
        let kind = self.loss.unwrap_or(EmbeddingLossKind::default_for(have_scores));
        let wrong =
            |needs: &'static str, found: String| Err(RecipeError::EmbeddingData { loss: kind.name(), needs, found });
        let uses_scores = kind.quality() == "spearman";
        match (uses_scores, have_scores) {
            (true, false) => return wrong("a score for each pair", "pairs without scores".to_owned()),
            (false, true) => return wrong("pairs without scores", "scores".to_owned()),
            _ => {}
        }
        match kind {
            EmbeddingLossKind::Triplet if !have_negatives => {
                return wrong("negatives for each pair", "pairs without negatives".to_owned());
            }
            _ if uses_scores && have_negatives => return wrong("pairs without negatives", "negatives".to_owned()),
            _ => {}
        }
        let (needs, least, greatest) = match kind {
            EmbeddingLossKind::Cosine => ("scores that stand for cosines from -1 to 1", -1.0, 1.0),
            EmbeddingLossKind::Contrastive => ("scores from 0 to 1", 0.0, 1.0),
            _ => return Ok(()),
        };
        let highest = self.highest_score.unwrap_or(1.0);
        match texts.score_range() {
            Some((low, high)) if f64::from(low) < least * highest || f64::from(high) > greatest * highest => {
                wrong(needs, format!("scores from {low} to {high}"))
            }
            _ => Ok(()),
        }
    }
}

impl Validate for SentenceEmbeddingSettings {
    fn validate(&self) -> Result<(), ConfigError> {
        // Which loss is the default is known with the data.
        match self.loss {
            Some(kind) => self.loss(EmbeddingLossKind::default_for(true) == kind).map(drop),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use burnformer_data::paired::PairedExample;

    use super::*;

    fn texts(score: Option<f32>, negatives: &[&str]) -> PairedTexts {
        let negatives = negatives.iter().map(|text| (*text).to_owned()).collect();
        PairedTexts { examples: vec![PairedExample { text: "a".to_owned(), pair: "b".to_owned(), negatives, score }] }
    }

    fn settings(loss: Option<EmbeddingLossKind>) -> SentenceEmbeddingSettings {
        SentenceEmbeddingSettings { loss, ..SentenceEmbeddingSettings::default() }
    }

    #[test]
    fn the_loss_follows_from_the_data_unless_it_is_set() {
        assert_eq!(settings(None).loss(true), Ok(EmbeddingLoss::Cosent { scale: 20.0 }));
        assert_eq!(settings(None).loss(false), Ok(EmbeddingLoss::MultipleNegatives { scale: 20.0 }));
        assert_eq!(settings(Some(EmbeddingLossKind::Triplet)).loss(false), Ok(EmbeddingLoss::Triplet { margin: 5.0 }));
        for kind in EmbeddingLossKind::ALL {
            let name = format!("{:?}", serde_json::to_value(kind).unwrap().as_str().unwrap());
            assert_eq!(name, format!("{:?}", kind.name()));
        }
    }

    #[test]
    fn data_that_the_loss_cannot_use_are_refused() {
        let check = |loss, texts: PairedTexts| settings(loss).check(&texts).map_err(|error| error.to_string());
        assert_eq!(check(None, texts(Some(4.0), &[])), Ok(()));
        assert_eq!(check(None, texts(None, &["c"])), Ok(()));
        let error = "the loss `triplet` needs negatives for each pair, found pairs without negatives";
        assert_eq!(check(Some(EmbeddingLossKind::Triplet), texts(None, &[])), Err(error.to_owned()));
        let error = "the loss `cosent` needs pairs without negatives, found negatives";
        assert_eq!(check(None, texts(Some(1.0), &["c"])), Err(error.to_owned()));
        let error = "the loss `multiple-negatives` needs pairs without scores, found scores";
        assert_eq!(check(Some(EmbeddingLossKind::MultipleNegatives), texts(Some(1.0), &[])), Err(error.to_owned()));
        let error = "the loss `cosine` needs scores that stand for cosines from -1 to 1, found scores from 4 to 4";
        assert_eq!(check(Some(EmbeddingLossKind::Cosine), texts(Some(4.0), &[])), Err(error.to_owned()));
        let scaled =
            SentenceEmbeddingSettings { highest_score: Some(5.0), ..settings(Some(EmbeddingLossKind::Cosine)) };
        assert!(scaled.check(&texts(Some(4.0), &[])).is_ok());
        assert!(check(Some(EmbeddingLossKind::Contrastive), texts(Some(-1.0), &[])).is_err());
    }

    #[test]
    fn settings_of_another_loss_are_refused() {
        let wrong = SentenceEmbeddingSettings { margin: Some(1.0), ..settings(Some(EmbeddingLossKind::Cosent)) };
        let error = "`margin` is 1, expected none: it is for the losses `triplet` and `contrastive`";
        assert_eq!(wrong.validate().unwrap_err().to_string(), error);
        let zero = SentenceEmbeddingSettings { scale: Some(0.0), ..settings(None) };
        assert!(zero.loss(true).is_err());
    }
}
