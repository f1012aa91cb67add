//! Files as `torch.save` writes them.

#![cfg(feature = "models")]

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive with the weights `weight` of shape `[2, 3]` and `bias` of `[2]`, stored or deflated.
pub(crate) fn archive(method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let entries = [
        ("archive/data.pkl", pickle()),
        ("archive/byteorder", b"little".to_vec()),
        ("archive/data/0", [0, 0, 0x80, 0x3f].repeat(8)),
        ("archive/version", b"3\n".to_vec()),
    ];
    for (name, content) in entries {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).and_then(|()| Ok(zip.write_all(&content)?)).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

/// A dictionary of two views of one storage of eight floats.
fn pickle() -> Vec<u8> {
    let entries = [[text("weight"), tensor(0, &[2, 3], &[3, 1])], [text("bias"), tensor(6, &[2], &[1])]];
    [b"\x80\x02}(".as_slice(), &entries.concat().concat(), b"u."].concat()
}

fn tensor(offset: u8, shape: &[u8], stride: &[u8]) -> Vec<u8> {
    let storage = [b"(".as_slice(), &text("storage"), b"ctorch\nFloatStorage\n", &text("0"), &text("cpu"), b"K\x08tQ"];
    let tuple =
        |numbers: &[u8]| [b"(".to_vec(), numbers.iter().flat_map(|&n| [b'K', n]).collect(), b"t".to_vec()].concat();
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec(),
        storage.concat(),
        vec![b'K', offset],
        tuple(shape),
        tuple(stride),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}
