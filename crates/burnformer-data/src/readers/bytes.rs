//! The text of a file as bytes of UTF-8, decompressed and decoded as they are read. Both is detected from the first bytes.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use burnformer_core::files::open_regular;

use super::ReadError;
use super::compression::decompressed;
use super::encoding::{Encoding, byte_order_mark, decoded, is_utf8, likely_of_zeros};
use super::foreign::foreign;
use super::input_file::InputFile;
use crate::source::BytesRead;

/// Bytes as they are read.
pub(super) type Bytes = Box<dyn BufRead + Send>;

/// Text as bytes of UTF-8 without a byte order mark.
pub(super) struct Text {
    pub(super) bytes: Bytes,
    /// The encoding that it was converted from. What is not of it is marked by bytes that are not UTF-8.
    pub(super) encoding: Encoding,
}

/// Number of bytes read and decompressed at a time.
pub(super) const BUFFER: usize = 64 << 10;
/// Time that a pipe is given for somebody to write to it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Number of bytes that identify the kind of a file.
const MAGIC: usize = 8;

/// Opens a text file, of this encoding if no byte order mark says otherwise, or of UTF-8 if there is none. What is read
/// of the file, compressed as it may be, is added to `counter`.
pub(super) fn open(file: &InputFile, encoding: Option<Encoding>, counter: &BytesRead) -> Result<Text, ReadError> {
    let path = file.path();
    let fail = |source| ReadError::Io { path: path.clone(), source };
    let file = Counted { file: open_file(file.content()).map_err(fail)?, counter: counter.clone() };
    let (magic, file) = peek(BufReader::with_capacity(BUFFER, file)).map_err(fail)?;
    text(path, decompressed(path, &magic, file).map_err(fail)?, encoding)
}

/// Opens a file that is read once from its beginning: a regular one or a pipe. A device such as `/dev/zero` has no end.
fn open_file(path: &Path) -> io::Result<File> {
    if is_pipe(path) { open_pipe(path, PATIENCE) } else { open_regular(path) }
}

/// Opens a pipe, and waits for its writer at most so long. The system waits without end, and hears no request to stop, so that
/// is left to another thread.
fn open_pipe(path: &Path, patience: Duration) -> io::Result<File> {
    let (sender, receiver) = mpsc::channel();
    let pipe = path.to_owned();
    thread::Builder::new().name("pipe".to_owned()).spawn(move || sender.send(File::open(pipe)))?;
    let nobody =
        || io::Error::new(io::ErrorKind::TimedOut, "nobody writes to this pipe: start what writes to it first");
    receiver.recv_timeout(patience).unwrap_or_else(|_| Err(nobody()))
}

fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}

/// The text in `bytes`, unless they are no text or of another encoding.
fn text(path: &Arc<Path>, bytes: Bytes, encoding: Option<Encoding>) -> Result<Text, ReadError> {
    // Bytes that cannot be decompressed are left to those who read on: they know the line.
    let (start, mut bytes) = match peek(bytes) {
        Ok(peeked) => peeked,
        Err(error) => {
            let bytes = Box::new(BufReader::new(Failing(Some(error))));
            return Ok(Text { bytes, encoding: encoding.unwrap_or(Encoding::UTF_8) });
        }
    };
    if let Some((found, remedy)) = foreign(&start) {
        let expected = "text, plain or compressed with gzip, zstd, bzip2, xz or Brotli";
        return Err(ReadError::WrongKind { path: path.clone(), found, expected, remedy });
    }
    if let Some((encoding, n_bytes)) = byte_order_mark(&start) {
        bytes.consume(n_bytes);
        return Ok(Text { bytes: decoded(Box::new(bytes), encoding), encoding });
    }
    let expected = encoding.unwrap_or(Encoding::UTF_8);
    let likely = likely_of_zeros(&start).or_else(|| is_utf8(&start).then_some(Encoding::UTF_8));
    match likely.filter(|&likely| likely != expected) {
        Some(likely) => Err(ReadError::OtherEncoding { path: path.clone(), expected, likely }),
        None => Ok(Text { bytes: decoded(Box::new(bytes), expected), encoding: expected }),
    }
}

/// The text of a stream like that of [`open`], without waiting for more bytes than a byte order mark has.
pub(super) fn text_of_stream(mut bytes: Bytes, encoding: Option<Encoding>) -> io::Result<Text> {
    let mut start = Vec::new();
    while start.len() < 4 {
        // Only these begin a mark.
        let waits = matches!(start[..], [] | [0xef | 0xff | 0xfe | 0, ..]);
        if !waits || bytes.by_ref().take(1).read_to_end(&mut start)? == 0 {
            break;
        }
    }
    let (named, n_bytes) = byte_order_mark(&start).map_or((encoding, 0), |(encoding, n)| (Some(encoding), n));
    let encoding = named.unwrap_or(Encoding::UTF_8);
    let bytes = Cursor::new(start.split_off(n_bytes)).chain(bytes);
    Ok(Text { bytes: decoded(Box::new(bytes), encoding), encoding })
}

/// Bytes of which the first were read already.
type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, at least [`MAGIC`] if there are so many, and all bytes including those.
fn peek<R: BufRead>(mut bytes: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut magic = Vec::with_capacity(MAGIC);
    bytes.by_ref().take(MAGIC as u64).read_to_end(&mut magic)?;
    let mut start = magic.clone();
    if magic.len() == MAGIC {
        // An error comes again when these bytes are read.
        start.extend_from_slice(bytes.fill_buf().unwrap_or_default());
    }
    Ok((start, Cursor::new(magic).chain(bytes)))
}

/// A file whose bytes are counted.
struct Counted {
    file: File,
    counter: BytesRead,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.counter.add(n as u64);
        Ok(n)
    }
}

/// A reader that returns only an error.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{gzip, write, zstd};
    use super::*;

    fn read_as(content: &[u8], encoding: Option<&str>) -> Result<Vec<u8>, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let encoding = encoding.map(|name| name.parse().unwrap());
        let text = open(&write(folder.path(), "a.gz", content).into(), encoding, &BytesRead::default())?;
        let mut bytes = Vec::new();
        { text.bytes }.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    fn read(content: &[u8]) -> Result<Vec<u8>, ReadError> {
        read_as(content, None)
    }

    proptest! {
        #[test]
        fn compression_in_any_number_of_parts_changes_nothing(parts in prop::collection::vec("\\PC{0,40}", 1..4)) {
            let plain = parts.concat().into_bytes();
            prop_assert_eq!(&read(&plain).unwrap(), &plain);
            for compress in [gzip, zstd] {
                let compressed: Vec<u8> = parts.iter().flat_map(compress).collect();
                prop_assert_eq!(&read(&compressed).unwrap(), &plain);
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_and_what_has_no_end_is_refused() {
        use std::os::unix::net::UnixListener;
        let folder = tempfile::tempdir().unwrap();
        let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
        let _listener = UnixListener::bind(&socket).unwrap();
        let open = |path: &Path| open(&path.into(), None, &BytesRead::default());
        for (path, kind) in
            [(socket.as_path(), "socket"), (Path::new("/dev/zero"), "device"), (folder.path(), "folder")]
        {
            let Err(ReadError::Io { source, .. }) = open(path) else { panic!("{kind}") };
            assert!(source.to_string().starts_with(&format!("it is a {kind}, expected a regular file")), "{source}");
        }
        let silent = folder.path().join("silent");
        assert!(std::process::Command::new("mkfifo").args([&fifo, &silent]).status().unwrap().success());
        let error = open_pipe(&silent, Duration::from_millis(10)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        let writer = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::write(fifo, "rain").unwrap()
        });
        assert_eq!(io::read_to_string(open(&fifo).unwrap().bytes).unwrap(), "rain");
        writer.join().unwrap();
    }

    #[test]
    fn a_frame_that_says_nothing_may_come_first() {
        let mut content = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        content.extend(zstd("rain"));
        assert_eq!(read(&content).unwrap(), b"rain");
    }

    #[test]
    fn the_byte_order_mark_is_left_out_once() {
        for content in ["\u{feff}rain".into(), gzip("\u{feff}rain"), zstd("\u{feff}rain")] {
            assert_eq!(read(&content).unwrap(), b"rain");
        }
        assert_eq!(read("\u{feff}\u{feff}".as_bytes()).unwrap(), "\u{feff}".as_bytes());
        assert_eq!(read(b"\xef\xbb").unwrap(), b"\xef\xbb");
    }

    #[test]
    fn a_byte_order_mark_names_the_encoding_whatever_else_does() {
        for content in [
            &b"\xff\xfer\0a\0"[..],
            b"\xfe\xff\0r\0a",
            b"\xff\xfe\0\0r\0\0\0a\0\0\0",
            b"\0\0\xfe\xff\0\0\0r\0\0\0a",
            b"\xef\xbb\xbfra",
        ] {
            for content in [content.to_vec(), gzip(content)] {
                assert_eq!(read(&content).unwrap(), b"ra");
                assert_eq!(read_as(&content, Some("koi8-r")).unwrap(), b"ra");
            }
            let stream = || Box::new(Cursor::new(content.to_vec()));
            let text = text_of_stream(stream(), None).unwrap();
            assert_eq!(io::read_to_string(text.bytes).unwrap(), "ra");
        }
    }

    #[test]
    fn without_a_mark_the_settings_name_the_encoding() {
        assert_eq!(read_as(b"\xe9\x80", Some("cp1252")).unwrap(), "é€".as_bytes());
        assert_eq!(read_as(b"r\0a\0i\0n\0", Some("utf-16")).unwrap(), b"rain");
        let text = text_of_stream(Box::new(Cursor::new(b"\xe9\x80".to_vec())), "cp1252".parse().ok()).unwrap();
        assert_eq!(io::read_to_string(text.bytes).unwrap(), "é€");
    }

    #[test]
    fn an_encoding_that_the_bytes_contradict_is_an_error() {
        let utf_8 = "noir crème, rosé, pâté".as_bytes();
        for (content, named, likely) in [
            (&b"r\0a\0i\0n\0"[..], None, "utf-16le"),
            (b"\0\0\0r\0\0\0a", None, "utf-32be"),
            (b"\0r\0a\0i\0n", Some("utf-16"), "utf-16be"),
            (utf_8, Some("windows-1252"), "utf-8"),
            (utf_8, Some("gb18030"), "utf-8"),
        ] {
            let error = read_as(content, named).map(drop).unwrap_err();
            let expected = format!(
                "a.gz` looks like {likely}, expected {}, or a byte order mark: set `encoding` to `{likely}`",
                named.map_or("utf-8".to_owned(), |name| name.parse::<Encoding>().unwrap().to_string())
            );
            assert!(error.to_string().ends_with(&expected) && !error.is_bad_row(), "{error}");
        }
        assert_eq!(read_as(utf_8, None).unwrap(), utf_8);
    }

    #[test]
    fn what_is_no_text_is_named() {
        let cases: [(&[u8], &str); 6] = [
            (
                b"PAR1\x15\x04",
                "a Parquet file, expected text, plain or compressed with gzip, zstd, bzip2, xz or Brotli",
            ),
            (b"PK\x03\x04\x14\0", "a zip archive"),
            (b"ARROW1\0\0", "an Arrow file"),
            (b"\xff\xff\xff\xffabcd", "an Arrow stream"),
            (b"%PDF-1.7\n", "a PDF document"),
            (&[b"a".repeat(257), b"ustar\0".to_vec()].concat(), "a tar archive"),
        ];
        for (content, found) in cases {
            for content in [content.to_vec(), gzip(content)] {
                let error = read(&content).unwrap_err();
                assert!(error.to_string().contains(&format!("a.gz` is {found}")), "{error}");
                assert!(!error.is_bad_row());
            }
        }
        let error = read(&gzip(gzip("rain"))).unwrap_err().to_string();
        assert!(error.ends_with("a.gz` is compressed twice, with gzip, expected text, plain or compressed with gzip, zstd, bzip2, xz or Brotli, decompress it once"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_cannot_be_skipped() {
        let Err(error) = open(&Path::new("missing/a.txt").into(), None, &BytesRead::default()) else { panic!() };
        assert_eq!(error.to_string(), "cannot read `missing/a.txt`");
        assert!(!error.is_bad_row());
    }
}
