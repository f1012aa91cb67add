//! The bytes of a file, decompressed as they are read. The compression is detected from the first bytes, not the name.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use burnformer_core::files::open_regular;
use flate2::bufread::MultiGzDecoder;

use super::ReadError;
use crate::source::BytesRead;

/// Bytes of a file, decompressed, without the byte order mark.
pub(super) type Bytes = Box<dyn BufRead + Send>;

/// Number of bytes read and decompressed at a time.
const BUFFER: usize = 64 << 10;
/// Time that a pipe is given for somebody to write to it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Number of bytes that identify the kind of a file.
const MAGIC: usize = 8;

/// Opens the text file `path`. What is read of the file, compressed as it may be, is added to `counter`.
pub(super) fn open(path: &Arc<Path>, counter: &BytesRead) -> Result<Bytes, ReadError> {
    let fail = |source| ReadError::Io { path: path.clone(), source };
    let file = Counted { file: open_file(path).map_err(fail)?, counter: counter.clone() };
    let (magic, file) = peek(BufReader::with_capacity(BUFFER, file)).map_err(fail)?;
    match &magic[..] {
        [0x1f, 0x8b, ..] => text(path, BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file))),
        // The second is a frame to be skipped, which some parallel compressors begin with.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(fail)?;
            text(path, BufReader::with_capacity(BUFFER, decoder))
        }
        _ => text(path, file),
    }
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

/// Passes on `bytes` if they can be text in UTF-8, without the byte order mark.
fn text(path: &Arc<Path>, bytes: impl BufRead + Send + 'static) -> Result<Bytes, ReadError> {
    // Bytes that cannot be decompressed are left to those who read on: they know the line.
    let (magic, mut bytes) = match peek(bytes) {
        Ok(peeked) => peeked,
        Err(error) => return Ok(Box::new(BufReader::new(Failing(Some(error))))),
    };
    let (found, remedy) = match &magic[..] {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("UTF-16", "convert it, for instance with `iconv -f utf-16 -t utf-8`"),
        [b'P', b'A', b'R', b'1', ..] => ("a Parquet file", "set the format `parquet`"),
        [b'P', b'K', 3, 4, ..] => ("a zip archive", "unpack it"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("compressed with xz", "decompress it"),
        [b'B', b'Z', b'h', _, 0x31, 0x41, 0x59, 0x26] => ("compressed with bzip2", "decompress it"),
        [0xef, 0xbb, 0xbf, ..] => {
            bytes.consume(3);
            return Ok(Box::new(bytes));
        }
        _ => return Ok(Box::new(bytes)),
    };
    Err(ReadError::WrongKind {
        path: path.clone(),
        found,
        expected: "text in UTF-8, plain or compressed with gzip or zstd",
        remedy,
    })
}

/// Bytes of which the first were read already.
type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, at most [`MAGIC`], and all bytes including those.
fn peek<R: BufRead>(mut bytes: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut magic = Vec::with_capacity(MAGIC);
    bytes.by_ref().take(MAGIC as u64).read_to_end(&mut magic)?;
    Ok((magic.clone(), Cursor::new(magic).chain(bytes)))
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

    fn read(content: &[u8]) -> Result<Vec<u8>, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        open(&write(folder.path(), "a.gz", content), &BytesRead::default())?.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
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
        for (path, kind) in
            [(socket.as_path(), "socket"), (Path::new("/dev/zero"), "device"), (folder.path(), "folder")]
        {
            let Err(ReadError::Io { source, .. }) = open(&path.into(), &BytesRead::default()) else { panic!("{kind}") };
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
        let bytes = open(&fifo.as_path().into(), &BytesRead::default()).unwrap();
        assert_eq!(io::read_to_string(bytes).unwrap(), "rain");
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
    fn what_is_no_text_is_named() {
        let cases: [(&[u8], &str); 6] = [
            (b"\xff\xfer\0a\0", "UTF-16, expected text in UTF-8, plain or compressed with gzip or zstd, convert it"),
            (b"\xfe\xff\0r\0a", "UTF-16"),
            (b"PAR1\x15\x04", "a Parquet file"),
            (b"PK\x03\x04\x14\0", "a zip archive"),
            (b"\xfd7zXZ\0\0\x04", "compressed with xz"),
            (b"BZh91AY&SY", "compressed with bzip2"),
        ];
        for (content, found) in cases {
            for content in [content.to_vec(), gzip(content)] {
                let error = read(&content).unwrap_err();
                assert!(error.to_string().contains(&format!("a.gz` is {found}")), "{error}");
                assert!(!error.is_bad_row());
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_cannot_be_skipped() {
        let Err(error) = open(&Path::new("missing/a.txt").into(), &BytesRead::default()) else { panic!() };
        assert_eq!(error.to_string(), "cannot read `missing/a.txt`");
        assert!(!error.is_bad_row());
    }
}
