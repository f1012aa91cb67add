//! Tensors between two stages.

use burn::tensor::{Device, ExecutionError, Shape, Tensor, TensorData};

use crate::tensors::{TensorsError, add_list, message, read_list};
use crate::{Collective, CollectiveError, TrainError};

/// Tensors that a stage sends to another, some of which may be absent, such as the gradient of what no loss depends on.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Packet(pub(super) Vec<Option<TensorData>>);

impl Packet {
    /// The values of `tensors`. Waits for the device.
    pub(super) fn of<const D: usize>(
        tensors: impl IntoIterator<Item = Option<Tensor<D>>>,
    ) -> Result<Self, ExecutionError> {
        let read = |x: Tensor<D>| Ok(x.try_into_data()?.convert::<f32>());
        Ok(Self(tensors.into_iter().map(|x| x.map(read).transpose()).collect::<Result<_, _>>()?))
    }

    /// The tensors on `device`.
    pub(super) fn on<const D: usize>(self, device: &Device) -> impl Iterator<Item = Option<Tensor<D>>> {
        self.0.into_iter().map(move |data| data.map(|data| Tensor::from_data(data, device)))
    }

    /// Sends the tensors to the stage `to`, without waiting for it.
    pub(super) fn send(&self, pipeline: &dyn Collective, to: usize) -> Result<(), TrainError> {
        pipeline.send(to, self.to_bytes().map_err(CollectiveError::message)?)?;
        Ok(())
    }

    /// Waits for the next tensors of the stage `from`.
    pub(super) fn receive(pipeline: &dyn Collective, from: usize) -> Result<Self, TrainError> {
        Ok(Self::from_bytes(&pipeline.receive(from)?).map_err(CollectiveError::message)?)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, TensorsError> {
        let mut bytes = message(self.0.iter().flatten().map(TensorData::num_elements).sum());
        self.0.iter().flatten().for_each(|data| bytes.extend_from_slice(data.as_bytes()));
        let list: Vec<Option<Vec<usize>>> =
            self.0.iter().map(|data| data.as_ref().map(|data| data.shape().to_vec())).collect();
        add_list(&mut bytes, &list)?;
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, TensorsError> {
        let (list, mut values) = read_list::<Vec<Option<Vec<usize>>>>(bytes)?;
        let take = |shape: Option<Vec<usize>>| shape.map(|shape| values.take(Shape::from(shape))).transpose();
        let tensors = list.into_iter().map(take).collect::<Result<_, _>>()?;
        values.end()?;
        Ok(Self(tensors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_arrive_as_they_were() {
        let data = |values: &[f32], shape: &[usize]| Some(TensorData::new(values.to_vec(), shape.to_vec()));
        let packet = Packet(vec![data(&[1.5, -0.0], &[1, 2, 1]), None, data(&[3.0], &[1])]);
        assert_eq!(Packet::from_bytes(&packet.to_bytes().unwrap()).unwrap(), packet);
        assert_eq!(Packet::from_bytes(&Packet::default().to_bytes().unwrap()).unwrap(), Packet::default());
        assert!(Packet::from_bytes(b"hello").is_err());
    }
}
