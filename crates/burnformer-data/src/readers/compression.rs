//! Decompression of a file as it is read. The kind is detected from the first bytes, not the name; only Brotli has no sign of
//! its own.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use brotli_decompressor::Decompressor;
use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::bytes::{BUFFER, Bytes};

/// Most memory of an xz decoder, in KiB: the command line's largest setting takes half of it. zstd has the same limit.
const XZ_KIB: u32 = 128 << 10;

/// File name extensions of the compressions that are read.
pub(super) const ENDINGS: [&str; 6] = [".gz", ".zst", ".zstd", ".bz2", ".xz", ".br"];

/// What is in the file `path` with the content `file`, which begins with `magic`. Of several streams one behind another, as in
/// compressed files that were joined, all are read.
pub(super) fn decompressed(path: &Path, magic: &[u8], file: impl BufRead + Send + 'static) -> io::Result<Bytes> {
    Ok(match magic {
        [0x1f, 0x8b, ..] => buffered(MultiGzDecoder::new(file)),
        // The second is a frame to be skipped, which some parallel compressors begin with.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            buffered(zstd::stream::read::Decoder::with_buffer(file)?)
        }
        // The first block, or the end of a file without blocks.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => buffered(MultiBzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => buffered(XzReader::new_mem_limit(file, true, XZ_KIB)),
        _ if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("br")) => {
            buffered(Brotli(Decompressor::new(file, BUFFER)))
        }
        _ => Box::new(file),
    })
}

fn buffered(reader: impl Read + Send + 'static) -> Bytes {
    Box::new(BufReader::with_capacity(BUFFER, reader))
}

/// A Brotli stream that is all there is in the file.
struct Brotli<R: Read>(Decompressor<R>);

impl<R: Read> Read for Brotli<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buffer)?;
        if n > 0 || buffer.is_empty() {
            return Ok(n);
        }
        // The decoder tells of bytes behind the end that it has read already when it is asked once more.
        self.0.read(buffer)?;
        match self.0.get_mut().read(&mut [0])? {
            0 => Ok(0),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "there is data behind the end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::ReadError;
    use super::super::lines::read_lines;
    use super::super::testing::write;

    /// Two lines, compressed by xz 5 and by Brotli 1.0 of Python.
    const XZ: &[u8] =
        b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\x01\x00\train\nsnow\n\x00\x00\x00\
        \x0f\xf7!a\xe9h>>\x00\x01\"\n\x15\x1a\xe1g\x1f\xb6\xf3}\x01\x00\x00\x00\x00\x04YZ";
    const BROTLI: &[u8] = b"\x1b\t\x00\x00$\x14J\x10E\x8a\xf3 -\x19";

    fn bzip2(text: &str) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(name: &str, content: &[u8]) -> Result<Vec<String>, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        read_lines(&write(folder.path(), name, content), None)
    }

    #[test]
    fn what_other_programs_wrote_is_read_whatever_its_name() {
        for (name, content) in [("a", XZ.to_vec()), ("a.txt", bzip2("rain\nsnow\n")), ("a.txt.BR", BROTLI.to_vec())] {
            assert_eq!(read(name, &content).unwrap(), ["rain", "snow"], "{name}");
        }
        assert!(read("a", &bzip2("")).unwrap().is_empty());
    }

    #[test]
    fn files_that_were_joined_are_read_to_the_end() {
        assert_eq!(read("a", &[XZ, XZ].concat()).unwrap().len(), 4);
        assert_eq!(read("a", &bzip2("rain\n").repeat(3)).unwrap().len(), 3);
        // This format knows no such thing.
        assert!(matches!(read("a.br", &BROTLI.repeat(2)), Err(ReadError::Corrupt { .. })));
        assert!(matches!(read("a.br", &[BROTLI, &[0; 1 << 20]].concat()), Err(ReadError::Corrupt { .. })));
    }

    #[test]
    fn a_file_torn_at_any_byte_or_damaged_is_no_text() {
        for (name, whole) in [("a", XZ.to_vec()), ("a", bzip2("rain\nsnow\n")), ("a.br", BROTLI.to_vec())] {
            for cut in 12.min(whole.len() - 1)..whole.len() {
                let error = read(name, &whole[..cut]).unwrap_err();
                assert!(error.rows_lost().is_none(), "{name} {cut}: {error}");
            }
        }
        let mut damaged = bzip2("rain\nsnow\n");
        damaged[20] ^= 1;
        assert!(read("a", &damaged).unwrap_err().rows_lost().is_none());
    }

    #[test]
    fn a_window_of_gigabytes_is_refused() {
        let mut content = XZ.to_vec();
        // The size of the dictionary: 3 GiB, with the checksum of that header.
        content[16] = 39;
        let mut checksum = flate2::Crc::new();
        checksum.update(&content[12..20]);
        content[20..24].copy_from_slice(&checksum.sum().to_le_bytes());
        let error = read("a", &content).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("memory"), "{error}: {source}");
    }
}
