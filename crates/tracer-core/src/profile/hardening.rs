//! Settings beside the profiles that a recording can speak for: no new privileges, not as root, a root
//! file system that is read only.

use std::collections::BTreeSet;

use super::{capabilities::Capabilities, seccomp::ExecPolicy};
use crate::recording::{
    BlindSpot, FileAccess, FilePath, FileUse, InstanceKind, ObservationKind, ObservedAccess,
    Recording, Security,
};

/// Whether a setting may be made, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Whether everything that was recorded works with it.
    pub holds: bool,
    /// Why, or why not. It may hold a workload's words: escape it.
    pub reason: String,
}

impl Setting {
    fn holds(reason: impl Into<String>) -> Self {
        Self {
            holds: true,
            reason: reason.into(),
        }
    }

    fn fails(reason: impl Into<String>) -> Self {
        Self {
            holds: false,
            reason: reason.into(),
        }
    }
}

/// What a recording supports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// `allowPrivilegeEscalation: false`, `no-new-privileges`.
    pub no_new_privileges: Setting,
    /// `runAsNonRoot`.
    pub non_root: Setting,
    /// `readOnlyRootFilesystem`, `--read-only`.
    pub read_only_root: Setting,
    /// Whether the recording is complete.
    pub complete: bool,
    /// Whether programs are executed under AppArmor profiles of their own, which the kernel refuses where
    /// no_new_privs is set.
    pub children: bool,
    /// What a manifest may contradict.
    pub recorded: RecordedContainer,
}

/// What is known of the containers of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedContainer {
    /// Their images, as they were asked for.
    pub images: BTreeSet<String>,
    /// Whether they had a user namespace; `None` when that is not known, or differs.
    pub user_namespace: Option<bool>,
    /// The directories in which files were changed, outside of /dev, /proc and /sys.
    pub changed_directories: BTreeSet<FilePath>,
}

/// Most directories that are named.
const MAX_NAMED: usize = 12;

impl Hardening {
    /// What a recording supports. `capabilities`: those that it needs, if they were observed.
    ///
    /// ```
    /// use tracer_core::profile::{hardening::Hardening, seccomp::ExecPolicy};
    /// # let recording = tracer_core::profile::apparmor::fixture::web();
    ///
    /// // The workload writes to /run and elsewhere.
    /// let hardening = Hardening::from_recording(&recording, ExecPolicy::default(), None);
    /// assert!(!hardening.read_only_root.holds);
    /// assert!(hardening.read_only_root.reason.contains("/run/"));
    /// ```
    pub fn from_recording(
        recording: &Recording,
        exec: ExecPolicy,
        capabilities: Option<&Capabilities>,
    ) -> Self {
        let kinds = recording.kinds();
        let containers = kinds.iter().filter_map(|kind| kind.container.as_ref());
        let images = containers.filter_map(|it| it.image.clone()).collect();
        let security: Option<Vec<Security>> = kinds.into_iter().map(security).collect();
        let security = security.filter(|all| !all.is_empty());
        Self {
            no_new_privileges: no_new_privileges(
                security.as_deref(),
                capabilities,
                &gaining_programs(recording, exec),
            ),
            non_root: non_root(security.as_deref()),
            read_only_root: read_only_root(recording, exec, security.as_deref()),
            complete: recording.coverage.complete,
            children: false,
            recorded: RecordedContainer {
                images,
                user_namespace: user_namespace(security.as_deref()),
                changed_directories: changed_directories(recording, exec),
            },
        }
    }

    /// The same for an AppArmor profile with child profiles.
    pub fn with_children(self) -> Self {
        Self {
            no_new_privileges: Setting::fails(
                "programs change to AppArmor profiles of their own (--children), which the kernel refuses under it",
            ),
            children: true,
            ..self
        }
    }
}

fn security(kind: InstanceKind) -> Option<Security> {
    kind.container?.security
}

const UNKNOWN: &str = "the recording does not contain the container's settings";

fn no_new_privileges(
    security: Option<&[Security]>,
    capabilities: Option<&Capabilities>,
    gaining: &BTreeSet<&FilePath>,
) -> Setting {
    if !gaining.is_empty() {
        let named: Vec<_> = gaining
            .iter()
            .take(MAX_NAMED)
            .map(ToString::to_string)
            .collect();
        return Setting::fails(format!(
            "executing {} gave a process another user or group, or capabilities, which the kernel does not under it",
            named.join(", ")
        ));
    }
    let Some(security) = security else {
        return Setting::fails(UNKNOWN);
    };
    if security.iter().all(|it| it.no_new_privileges == Some(true)) {
        return Setting::holds("it was recorded with it");
    }
    let as_user = security.iter().all(|it| it.uid.is_some_and(|uid| uid != 0));
    let used_none = capabilities.is_some_and(|it| it.iter().next().is_none());
    if as_user && used_none {
        // A set-user-ID program changes the user without a capability, and what only that user may do
        // needs none.
        return Setting::fails(
            "the recording does not say whether a set-user-ID program is needed",
        );
    }
    Setting::fails(
        "it was recorded without, and may have gained privileges from a set-user-id program or from file capabilities",
    )
}

/// The programs that gave a process more than it had.
fn gaining_programs(recording: &Recording, exec: ExecPolicy) -> BTreeSet<&FilePath> {
    recording
        .files
        .iter()
        .filter(|seen| seen.what.gains_privileges)
        .filter(|seen| seen.evidence.iter().any(|who| exec.counts(who.phase)))
        .map(|seen| &seen.what.path)
        .collect()
}

fn non_root(security: Option<&[Security]>) -> Setting {
    let Some(security) = security else {
        return Setting::fails(UNKNOWN);
    };
    let users: BTreeSet<_> = security.iter().map(|it| it.uid).collect();
    if users.contains(&None) {
        return Setting::fails("the recording does not say as which user it was started");
    }
    let users: Vec<_> = users.into_iter().flatten().collect();
    if users.contains(&0) {
        return Setting::fails("it was started as root");
    }
    let users: Vec<_> = users.iter().map(u32::to_string).collect();
    Setting::holds(format!("it was started as user {}", users.join(", ")))
}

fn read_only_root(
    recording: &Recording,
    exec: ExecPolicy,
    security: Option<&[Security]>,
) -> Setting {
    if security.is_some_and(|all| all.iter().all(|it| it.read_only_root == Some(true))) {
        return Setting::holds("it was recorded with it");
    }
    if !recording
        .providers
        .iter()
        .any(|it| it.kind == ObservationKind::Files)
    {
        return Setting::fails("files were not observed");
    }
    let written = changed_directories(recording, exec);
    if !written.is_empty() {
        let named = some_of(&written);
        return Setting::fails(format!(
            "it changes files in {named}; mount a volume at each, then set it"
        ));
    }
    let asked = files(recording, exec, |access| {
        access == FileAccess::CheckWritable
    });
    let asked: BTreeSet<_> = asked.map(|seen| seen.what.path.clone()).collect();
    if !asked.is_empty() {
        let named = some_of(&asked);
        return Setting::fails(format!(
            "it asked whether it may write to {named} (access with W_OK) and the answer was yes, which a read-only root makes no; mount a volume at each, then set it"
        ));
    }
    let unchanged = "it changed no file outside of /dev, /proc and /sys";
    let mut providers = recording.providers.iter();
    if providers.any(|it| it.cannot_see.contains(&BlindSpot::WriteChecks)) {
        return Setting::holds(format!(
            "{unchanged}; whether it asks if it may write (access with W_OK) was not recorded: try it"
        ));
    }
    Setting::holds(unchanged)
}

/// The first of some paths, in a sentence.
fn some_of(paths: &BTreeSet<FilePath>) -> String {
    let first = paths.iter().take(MAX_NAMED);
    let mut named: Vec<_> = first.map(FilePath::to_string).collect();
    if paths.len() > MAX_NAMED {
        named.push(format!("{} more", paths.len() - MAX_NAMED));
    }
    named.join(", ")
}

/// What a workload did with files of its root.
fn files(
    recording: &Recording,
    exec: ExecPolicy,
    is_meant: impl Fn(FileAccess) -> bool,
) -> impl Iterator<Item = &ObservedAccess<FileUse>> {
    recording
        .files
        .iter()
        .filter(move |seen| seen.evidence.iter().any(|who| exec.counts(who.phase)))
        .filter(move |seen| is_meant(seen.what.access) && !is_elsewhere(&seen.what.path))
}

/// The directories in which a workload changed files.
fn changed_directories(recording: &Recording, exec: ExecPolicy) -> BTreeSet<FilePath> {
    files(recording, exec, changes)
        .map(|seen| {
            let path = &seen.what.path;
            if seen.what.more {
                path.clone()
            } else {
                path.parent().unwrap_or_else(|| path.clone())
            }
        })
        .collect()
}

/// Whether all of them had a user namespace, or none.
fn user_namespace(security: Option<&[Security]>) -> Option<bool> {
    let settings: BTreeSet<_> = security?.iter().map(|it| it.user_namespace).collect();
    settings.first().copied().filter(|_| settings.len() == 1)
}

fn changes(access: FileAccess) -> bool {
    match access {
        FileAccess::Write
        | FileAccess::Append
        | FileAccess::Create
        | FileAccess::MakeDirectory
        | FileAccess::Symlink
        | FileAccess::Link
        | FileAccess::Remove
        | FileAccess::RemoveDirectory
        | FileAccess::RenameFrom
        | FileAccess::RenameTo
        | FileAccess::ChangeMode
        | FileAccess::ChangeOwner
        | FileAccess::Truncate => true,
        FileAccess::Read
        | FileAccess::Lock
        | FileAccess::LockExclusive
        | FileAccess::Execute
        | FileAccess::MapExecutable
        | FileAccess::Connect
        | FileAccess::CheckWritable => false,
    }
}

/// Whether a path is in a file system of its own in every container, or is none.
fn is_elsewhere(path: &FilePath) -> bool {
    let bytes = path.as_bytes();
    let places: [&[u8]; 3] = [b"/dev/", b"/proc/", b"/sys/"];
    !bytes.starts_with(b"/") || places.iter().any(|place| bytes.starts_with(place))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        profile::apparmor::fixture,
        recording::{Container, Phase},
    };

    /// The recording of a container that was set up like this.
    pub(crate) fn in_container(mut recording: Recording, security: Security) -> Recording {
        for instance in &mut recording.instances {
            instance.container = Some(Container {
                engine: "containerd".to_owned(),
                runtime: Some(syscalls::OciRuntime::Runc),
                id: "0123".to_owned(),
                name: Some("web".to_owned()),
                pod: Some("shop/cart-7d9c-x2x4z".to_owned()),
                owner: Some("Deployment/cart".to_owned()),
                role: Some("main".to_owned()),
                labels: [].into(),
                image: Some("registry.example/cart:1.2".to_owned()),
                image_digest: None,
                security: Some(security.clone()),
                warnings: Vec::new(),
                unresolved: Vec::new(),
            });
        }
        recording
    }

    fn from_recording(recording: &Recording) -> Hardening {
        Hardening::from_recording(recording, ExecPolicy::Probes, None)
    }

    #[test]
    fn command_reveals_only_its_files() {
        let hardening = from_recording(&fixture::empty());
        assert!(!hardening.non_root.holds);
        assert!(!hardening.no_new_privileges.holds);
        assert!(hardening.read_only_root.holds);
        let hardening = from_recording(&fixture::web());
        assert!(hardening.read_only_root.reason.contains("/run/, "));
    }

    #[test]
    fn container_settings_are_used() {
        let user = Security {
            uid: Some(101),
            no_new_privileges: Some(true),
            ..Security::default()
        };
        let hardening = from_recording(&in_container(fixture::empty(), user));
        assert!(hardening.non_root.holds && hardening.no_new_privileges.holds);
        let root = Security {
            uid: Some(0),
            read_only_root: Some(true),
            ..Security::default()
        };
        let hardening = from_recording(&in_container(fixture::web(), root));
        assert!(!hardening.non_root.holds && !hardening.no_new_privileges.holds);
        assert!(hardening.read_only_root.holds);
    }

    #[test]
    fn privileges_may_come_from_a_set_user_id_program() {
        let user = Security {
            uid: Some(1000),
            no_new_privileges: Some(false),
            ..Security::default()
        };
        let mut recording = in_container(fixture::empty(), user);
        recording.providers.push(crate::recording::Provider {
            kind: ObservationKind::Capabilities,
            provider: crate::recording::Mechanism::SysEnterAndExit,
            cannot_see: Vec::new(),
        });
        let options = crate::profile::apparmor::Options::default();
        let all = std::slice::from_ref(&recording);
        let profile = crate::profile::apparmor::AppArmorProfile::from_recordings(all, &options);
        let none = Capabilities::needed_by(&profile.unwrap()).unwrap();
        assert_eq!(none.iter().count(), 0);
        let hardening = Hardening::from_recording(&recording, ExecPolicy::Probes, Some(&none));
        let setting = hardening.no_new_privileges;
        assert!(!setting.holds);
        assert_eq!(
            setting.reason,
            "the recording does not say whether a set-user-ID program is needed"
        );
    }

    #[test]
    fn root_is_not_read_only_where_the_workload_was_told_that_it_may_write() {
        let mut recording = in_container(fixture::empty(), Security::default());
        recording.providers.push(crate::recording::Provider {
            kind: ObservationKind::Files,
            provider: crate::recording::Mechanism::SysEnterAndExit,
            cannot_see: Vec::new(),
        });
        let check = |path: &[u8]| {
            let file = fixture::file(path, FileAccess::CheckWritable);
            fixture::seen(file, Phase::Run, "/bin/web")
        };
        recording.files = vec![check(b"/dev/null"), check(b"/var/lib/web")];
        let setting = from_recording(&recording).read_only_root;
        assert!(!setting.holds);
        assert!(
            setting.reason.contains("write to /var/lib/web ("),
            "{}",
            setting.reason
        );
        recording.files.pop();
        assert!(from_recording(&recording).read_only_root.holds);
        recording.files.clear();
        let files = recording.providers.last_mut().unwrap();
        files.cannot_see.push(BlindSpot::WriteChecks);
        let setting = from_recording(&recording).read_only_root;
        assert!(setting.holds && setting.reason.ends_with("try it"));
    }

    #[test]
    fn program_that_gains_privileges_is_named() {
        let mut recording = in_container(
            fixture::empty(),
            Security {
                uid: Some(1000),
                ..Security::default()
            },
        );
        let mut file = fixture::file(b"/usr/bin/sudo", FileAccess::Execute);
        file.gains_privileges = true;
        recording.files = vec![fixture::seen(file, Phase::Run, "/bin/sh")];
        let setting = from_recording(&recording).no_new_privileges;
        assert!(!setting.holds);
        assert!(setting.reason.starts_with("executing /usr/bin/sudo gave"));
        // What only the runtime executed does not count.
        recording.files[0].evidence[0].phase = Phase::Setup;
        let setting = from_recording(&recording).no_new_privileges;
        assert!(!setting.reason.contains("sudo"));
    }

    #[test]
    fn runtime_only_writes_are_ignored() {
        let mut recording = fixture::empty();
        let file = fixture::file(b"/etc/hostname", FileAccess::Write);
        recording.files = vec![fixture::seen(file, Phase::Setup, "/usr/bin/runc")];
        assert!(from_recording(&recording).read_only_root.holds);
    }
}
