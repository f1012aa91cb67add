//! A checkpoint that is read.

use std::borrow::Cow;

use burn::tensor::Device;
use burnformer_models::{BertConfig, BertForPreTraining, stats, weights};
use safetensors::{Dtype, View, serialize_to_file};

use crate::{Size, Work};

/// A weight of this shape. Its bytes are made when they are written, so that the memory of the process is that of reading.
struct Weight(Vec<usize>);

impl View for Weight {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0
    }

    fn data(&self) -> Cow<'_, [u8]> {
        vec![0x3c; self.data_len()].into()
    }

    fn data_len(&self) -> usize {
        self.0.iter().product::<usize>() * size_of::<f32>()
    }
}

/// BERT's weights, with the heads of pretraining: base, or tiny.
pub(crate) fn checkpoint(size: Size) -> Work {
    let (preset, vocab_size) = match size {
        Size::Small => ("bert-tiny", 50),
        Size::Large => ("bert-base", 30_522),
    };
    let config = BertConfig::preset(preset, vocab_size, 0).expect("the preset exists");
    // It has no weights, and neither have its copies, until they are read.
    let empty = move |device: &Device| BertForPreTraining::new(&config, device);
    let n_parameters = stats::n_parameters(&empty(&Device::default()));
    Work::new("load", preset, n_parameters, move |device: &Device| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("model.safetensors");
        let model = empty(device);
        let weights = stats::parameters(&model).into_iter().map(|(name, shape)| (name, Weight(shape)));
        serialize_to_file(weights, None, &path).expect("a temporary folder can be written");
        move || {
            // With the folder, which is there as long as this closure is.
            let path = folder.path().join("model.safetensors");
            let loaded = weights::load(model.clone(), str::to_owned, |_| false, &path);
            drop(loaded.expect("every parameter is in the file"));
        }
    })
}
