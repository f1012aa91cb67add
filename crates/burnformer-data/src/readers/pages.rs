//! Headers of Parquet pages, read before the pages themselves: a page of a few bytes may stand for gigabytes.
//!
//! Headers are in Thrift's compact protocol. Source: `parquet.thrift` of the format, and "Thrift Compact protocol encoding".

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use brotli_decompressor::Decompressor;
use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

/// Number of compressed bytes read at a time.
const BUFFER: usize = 4096;
/// Largest page, in bytes, decompressed. Most writers end a page at 1 MiB; some have one page in a row group.
pub(super) const PAGE_BYTES: u64 = 256 << 20;
/// Largest average number of elements of the lists in a row group, beyond [`FREE_VALUES`]: a list of equal elements takes
/// no space in the file.
const VALUES_PER_ROW: u64 = 4096;
/// See [`VALUES_PER_ROW`].
const FREE_VALUES: u64 = 1 << 20;
/// Largest depth of structs and lists in a header.
const DEPTH: usize = 8;

/// Why a row group is not decoded.
#[derive(Debug)]
pub(super) enum Refused {
    /// A page of so many bytes.
    Page(u64),
    /// So many elements of lists.
    Values {
        found: u64,
        limit: u64,
    },
    /// Data that cannot be decoded, a header that is none, or pages of other sizes than they say.
    Damaged(ParquetError),
    Io(io::Error),
}

impl Refused {
    fn damaged(problem: &str) -> Self {
        Self::Damaged(ParquetError::General(problem.to_owned()))
    }
}

impl From<ParquetError> for Refused {
    fn from(error: ParquetError) -> Self {
        Self::Damaged(error)
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged("a page lies outside the file"),
            _ => Self::Io(error),
        }
    }
}

/// Checks the pages of these columns of a row group, which are at most `page_bytes` each.
pub(super) fn check(
    file: &mut File,
    group: &RowGroupMetaData,
    columns: &[usize],
    page_bytes: u64,
) -> Result<(), Refused> {
    for &column in columns {
        let chunk = group.columns().get(column).ok_or_else(|| Refused::damaged("a row group lacks a column"))?;
        let n_values = check_chunk(file, chunk, page_bytes)?;
        let is_list = chunk.column_descr().max_rep_level() > 0;
        let limit = most_values(group);
        if is_list && n_values > limit {
            return Err(Refused::Values { found: n_values, limit });
        }
    }
    Ok(())
}

/// Largest number of elements of lists in a row group.
fn most_values(group: &RowGroupMetaData) -> u64 {
    let n_rows = u64::try_from(group.num_rows()).unwrap_or(0);
    n_rows.saturating_mul(VALUES_PER_ROW).saturating_add(FREE_VALUES)
}

/// Checks the pages of a column, and returns the number of their values.
fn check_chunk(file: &mut File, chunk: &ColumnChunkMetaData, page_bytes: u64) -> Result<u64, Refused> {
    let damaged = || Refused::damaged("a column lies outside the file");
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let (Ok(mut at), Ok(length)) = (u64::try_from(start), u64::try_from(chunk.compressed_size())) else {
        return Err(damaged());
    };
    let Some(end) = at.checked_add(length) else { return Err(damaged()) };
    let mut n_values = 0_u64;
    while at < end {
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Header { bytes: BufReader::with_capacity(4096, (&mut *file).take(end - at)), n_read: 0 };
        let page = bytes.page()?;
        at = at.saturating_add(bytes.n_read);
        if page.decompressed > page_bytes {
            return Err(Refused::Page(page.decompressed));
        }
        if page.compressed > end - at.min(end) {
            return Err(Refused::damaged("a page lies outside its column"));
        }
        check_size(file, at, &page, chunk.compression())?;
        n_values = n_values.saturating_add(page.n_values);
        at += page.compressed;
    }
    Ok(n_values)
}

/// Checks that a page has no more bytes than its header says, if it is in a format that the library decompresses to its end,
/// whatever the header says.
fn check_size(file: &mut File, at: u64, page: &Page, codec: Compression) -> Result<(), Refused> {
    file.seek(SeekFrom::Start(at + page.levels))?;
    let compressed = BufReader::new(file.take(page.compressed.saturating_sub(page.levels)));
    let limit = page.decompressed + 1;
    // Other errors are left to the library: a page need not be compressed.
    let n = match codec {
        Compression::GZIP(_) => count(MultiGzDecoder::new(compressed).take(limit)),
        Compression::BROTLI(_) => count(Decompressor::new(compressed, BUFFER).take(limit)),
        // One of the three that this name stands for.
        Compression::LZ4 => count(FrameDecoder::new(compressed).take(limit)),
        _ => 0,
    };
    if n > page.decompressed { Err(Refused::damaged("a page is larger than its header says")) } else { Ok(()) }
}

/// Number of bytes up to the end or an error.
fn count(mut bytes: impl Read) -> u64 {
    let (mut buffer, mut n) = ([0; 8192], 0);
    while let Ok(read @ 1..) = bytes.read(&mut buffer) {
        n += read as u64;
    }
    n
}

/// Sizes of a page.
#[derive(Default)]
struct Page {
    decompressed: u64,
    compressed: u64,
    n_values: u64,
    /// Bytes in front of the compressed ones.
    levels: u64,
}

/// The header of a page, and how many bytes of it were read.
struct Header<R> {
    bytes: R,
    n_read: u64,
}

impl<R: BufRead> Header<R> {
    fn page(&mut self) -> Result<Page, Refused> {
        let mut page = Page::default();
        let mut sizes = 0;
        let mut put = |path: [i64; 2], value: i64| {
            let Ok(value) = u64::try_from(value) else { return false };
            match path {
                [0, 2] => (page.decompressed, sizes) = (value, sizes | 1),
                [0, 3] => (page.compressed, sizes) = (value, sizes | 2),
                // Of a page of data, of a dictionary, and of a page of data of the second version.
                [5 | 7 | 8, 1] => page.n_values = value,
                [8, 5 | 6] => page.levels = page.levels.saturating_add(value),
                _ => {}
            }
            true
        };
        self.fields(0, 0, &mut put)?;
        if sizes == 3 { Ok(page) } else { Err(Refused::damaged("a page has no size")) }
    }

    /// Reads the fields of a struct that is field `outer`, and hands the numbers to `put`, which returns `false` for one that
    /// cannot be.
    fn fields(&mut self, outer: i64, depth: usize, put: &mut impl FnMut([i64; 2], i64) -> bool) -> Result<(), Refused> {
        let mut id = 0_i64;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = if byte >> 4 == 0 { self.integer()? } else { id.wrapping_add(i64::from(byte >> 4)) };
            match byte & 15 {
                kind @ 4..=6 => {
                    let value = self.integer()?;
                    let is_size = outer == 0 && kind == 5 || matches!(outer, 5 | 7 | 8) && depth == 1;
                    if is_size && !put([outer, id], value) && matches!((outer, id), (0, 2 | 3) | (_, 1)) {
                        return Err(Refused::damaged("a size is below zero"));
                    }
                }
                12 if depth + 1 < DEPTH => self.fields(if depth == 0 { id } else { -1 }, depth + 1, put)?,
                kind => self.skip(kind, depth + 1)?,
            }
        }
    }

    /// Skips a value of a type.
    fn skip(&mut self, kind: u8, depth: usize) -> Result<(), Refused> {
        if depth > DEPTH {
            return Err(Refused::damaged("the header of a page is nested too deeply"));
        }
        match kind {
            1 | 2 => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.skip_bytes(8),
            8 => {
                let n = self.varint()?;
                self.skip_bytes(n)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let n = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                // A Boolean in a list is a byte.
                let kind = if matches!(byte & 15, 1 | 2) { 3 } else { byte & 15 };
                (0..n).try_for_each(|_| self.skip(kind, depth + 1))
            }
            12 => self.fields(-1, depth, &mut |_, _| true),
            13 => self.skip_bytes(16),
            _ => Err(Refused::damaged("the header of a page is not one")),
        }
    }

    fn byte(&mut self) -> Result<u8, Refused> {
        let mut byte = [0];
        self.bytes.read_exact(&mut byte)?;
        self.n_read += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64, Refused> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Refused::damaged("the header of a page is not one"))
    }

    /// A number in zigzag order: 0, -1, 1, -2, …
    fn integer(&mut self) -> Result<i64, Refused> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn skip_bytes(&mut self, n: u64) -> Result<(), Refused> {
        let skipped = io::copy(&mut (&mut self.bytes).take(n), &mut io::sink())?;
        self.n_read += skipped;
        if skipped < n { Err(Refused::damaged("a page lies outside the file")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes in a header: decompressed, compressed, values, and the bytes read.
    fn page(bytes: &[u8]) -> Result<[u64; 4], Refused> {
        let mut header = Header { bytes, n_read: 0 };
        header.page().map(|page| [page.decompressed, page.compressed, page.n_values, header.n_read])
    }

    #[test]
    fn sizes_are_read_and_everything_else_is_skipped() {
        // Type 0, sizes 100 and -50 → 99, a checksum; within field 5: 3 values, an encoding, statistics with bytes.
        let header = [
            0x15, 0x00, 0x15, 0xc8, 0x01, 0x15, 0x0a, 0x15, 0xff, 0xff, 0x03, 0x1c, 0x15, 0x06, 0x15, 0x00, 0x3c, 0x28,
            0x02, b'a', b'b', 0x11, 0x00, 0x00, 0x00, 0xff,
        ];
        assert_eq!(page(&header).unwrap(), [100, 5, 3, 25]);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let below_zero: &[u8] = &[0x15, 0x00, 0x15, 0x01, 0x15, 0x0a, 0x00];
        let endless_list: &[u8] = &[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x0f];
        let deep = [0x1c; 100];
        for bytes in [&[][..], &[0x00], &[0x15, 0x00], below_zero, endless_list, &deep, &[0x1e; 9], &[0xff; 20]] {
            assert!(matches!(page(bytes), Err(Refused::Damaged(_))), "{bytes:?}");
        }
    }
}
