//! `--user`: who the command runs as.

use std::ffi::CString;

use nix::unistd::{Gid, Uid, User, getgrouplist};

use super::RecordError;

/// A user as the kernel knows one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
}

impl RunAs {
    /// Resolves a name, a uid, or uid:gid. A name brings the groups of that user; numbers bring no
    /// more than they say.
    ///
    /// # Errors
    /// [`RecordError::User`].
    pub fn resolve(given: &str) -> Result<Self, RecordError> {
        let unknown = || RecordError::User(given.to_owned());
        if let Some((uid, gid)) = given.split_once(':') {
            let gid = Gid::from_raw(gid.parse().map_err(|_| unknown())?);
            return Ok(Self {
                uid: Uid::from_raw(uid.parse().map_err(|_| unknown())?),
                gid,
                groups: vec![gid],
            });
        }
        let user = match given.parse() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(given),
        };
        match (user.ok().flatten(), given.parse()) {
            (Some(user), _) => {
                let name = CString::new(user.name).map_err(|_| unknown())?;
                Ok(Self {
                    uid: user.uid,
                    gid: user.gid,
                    groups: getgrouplist(&name, user.gid).map_err(|_| unknown())?,
                })
            }
            // A uid that no name belongs to, as containers often use.
            (None, Ok(uid)) => Ok(Self {
                uid: Uid::from_raw(uid),
                gid: Gid::from_raw(uid),
                groups: vec![Gid::from_raw(uid)],
            }),
            (None, Err(_)) => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_user_names_and_numbers() {
        assert_eq!(RunAs::resolve("root").unwrap().uid.as_raw(), 0);
        assert_eq!(RunAs::resolve("0").unwrap().gid.as_raw(), 0);
        let pair = RunAs::resolve("1234:5678").unwrap();
        assert_eq!((pair.uid.as_raw(), pair.gid.as_raw()), (1234, 5678));
        assert_eq!(RunAs::resolve("4000000").unwrap().uid.as_raw(), 4_000_000);
        for wrong in ["", "no such user", "1:", ":1", "-1"] {
            assert!(RunAs::resolve(wrong).is_err(), "{wrong:?}");
        }
    }
}
