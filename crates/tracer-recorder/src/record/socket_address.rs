//! The text of a socket's address.

use tracer_core::recording::FilePath;

/// The text of a socket's address; `None` when there is none, or it has no text.
pub(super) fn address(bytes: &[u8]) -> Option<FilePath> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let rest = bytes.get(2..)?;
    let text = match i32::from(family) {
        libc::AF_UNIX => match rest {
            [] => return None,
            // Abstract: all of its bytes count.
            [0, name @ ..] => [b"@", name].concat(),
            _ => {
                let path = rest.split(|byte| *byte == 0).next()?;
                return (!path.is_empty()).then(|| FilePath::new(path));
            }
        },
        libc::AF_INET => {
            let port = u16::from_be_bytes(*rest.first_chunk()?);
            let ip: [u8; 4] = *rest.get(2..)?.first_chunk()?;
            format!("{}:{port}", std::net::Ipv4Addr::from(ip)).into_bytes()
        }
        libc::AF_INET6 => {
            let port = u16::from_be_bytes(*rest.first_chunk()?);
            let ip: [u8; 16] = *rest.get(6..)?.first_chunk()?;
            format!("[{}]:{port}", std::net::Ipv6Addr::from(ip)).into_bytes()
        }
        _ => return None,
    };
    Some(FilePath::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_socket_addresses() {
        let text = |bytes: &[u8]| address(bytes).map(|text| text.to_string());
        assert_eq!(
            text(b"\x02\0\0\x50\x7f\0\0\x01").as_deref(),
            Some("127.0.0.1:80")
        );
        assert_eq!(text(b"\x01\0/run/x\0junk").as_deref(), Some("/run/x"));
        assert_eq!(text(b"\x01\0\0name").as_deref(), Some("@name"));
        assert_eq!(text(b"\x01\0"), None);
        assert_eq!(text(b""), None);
    }
}
