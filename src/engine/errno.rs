//! Node's names for the errors of the operating system, such as `EMFILE`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::sync::OnceLock;

/// The platform's names by number, as JavaScript has them. The same in each environment of a process.
static NAMES: OnceLock<HashMap<i32, String>> = OnceLock::new();

/// Takes the platform's names.
pub fn know_names(names: HashMap<i32, String>) {
    let _ = NAMES.set(names);
}

pub(crate) fn code_of(error: &io::Error) -> Cow<'static, str> {
    let name = error.raw_os_error().and_then(|number| NAMES.get()?.get(&number));
    name.map_or_else(|| Cow::Borrowed(by_kind(error)), |name| Cow::Borrowed(name.as_str()))
}

/// Of an error that the standard library has made itself, or of a number without a name, by the library's portable
/// kinds.
fn by_kind(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::ConnectionReset => "ECONNRESET",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::BrokenPipe => "EPIPE",
        Kind::NotFound => "ENOENT",
        Kind::PermissionDenied => "EACCES",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::NotConnected => "ENOTCONN",
        Kind::InvalidInput => "EINVAL",
        _ => "EIO",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_platform_and_else_from_the_kind() {
        know_names(HashMap::from([(24, "EMFILE".to_owned())]));
        assert_eq!(code_of(&io::Error::from_raw_os_error(24)), "EMFILE");
        assert_eq!(code_of(&io::ErrorKind::TimedOut.into()), "ETIMEDOUT");
        assert_eq!(code_of(&io::Error::from_raw_os_error(9_999_999)), "EIO");
    }
}
