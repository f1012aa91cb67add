//! Kinds of files that are no text, by their first bytes.

/// What a file is, and what to do with it, by its first bytes after decompression; `None` if it may be text.
pub(super) fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const TWICE: &str = "decompress it once";
    const KINDS: [(&[u8], &str, &str); 21] = [
        (b"PAR1", "a Parquet file", "set the format `parquet`"),
        (b"ARROW1", "an Arrow file", "write it as Parquet"),
        (b"\xff\xff\xff\xff", "an Arrow stream", "write it as Parquet"),
        (b"PK\x03\x04", "a zip archive or a spreadsheet", "unpack it, or export it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office", "export it as text or CSV"),
        (b"%PDF-", "a PDF document", "extract its text"),
        (b"SQLite format 3\0", "a database of SQLite", "export it as CSV"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "export it as CSV"),
        (b"\x93NUMPY", "an array of NumPy", "export it as CSV"),
        (b"\x80\x04\x95", "a pickle of Python", "export it as CSV"),
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
        (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
        (b"\x04\x22\x4d\x18", "compressed with LZ4", "decompress it"),
        (b"\x1f\x9d", "compressed with compress", "decompress it"),
        (b"\x5d\0\0", "compressed with LZMA alone", "decompress it"),
        (b"\x1f\x8b", "compressed twice, with gzip", TWICE),
        (b"\x28\xb5\x2f\xfd", "compressed twice, with zstd", TWICE),
        (b"BZh91AY&SY", "compressed twice, with bzip2", TWICE),
        (b"\xfd7zXZ\0", "compressed twice, with xz", TWICE),
        (b"\x89PNG\r\n\x1a\n", "a picture", "name the files with text"),
        (b"\xff\xd8\xff", "a picture", "name the files with text"),
    ];
    if start.get(257..262).is_some_and(|magic| magic == b"ustar") {
        return Some(("a tar archive", "unpack it"));
    }
    KINDS.iter().find(|(magic, ..)| start.starts_with(magic)).map(|(_, found, remedy)| (*found, *remedy))
}
