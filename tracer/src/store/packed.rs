//! Recordings that are kept compressed (gzip, RFC 1952), with a line of text in front that is read without the rest.

use std::io::{self, Read, Write as _};

use flate2::{Compression, GzBuilder, read::GzDecoder};

/// What every compressed file begins with (RFC 1952, 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How long the comment of a file that somebody else wrote may be.
const MAX_COMMENT: usize = 64 << 10;

/// Compresses `content`. The same input gives the same bytes. `comment` must have no zero byte.
pub(super) fn pack(content: &[u8], comment: &str) -> io::Result<Vec<u8>> {
    let mut packed = GzBuilder::new()
        .mtime(0)
        .comment(comment)
        .write(Vec::new(), Compression::default());
    packed.write_all(content)?;
    packed.finish()
}

/// What a file holds: itself, when it is not compressed. Not more than `limit` bytes and one.
///
/// # Errors
/// When it is damaged.
pub fn unpack(bytes: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(&MAGIC) {
        return Ok(bytes);
    }
    let mut content = Vec::new();
    GzDecoder::new(bytes.as_slice())
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    Ok(content)
}

/// The comment of a compressed file.
pub(super) fn comment(file: impl Read) -> Option<Vec<u8>> {
    let mut decoder = GzDecoder::new(file.take(MAX_COMMENT as u64));
    // The header is read with the first byte.
    let _ = decoder.read(&mut [0]);
    decoder.header()?.comment().map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_bounded() {
        let text = vec![b'a'; 100_000];
        let packed = pack(&text, "{\"cluster\":\"ü\"}").unwrap();
        assert!(packed.len() < 1_000);
        assert_eq!(pack(&text, "{\"cluster\":\"ü\"}").unwrap(), packed);
        assert_eq!(unpack(packed.clone(), 100_000).unwrap(), text);
        assert_eq!(unpack(packed.clone(), 10).unwrap().len(), 11);
        let comment = comment(packed.as_slice()).unwrap();
        assert_eq!(comment, "{\"cluster\":\"ü\"}".as_bytes());
        assert!(unpack(packed[..packed.len() - 9].to_vec(), 100_000).is_err());
        assert_eq!(unpack(b"{}".to_vec(), 10).unwrap(), b"{}");
        assert_eq!(super::comment(b"{}".as_slice()), None);
    }
}
