//! The place of a parameter in a file: name and layout.

use burn::tensor::TensorData;

/// Place of a parameter in a file. A [`String`] is the place of a parameter that is a weight of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Name of the weight in the file.
    pub name: String,
    /// Part of the weight, if several parameters share it; `None` if it has only this one.
    pub part: Option<Part>,
    /// `true` if the file stores the matrix transposed, as GPT-2's `Conv1D` does.
    pub transposed: bool,
}

/// One of several parameters of one shape that a file keeps in one weight, one behind the other along the first axis of
/// a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Index of the parameter, from 0.
    pub index: usize,
    /// Number of parameters in the weight.
    pub of: usize,
}

impl From<String> for Place {
    fn from(name: String) -> Self {
        Self { name, part: None, transposed: false }
    }
}

impl Place {
    /// Shape of the weight in the file that holds a parameter of this shape.
    pub(super) fn stored_shape(&self, parameter: &[usize]) -> Vec<usize> {
        let mut shape = parameter.to_vec();
        if let (Some(part), Some(first)) = (self.part, shape.first_mut()) {
            *first = first.saturating_mul(part.of);
        }
        if self.transposed {
            shape.reverse();
        }
        shape
    }

    /// The parameter in a weight of a file, which has [`Self::stored_shape`].
    pub(super) fn parameter(&self, stored: TensorData) -> TensorData {
        let stored = if self.transposed { transpose(&stored) } else { stored };
        let Some(part) = self.part else { return stored };
        let mut shape = stored.shape().to_vec();
        shape[0] /= part.of;
        let n = shape.iter().product();
        TensorData::new(stored.iter::<f32>().skip(part.index * n).take(n).collect::<Vec<f32>>(), shape)
    }

    /// The weight of a file that holds these parameters, in the order of their parts.
    pub(super) fn stored(&self, parameters: &[TensorData]) -> TensorData {
        let mut shape = parameters[0].shape().to_vec();
        if let Some(first) = shape.first_mut() {
            *first *= parameters.len();
        }
        let values: Vec<f32> = parameters.iter().flat_map(TensorData::iter::<f32>).collect();
        let joined = TensorData::new(values, shape);
        if self.transposed { transpose(&joined) } else { joined }
    }
}

/// The transposed matrix; a vector is its own.
fn transpose(matrix: &TensorData) -> TensorData {
    let values: Vec<f32> = matrix.iter::<f32>().collect();
    let &[n_rows, n_columns] = matrix.shape().as_slice() else {
        return TensorData::new(values, matrix.shape().clone());
    };
    let column = |column: usize| values.iter().skip(column).step_by(n_columns).copied();
    TensorData::new((0..n_columns).flat_map(column).collect::<Vec<f32>>(), [n_columns, n_rows])
}
