//! The truth: who did what.

use tracer_abi::{AbiClass, WATCHED_ARGUMENTS};

/// Who a call is filed under, as far as that is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    /// Instances, any of which is right: more than one while the process is being moved. `None` stands
    /// for not recorded.
    pub(crate) instances: Vec<Option<u64>>,
    /// The executable; `None` when it changes just then.
    pub(crate) exe: Option<u64>,
    /// The phase; `None` likewise.
    pub(crate) phase: Option<u32>,
}

impl Who {
    /// Whether a row of this instance, executable and phase is right.
    pub(crate) fn is(&self, instance: u64, exe: u64, phase: u32) -> bool {
        self.may_be_in(instance)
            && self.exe.is_none_or(|own| own == exe)
            && self.phase.is_none_or(|own| own == phase)
    }

    /// Whether it may be of an instance.
    pub(crate) fn may_be_in(&self, instance: u64) -> bool {
        self.instances.contains(&Some(instance))
    }

    /// Whether it is recorded for sure.
    pub(crate) fn must_be_seen(&self) -> bool {
        !self.instances.contains(&None)
    }

    /// Both hold, one after the other.
    pub(crate) fn or(&self, other: &Self) -> Self {
        let mut instances = self.instances.clone();
        for instance in &other.instances {
            if !instances.contains(instance) {
                instances.push(*instance);
            }
        }
        Self {
            instances,
            exe: None,
            phase: None,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A call was made, with these values when they are recorded.
    Made(Option<Values>),
    /// A call was stopped. What came of it: one of [`tracer_abi::outcome`], `None` for any.
    Blocked(Option<u8>),
    /// A file was opened.
    Opened(usize),
}

/// The values of a call's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// These.
    Are([u64; WATCHED_ARGUMENTS]),
    /// One lies behind a pointer that leads nowhere.
    Unreadable,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    /// The number of the event.
    pub(crate) event: u32,
    /// The ABI of the call.
    pub(crate) abi: AbiClass,
    /// The number of the call.
    pub(crate) number: u32,
    /// What.
    pub(crate) what: What,
    /// By whom.
    pub(crate) who: Who,
    /// Whether it must be seen, if its instance is recorded.
    pub(crate) certain: bool,
    /// Whether it was found already, in an instance that was given back since.
    pub(crate) settled: bool,
}
