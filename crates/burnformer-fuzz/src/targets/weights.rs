//! Files of weights, and the list of several.

use std::path::Path;

use burnformer_models::weights::{WeightRemarks, Weights};
use zip::CompressionMethod;

use crate::Target;
use crate::file::{beside, file};
use crate::pickle::archive;

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "safetensors",
        run: |bytes| file("model.safetensors", bytes, read),
        seeds: || vec![safetensors(), integers()],
    },
    Target { name: "index_json", run: index_json, seeds: || vec![INDEX.to_vec()] },
    Target {
        name: "pytorch",
        run: |bytes| file("pytorch_model.bin", bytes, read),
        seeds: || vec![archive(CompressionMethod::Stored), archive(CompressionMethod::Deflated)],
    },
];

const INDEX: &[u8] = br#"{"metadata":{"total_size":16},"weight_map":{"x":"b.safetensors","y":"b.safetensors"}}"#;

fn read(path: &Path) {
    if let Some(folder) = path.parent() {
        // As a folder names and passes over them.
        let _ = WeightRemarks::of(folder);
    }
    let Ok(mut weights) = Weights::open(path) else { return };
    for name in weights.names() {
        let _ = weights.read(&name);
    }
}

/// Beside a file of weights that it may name.
fn index_json(bytes: &[u8]) {
    file("b.safetensors", &safetensors(), |_| {});
    beside("model.safetensors.index.json", bytes, |folder| read(&folder.join("model.safetensors.index.json")));
}

/// A matrix in f32 and a vector in f16.
pub(super) fn safetensors() -> Vec<u8> {
    let header = br#"{"__metadata__":{"format":"pt"},"x":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]},"y":{"dtype":"F16","shape":[2],"data_offsets":[12,16]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0; 12], &[0, 0x3c, 0, 0x40]].concat()
}

/// A matrix of 8-bit integers with a scale for each row.
fn integers() -> Vec<u8> {
    let header = br#"{"x":{"dtype":"I8","shape":[2,3],"data_offsets":[8,14]},"x_scale":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40], &[127, 129, 0, 1, 2, 3]]
        .concat()
}
