//! The questions that wait for an answer: each instance has its share of the room, and its turn.

use std::collections::{BTreeMap, VecDeque};

use crate::{bpf::KernelAccess, cgroup::Cgroup, record::rows::RowMeaning};

/// Bytes that the questions of one instance may take.
const SHARE: usize = 8 << 20;

/// Bytes that all questions together may take.
const MOST: usize = 24 << 20;

/// An access that names files.
#[derive(Clone, Debug)]
pub(in crate::record) struct Question {
    /// What its row meant when it came; the row may be another's by the time of the answer.
    pub(in crate::record) row: RowMeaning,
    pub(in crate::record) access: KernelAccess,
    pub(in crate::record) cgroup: Cgroup,
    pub(in crate::record) is_command: bool,
    /// Whether accesses to files are seen by hooks.
    pub(in crate::record) sees_hooks: bool,
}

impl Question {
    /// About what it takes in memory.
    fn size(&self) -> usize {
        size_of::<Self>()
            + self.access.first.len()
            + self.access.second.len()
            + self.cgroup.path.as_os_str().len()
            + self.cgroup.directory.as_os_str().len()
    }
}

/// Questions in the order of their coming, by instance, and those that were sent.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_instance: BTreeMap<u32, Queue>,
    /// Whose turn it was last.
    last: u32,
    sent: VecDeque<(u64, Option<Question>)>,
    next: u64,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    questions: VecDeque<Question>,
    bytes: usize,
}

impl Waiting {
    /// Adds a question; gives it back when its instance, or all together, have no room left.
    pub(super) fn add(&mut self, question: Question) -> Result<(), Box<Question>> {
        let size = question.size();
        let queue = self.by_instance.entry(question.row.instance).or_default();
        if queue.bytes + size > SHARE || self.bytes + size > MOST {
            return Err(Box::new(question));
        }
        queue.bytes += size;
        self.bytes += size;
        queue.questions.push_back(question);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.by_instance.is_empty()
    }

    /// Whether there is something to send, and fewer than `window` are on their way.
    pub(super) fn can_send(&self, window: usize) -> bool {
        self.sent.len() < window && !self.by_instance.is_empty()
    }

    /// The next question to send, with its number: instances take turns.
    pub(super) fn next(&mut self, window: usize) -> Option<(u64, &Question)> {
        if !self.can_send(window) {
            return None;
        }
        let after = self.by_instance.range(self.last.saturating_add(1)..).next();
        let instance = *after.or_else(|| self.by_instance.iter().next())?.0;
        self.last = instance;
        let queue = self.by_instance.get_mut(&instance)?;
        let question = queue.questions.pop_front()?;
        queue.bytes -= question.size();
        self.bytes -= question.size();
        if queue.questions.is_empty() {
            self.by_instance.remove(&instance);
        }
        let number = self.next;
        self.next += 1;
        self.sent.push_back((number, Some(question)));
        let (number, question) = self.sent.back()?;
        Some((*number, question.as_ref()?))
    }

    /// Takes out the question with this number; answers come in the order of the questions.
    pub(super) fn answered(&mut self, number: u64) -> Option<Question> {
        while let Some((sent, question)) = self.sent.pop_front() {
            if sent == number {
                return question;
            }
        }
        None
    }

    /// Whether there is a question of an instance.
    pub(super) fn has(&self, instance: u32) -> bool {
        let is_its = |question: &Question| question.row.instance == instance;
        self.by_instance.contains_key(&instance)
            || self
                .sent
                .iter()
                .any(|(_, question)| question.as_ref().is_some_and(is_its))
    }

    /// Forgets the questions of an instance. Those that were sent keep their places.
    pub(super) fn forget(&mut self, instance: u32) {
        if let Some(queue) = self.by_instance.remove(&instance) {
            self.bytes -= queue.bytes;
        }
        for (_, question) in &mut self.sent {
            question.take_if(|question| question.row.instance == instance);
        }
    }

    /// Takes out all questions.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Question> + use<> {
        self.bytes = 0;
        let sent = std::mem::take(&mut self.sent);
        let waiting = std::mem::take(&mut self.by_instance);
        sent.into_iter()
            .filter_map(|(_, question)| question)
            .chain(waiting.into_values().flat_map(|queue| queue.questions))
    }
}
