//! Property tests: whatever happens to the bytes of a file, each reader ends with records and errors.

use std::path::Path;

use proptest::prelude::*;

use super::testing::{columns, gzip, zstd};
use super::{Format, Input, TextLayout};
use crate::source::{BytesRead, Source as _};

const TEXTS: [&str; 5] = [
    "A mill by the river.\n\nIt stood still.\r\n\u{feff}河边\n",
    "{\"t\": \"rain\", \"l\": 1}\n{\"t\": \"snow\", \"l\": {\"x\": [\"y\", null, -1.5e3]}}\n",
    "t,l\n\"a \"\"b\"\",\nc\",1\nd,2\n",
    "t\tl\na\t1\nb\t2\n",
    "EU\tB-ORG\nis\tO\n\n# text\nPeter\tB-PER\n",
];

fn formats(other: &Path) -> Vec<Format> {
    let columns = || columns("t", "", "l", "");
    let target = vec![other.display().to_string()];
    vec![
        Format::Text { layout: TextLayout::Lines },
        Format::Text { layout: TextLayout::File },
        Format::Text { layout: TextLayout::BlankLines },
        Format::Parallel { target },
        Format::Jsonl { columns: columns() },
        Format::Csv { columns: columns(), header: true, delimiter: ',' },
        Format::Csv { columns: super::testing::columns("1", "", "2", ""), header: false, delimiter: ';' },
        Format::Tsv { columns: columns(), header: true },
        Format::Conll { word_column: 1, tag_column: None },
        Format::Parquet { columns: columns(), class_names: true },
    ]
}

/// A change of some bytes: place, and what is put there instead of the byte.
fn change() -> impl Strategy<Value = (prop::sample::Index, Vec<u8>)> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        prop::sample::select(vec![
            b"\"".to_vec(),
            b"\n".to_vec(),
            b"\0".to_vec(),
            b"[[{".to_vec(),
            b"\xff\xff".to_vec()
        ]),
    ];
    (any::<prop::sample::Index>(), bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_reader_survives_every_file(
        text in prop::sample::select(TEXTS.to_vec()),
        packed in 0..3,
        changes in prop::collection::vec(change(), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = match packed {
            0 => text.as_bytes().to_vec(),
            1 => gzip(text),
            _ => zstd(text),
        };
        for (place, instead) in changes {
            let place = place.index(bytes.len());
            bytes.splice(place..=place, instead);
            bytes.push(b'\n');
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&path, &bytes).unwrap();
        std::fs::write(&other, TEXTS[0]).unwrap();
        for format in formats(&other) {
            let files = Input::new(vec![path.display().to_string()], format).open().unwrap();
            let rows = files.read(0, &BytesRead::default()).count();
            prop_assert!(rows <= bytes.len() + 10, "{} rows of {} bytes", rows, bytes.len());
        }
    }
}
