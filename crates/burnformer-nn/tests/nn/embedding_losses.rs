//! Losses of embeddings against those of sentence-transformers, made by `fixtures/make_embedding_losses.py`: values to 1e-6,
//! gradients to 1e-5.

use burn::tensor::{Device, Tensor, TensorData};
use burnformer_nn::{EmbeddingLoss, PairEmbeddings};
use serde_json::Value;

use super::support::{assert_near, devices, values};

fn golden() -> Value {
    serde_json::from_str(include_str!("../fixtures/embedding_losses.json")).unwrap()
}

fn numbers(json: &Value) -> Vec<f64> {
    match json.as_array() {
        Some(rows) => rows.iter().flat_map(numbers).collect(),
        None => vec![json.as_f64().unwrap()],
    }
}

fn tensor<const D: usize>(json: &Value, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = numbers(json).into_iter().map(|value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[test]
fn losses_and_gradients_are_those_of_sentence_transformers() {
    let golden = golden();
    for device in devices().into_iter().map(Device::autodiff) {
        let embeddings = |name: &str| tensor::<2>(&golden["inputs"][name], [4, 5], &device).require_grad();
        let check = |name: &str, loss: EmbeddingLoss, with_negatives: bool, scores: Option<&str>| {
            let [texts, pairs, negatives] = ["texts", "pairs", "negatives"].map(embeddings);
            let input = PairEmbeddings {
                texts: texts.clone(),
                pairs: pairs.clone(),
                negatives: with_negatives.then(|| negatives.clone()),
                n_negatives: if with_negatives { &[1, 1, 1, 1] } else { &[] },
                scores: scores.map(|scores| tensor(&golden[scores], [4], &device)),
            };
            let value = loss.forward(input);
            let expected = &golden["losses"][name];
            assert_near(name, &values(value.clone()), &numbers(&expected["loss"]), 1e-6, 0.0);
            let gradients = value.backward();
            for (column, embedding) in [("texts", texts), ("pairs", pairs), ("negatives", negatives)] {
                if let Some(expected) = expected["gradients"].get(column) {
                    let found = values(embedding.grad(&gradients).unwrap());
                    assert_near(&format!("{name}: {column}"), &found, &numbers(expected), 1e-5, 1e-7);
                }
            }
        };
        check("multiple-negatives", EmbeddingLoss::MultipleNegatives { scale: 20.0 }, false, None);
        check("multiple-negatives with negatives", EmbeddingLoss::MultipleNegatives { scale: 20.0 }, true, None);
        check("cosent", EmbeddingLoss::Cosent { scale: 20.0 }, false, Some("scores"));
        check("cosine", EmbeddingLoss::Cosine, false, Some("scores"));
        check("triplet", EmbeddingLoss::Triplet { margin: 1.5 }, true, None);
        check("contrastive", EmbeddingLoss::Contrastive { margin: 0.5 }, false, Some("classes"));
    }
}

#[test]
fn pairs_may_have_different_numbers_of_negatives() {
    for device in devices() {
        let rows = |values: &[[f32; 2]]| {
            let shape = [values.len(), 2];
            Tensor::<2>::from_data(TensorData::new(values.concat(), shape), &device)
        };
        let loss = |pairs: &[[f32; 2]], negatives: &[[f32; 2]], n_negatives: &[usize], margin| {
            let texts = rows(&vec![[1.0, 0.0]; pairs.len()]);
            let (pairs, negatives, scores) = (rows(pairs), Some(rows(negatives)), None);
            let input = PairEmbeddings { texts, pairs, negatives, n_negatives, scores };
            values(EmbeddingLoss::Triplet { margin }.forward(input))[0]
        };
        // Distances 1 to the pair, 2 and 4 to the negatives: hinges of 4 and 2, and one of 1.
        let found = loss(&[[2.0, 0.0], [1.0, 0.0]], &[[3.0, 0.0], [5.0, 0.0], [1.0, 4.0]], &[2, 1], 5.0);
        assert!((found - (3.0 + 1.0) / 2.0).abs() < 1e-4, "{found}");
    }
}

#[test]
fn equal_scores_and_zero_embeddings_give_finite_numbers() {
    for device in devices().into_iter().map(Device::autodiff) {
        let texts = Tensor::<2>::zeros([3, 4], &device).require_grad();
        for loss in
            [EmbeddingLoss::Cosent { scale: 20.0 }, EmbeddingLoss::Cosine, EmbeddingLoss::Contrastive { margin: 0.5 }]
        {
            let (pairs, scores) = (texts.clone() + 0.0, Some(Tensor::ones([3], &device)));
            let input = PairEmbeddings { texts: texts.clone(), pairs, negatives: None, n_negatives: &[], scores };
            let value = loss.forward(input);
            let gradient = values(texts.grad(&value.backward()).unwrap());
            assert!(values(value)[0].is_finite() && gradient.iter().all(|x| x.is_finite()), "{loss:?}: {gradient:?}");
        }
    }
}
