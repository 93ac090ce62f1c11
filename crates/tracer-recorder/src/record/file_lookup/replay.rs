//! The answers of a file system, kept in the order of the questions, and given again in that order.

use std::{cell::RefCell, collections::VecDeque};

use crate::record::{
    file_capabilities::FileCapabilities,
    process_paths::put_together,
    system::{InstanceProcess, Processes},
};
use tracer_core::recording::FilePath;

/// An answer: a path, or that there is none; of a yes or no, an empty path is yes.
pub(in crate::record) type Answer = Option<Vec<u8>>;

/// Asks another one, and keeps what it answers.
pub(super) struct Keeping<'a> {
    files: &'a dyn Processes,
    answers: RefCell<Vec<Answer>>,
}

impl<'a> Keeping<'a> {
    pub(super) fn new(files: &'a dyn Processes) -> Self {
        Self {
            files,
            answers: RefCell::default(),
        }
    }

    /// All answers so far.
    pub(super) fn into_answers(self) -> Vec<Answer> {
        self.answers.into_inner()
    }

    fn keep(&self, path: Option<FilePath>) -> Option<FilePath> {
        let answer = path.as_ref().map(|path| path.as_bytes().to_vec());
        self.answers.borrow_mut().push(answer);
        path
    }
}

impl Processes for Keeping<'_> {
    fn executable(&self, pid: i32) -> Option<Vec<u8>> {
        self.files.executable(pid)
    }

    fn is_under_filter(&self, pid: i32) -> bool {
        self.files.is_under_filter(pid)
    }

    fn has_initial_pids(&self) -> bool {
        self.files.has_initial_pids()
    }

    fn resolve(
        &self,
        process: InstanceProcess<'_>,
        text: &[u8],
        start: &[u8],
        follow_last: bool,
    ) -> FilePath {
        let path = self.files.resolve(process, text, start, follow_last);
        self.keep(Some(path.clone()));
        path
    }

    fn find(&self, process: InstanceProcess<'_>, text: &[u8], start: &[u8]) -> Option<FilePath> {
        self.keep(self.files.find(process, text, start))
    }

    fn made_socket(&self, process: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        self.keep(self.files.made_socket(process, path))
    }

    fn known_socket(&self, process: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        self.keep(self.files.known_socket(process, path))
    }

    fn interpreter(&self, process: InstanceProcess<'_>, program: &[u8]) -> Option<FilePath> {
        self.keep(self.files.interpreter(process, program))
    }

    fn file_capabilities(
        &self,
        process: InstanceProcess<'_>,
        program: &[u8],
    ) -> Option<FileCapabilities> {
        let capabilities = self.files.file_capabilities(process, program);
        let answer = capabilities.map(|it| {
            let mut bytes = vec![u8::from(it.effective)];
            bytes.extend_from_slice(&it.permitted.to_ne_bytes());
            bytes
        });
        self.answers.borrow_mut().push(answer);
        capabilities
    }

    fn needs_device(&self, filesystem: &str) -> bool {
        let is_needed = self.files.needs_device(filesystem);
        self.keep(is_needed.then(|| FilePath::new(*b"")));
        is_needed
    }
}

/// Gives the answers again. Where there are none, names stand for themselves: that leaves links unfollowed,
/// and is counted by whoever asks.
pub(in crate::record) struct Replay(RefCell<VecDeque<Answer>>);

impl Replay {
    pub(in crate::record) fn new(answers: Vec<Answer>) -> Self {
        Self(RefCell::new(answers.into()))
    }

    fn next(&self) -> Option<Option<FilePath>> {
        let answer = self.0.borrow_mut().pop_front()?;
        Some(answer.map(FilePath::new))
    }

    /// The answer, or the name itself when it is whole.
    fn next_or(&self, path: &[u8]) -> Option<FilePath> {
        self.next()
            .unwrap_or_else(|| path.starts_with(b"/").then(|| as_given(path, b"/")))
    }
}

fn as_given(text: &[u8], start: &[u8]) -> FilePath {
    FilePath::new(put_together(start, text))
}

impl Processes for Replay {
    fn executable(&self, _: i32) -> Option<Vec<u8>> {
        None
    }

    fn is_under_filter(&self, _: i32) -> bool {
        false
    }

    fn has_initial_pids(&self) -> bool {
        false
    }

    fn resolve(&self, _: InstanceProcess<'_>, text: &[u8], start: &[u8], _: bool) -> FilePath {
        self.next()
            .flatten()
            .unwrap_or_else(|| as_given(text, start))
    }

    fn find(&self, _: InstanceProcess<'_>, _: &[u8], _: &[u8]) -> Option<FilePath> {
        self.next().flatten()
    }

    fn made_socket(&self, _: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        self.next_or(path)
    }

    fn known_socket(&self, _: InstanceProcess<'_>, path: &[u8]) -> Option<FilePath> {
        self.next_or(path)
    }

    fn interpreter(&self, _: InstanceProcess<'_>, _: &[u8]) -> Option<FilePath> {
        self.next().flatten()
    }

    fn file_capabilities(&self, _: InstanceProcess<'_>, _: &[u8]) -> Option<FileCapabilities> {
        let answer = self.0.borrow_mut().pop_front()??;
        let (effective, permitted) = answer.split_first()?;
        Some(FileCapabilities {
            effective: *effective != 0,
            permitted: u64::from_ne_bytes(*permitted.first_chunk()?),
        })
    }

    fn needs_device(&self, _: &str) -> bool {
        self.next().flatten().is_some()
    }
}
