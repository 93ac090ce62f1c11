//! `--user`: who the command runs as.

use std::{ffi::CString, path::PathBuf, process::Command};

use nix::unistd::{Gid, Uid, User, getgrouplist};

use super::RecordError;

/// A user as the kernel knows one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
    /// Its name, home directory and shell; `None` for a uid that has no entry in the user database.
    pub(super) account: Option<(String, PathBuf, PathBuf)>,
}

impl RunAs {
    /// Gives a command the HOME, USER, LOGNAME and SHELL of this user, as login(1) does. Without an entry in the user
    /// database the home is `/`, as for container runtimes, and there is no name.
    pub(super) fn environment(&self, command: &mut Command) {
        match &self.account {
            Some((name, home, shell)) => {
                command
                    .env("HOME", home)
                    .env("USER", name)
                    .env("LOGNAME", name)
                    .env("SHELL", shell);
            }
            None => {
                command
                    .env("HOME", "/")
                    .env_remove("USER")
                    .env_remove("LOGNAME")
                    .env_remove("SHELL");
            }
        }
    }

    /// Resolves a name, a uid, or uid:gid. A name brings the groups of that user; numbers bring no
    /// more than they say.
    ///
    /// # Errors
    /// [`RecordError::User`].
    pub fn resolve(given: &str) -> Result<Self, RecordError> {
        let unknown = || RecordError::User(given.to_owned());
        if let Some((uid, gid)) = given.split_once(':') {
            let gid = Gid::from_raw(gid.parse().map_err(|_| unknown())?);
            let uid = Uid::from_raw(uid.parse().map_err(|_| unknown())?);
            return Ok(Self {
                uid,
                gid,
                groups: vec![gid],
                account: User::from_uid(uid).ok().flatten().map(account),
            });
        }
        let user = match given.parse() {
            Ok(uid) => User::from_uid(Uid::from_raw(uid)),
            Err(_) => User::from_name(given),
        };
        match (user.ok().flatten(), given.parse()) {
            (Some(user), _) => {
                let name = CString::new(user.name.clone()).map_err(|_| unknown())?;
                Ok(Self {
                    uid: user.uid,
                    gid: user.gid,
                    groups: getgrouplist(&name, user.gid).map_err(|_| unknown())?,
                    account: Some(account(user)),
                })
            }
            // A uid that no name belongs to, as containers often use.
            (None, Ok(uid)) => Ok(Self {
                uid: Uid::from_raw(uid),
                gid: Gid::from_raw(uid),
                groups: vec![Gid::from_raw(uid)],
                account: None,
            }),
            (None, Err(_)) => Err(unknown()),
        }
    }
}

fn account(user: User) -> (String, PathBuf, PathBuf) {
    (user.name, user.dir, user.shell)
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
        let root = RunAs::resolve("0:7").unwrap();
        let mut command = Command::new("true");
        root.environment(&mut command);
        let set: Vec<_> = command.get_envs().collect();
        let value = |name: &str| set.iter().find(|it| it.0 == name).and_then(|it| it.1);
        assert_eq!(value("HOME"), Some("/root".as_ref()));
        assert_eq!(value("LOGNAME"), Some("root".as_ref()));
        assert!(value("SHELL").is_some_and(|shell| !shell.is_empty()));
        for wrong in ["", "no such user", "1:", ":1", "-1"] {
            assert!(RunAs::resolve(wrong).is_err(), "{wrong:?}");
        }
    }
}
