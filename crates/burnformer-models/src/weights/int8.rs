//! Weights as 8-bit integers with scales.
//!
//! A matrix `NAME` `[rows, columns]` is stored as integers of this name and shape, and its scales as `NAME_scale` in f32: `[rows, 1]`, or
//! `[1, columns]` where the outputs are the columns. The weight is each integer times the scale of its output.

use super::float::FloatType;
use burnformer_ops::round_to_int8;
use safetensors::Dtype;

/// What stands behind the name of a weight in that of its scales.
const SCALE: &str = "_scale";

/// Tables with a row for each token, by the last part of their name but one: those of inputs, then outputs of their own.
const TABLES: [&str; 7] = ["word_embeddings", "wte", "shared", "embed_tokens", "decoder", "vocab_projector", "lm_head"];

/// The name of the scales of a weight.
pub(super) fn scale(weight: &str) -> String {
    format!("{weight}{SCALE}")
}

/// The weight that has scales of this name.
pub(super) fn scaled(scale: &str) -> Option<&str> {
    scale.strip_suffix(SCALE)
}

/// The axis of a matrix along which the outputs lie, each with a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outputs {
    Rows,
    Columns,
}

impl Outputs {
    /// As the shapes of a weight and of its scales say; `None` if they do not fit each other.
    pub(super) fn of(weight: &[usize], scale: &[usize]) -> Option<Self> {
        match (weight, scale) {
            (&[rows, _], &[n, 1]) if n == rows => Some(Self::Rows),
            (&[_, columns], &[1, n]) if n == columns => Some(Self::Columns),
            _ => None,
        }
    }

    /// Of a weight that is stored as integers in [`WeightType::Int8`](super::WeightType::Int8): matrices in layers, which have a
    /// number, and the tables of tokens.
    pub(super) fn of_rounded(name: &str, shape: &[usize]) -> Option<Self> {
        let parts: Vec<&str> = name.split('.').collect();
        let &[.., table, "weight"] = &parts[..] else { return None };
        let is_matrix = shape.len() == 2 && !shape.contains(&0);
        let number = parts.iter().position(|part| part.parse::<u32>().is_ok());
        match number {
            _ if !is_matrix => None,
            // GPT-2 stores `[d_in, d_out]`.
            Some(place) if place > 0 && parts[place - 1] == "h" => Some(Self::Columns),
            Some(_) => Some(Self::Rows),
            None => TABLES.contains(&table).then_some(Self::Rows),
        }
    }

    /// The shape of the scales.
    pub(super) fn scale_shape(self, weight: &[usize]) -> Vec<usize> {
        match self {
            Self::Rows => vec![weight[0], 1],
            Self::Columns => vec![1, weight[1]],
        }
    }

    /// The integers of a matrix, in its order, and the scales.
    pub(super) fn round(self, values: &[f32], shape: &[usize]) -> (Vec<i8>, Vec<f32>) {
        let (rows, columns) = (shape[0], shape[1]);
        let mut integers = vec![0; values.len()];
        let scales = match self {
            Self::Rows => {
                let rows = values.chunks_exact(columns).zip(integers.chunks_exact_mut(columns));
                rows.map(|(values, integers)| round_to_int8(values, integers)).collect()
            }
            Self::Columns => {
                let mut rounded = vec![0; rows];
                let mut column = |number: usize| {
                    let values: Vec<f32> = values[number..].iter().step_by(columns).copied().collect();
                    let scale = round_to_int8(&values, &mut rounded);
                    integers[number..].iter_mut().step_by(columns).zip(&rounded).for_each(|(to, from)| *to = *from);
                    scale
                };
                (0..columns).map(&mut column).collect()
            }
        };
        (integers, scales)
    }

    /// The matrix that bytes of integers and scales stand for.
    pub(super) fn decode(self, integers: &[u8], scales: &[f32], shape: &[usize]) -> Vec<f32> {
        let columns = shape[1].max(1);
        let rows = integers.chunks(columns);
        let value = |byte: u8, scale: f32| f32::from(byte as i8) * scale;
        match self {
            Self::Rows => {
                rows.zip(scales).flat_map(|(bytes, &scale)| bytes.iter().map(move |&byte| value(byte, scale))).collect()
            }
            Self::Columns => {
                rows.flat_map(|bytes| bytes.iter().zip(scales).map(move |(&byte, &scale)| value(byte, scale))).collect()
            }
        }
    }
}

/// What the numbers of a tensor in a file are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stored {
    Float(FloatType),
    Integers(Outputs),
    Scales(Outputs),
}

impl Stored {
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::Float(float) => float.dtype(),
            Self::Integers(_) => Dtype::I8,
            Self::Scales(_) => Dtype::F32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_of_layers_and_tables_of_tokens_are_integers() {
        let rows = [
            "bert.encoder.layer.0.attention.self.query.weight",
            "distilbert.transformer.layer.11.ffn.lin1.weight",
            "model.decoder.layers.3.encoder_attn.k_proj.weight",
            "embeddings.word_embeddings.weight",
            "transformer.wte.weight",
            "model.shared.weight",
            "cls.predictions.decoder.weight",
            "lm_head.weight",
        ];
        for name in rows {
            assert_eq!(Outputs::of_rounded(name, &[3, 4]), Some(Outputs::Rows), "{name}");
        }
        for name in ["transformer.h.0.attn.c_attn.weight", "h.11.mlp.c_proj.weight"] {
            assert_eq!(Outputs::of_rounded(name, &[3, 4]), Some(Outputs::Columns), "{name}");
        }
        let floats = [
            ("bert.encoder.layer.0.attention.self.query.bias", &[3][..]),
            ("bert.encoder.layer.0.output.LayerNorm.weight", &[3]),
            ("embeddings.position_embeddings.weight", &[3, 4]),
            ("bert.pooler.dense.weight", &[3, 4]),
            ("classifier.weight", &[3, 4]),
            ("final_logits_bias", &[1, 4]),
            ("h.0.attn.c_attn.weight", &[0, 4]),
        ];
        for (name, shape) in floats {
            assert_eq!(Outputs::of_rounded(name, shape), None, "{name}");
        }
    }

    #[test]
    fn rows_and_columns_have_scales_of_their_own() {
        // By rows the greatest magnitudes are 127 and 254, by columns 254, 127 and 63.5.
        let (values, shape) = ([127.0, 2.0, 63.5, -254.0, -127.0, 0.0], [2, 3]);
        for (outputs, scale_shape, integers, scales) in [
            (Outputs::Rows, [2, 1], [127, 2, 64, -127, -64, 0], &[1.0, 2.0][..]),
            (Outputs::Columns, [1, 3], [64, 2, 127, -127, -127, 0], &[2.0, 1.0, 0.5]),
        ] {
            let rounded = outputs.round(&values, &shape);
            assert_eq!((&rounded.0[..], &rounded.1[..]), (&integers[..], scales));
            assert_eq!(outputs.scale_shape(&shape), scale_shape);
            assert_eq!(Outputs::of(&shape, &scale_shape), Some(outputs));
            let bytes: Vec<u8> = rounded.0.iter().map(|&integer| integer as u8).collect();
            let decoded = outputs.decode(&bytes, &rounded.1, &shape);
            for ((value, decoded), integer) in values.iter().zip(&decoded).zip(integers) {
                assert!((value - decoded).abs() <= 1.0, "{value}: {decoded}");
                assert_eq!(integer == 0, *decoded == 0.0);
            }
        }
        assert_eq!(Outputs::of(&shape, &[3, 1]), None);
        assert_eq!(Outputs::of(&shape, &[2]), None);
        assert_eq!(Outputs::of(&[6], &[6, 1]), None);
    }
}
