//! The rings as an asynchronous stream.
//!
//! The kernel wakes user space for the first message after all others were taken, for notices, and when a
//! quarter of a ring is full. So nobody looks while nothing comes.

use std::{collections::VecDeque, time::Duration};

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::{
    io::unix::AsyncFd,
    time::{self, Instant},
};
use tracer_abi::maps as names;

use super::{
    AccessRing, KernelAccess, ProbeError,
    decode::{self, RingMessage},
};

/// How long observations are gathered before they are handed over: a program that starts makes hundreds within
/// milliseconds.
const GATHERED: Duration = Duration::from_millis(5);

/// How many observations are not gathered any longer.
const MANY: usize = 256;

/// How often the recorder looks around although nothing comes, in the first seconds after something came:
/// names of containers may come late.
const SOON: Duration = Duration::from_millis(100);

/// The same, later.
const SELDOM: Duration = Duration::from_secs(1);

/// After this long without a message it is later.
const QUIET: Duration = Duration::from_secs(5);

/// New observations as the kernel side announces them.
pub struct Events {
    ring: Ring,
    /// Accesses, which have a ring of their own so that they take no room from calls.
    accesses: AccessRing,
    gathered: VecDeque<RingMessage>,
    malformed: u64,
    /// When something came for the last time.
    came: Instant,
}

/// `AsyncFd` needs a tokio runtime, which loading the programs does not; so it is made on first
/// use.
pub(super) enum Ring {
    Idle(Option<RingBuf<MapData>>),
    Polled(AsyncFd<RingBuf<MapData>>),
}

impl Ring {
    /// Takes a ring out of the object.
    pub(super) fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Self, ProbeError> {
        let map = ebpf
            .take_map(name)
            .context("it is not in the object")
            .map_err(ProbeError::map("open", name))?;
        let ring =
            RingBuf::try_from(map).map_err(|error| ProbeError::map("open", name)(error.into()))?;
        Ok(Self::Idle(Some(ring)))
    }

    /// Waits until the kernel wakes whoever reads the ring.
    async fn woken(&mut self) -> std::io::Result<()> {
        if let Self::Idle(ring) = self
            && let Some(ring) = ring.take()
        {
            // SAFETY: aya's `RingBuf` owns its file descriptor, and it is neither replaced nor closed
            // while the `AsyncFd` owns the ring.
            *self = Self::Polled(unsafe { AsyncFd::register(ring) }?);
        }
        match self {
            Self::Polled(ring) => {
                ring.readable_mut().await?.clear_ready();
                Ok(())
            }
            Self::Idle(_) => std::future::pending().await,
        }
    }

    /// The ring itself.
    pub(super) fn get(&mut self) -> Option<&mut RingBuf<MapData>> {
        match self {
            Self::Idle(ring) => ring.as_mut(),
            Self::Polled(ring) => Some(ring.get_mut()),
        }
    }
}

impl Events {
    pub(super) fn new(ebpf: &mut Ebpf, accesses: AccessRing) -> Result<Self, ProbeError> {
        Ok(Self {
            ring: Ring::take(ebpf, names::EVENTS)?,
            accesses,
            gathered: VecDeque::new(),
            malformed: 0,
            came: Instant::now(),
        })
    }

    /// Waits until there may be something to [`drain`](Self::drain), a second at most. Safe to drop while it
    /// waits: what was gathered stays.
    ///
    /// # Errors
    /// When a ring cannot be polled.
    pub async fn ready(&mut self) -> Result<(), ProbeError> {
        let around = if self.came.elapsed() < QUIET {
            SOON
        } else {
            SELDOM
        };
        let mut until = Instant::now() + around;
        loop {
            let woken = async {
                tokio::select! {
                    woken = self.ring.woken() => (woken, names::EVENTS),
                    woken = self.accesses.ring.woken() => (woken, names::ACCESSES),
                }
            };
            let Ok((woken, ring)) = time::timeout_at(until, woken).await else {
                return Ok(());
            };
            woken.map_err(|error| ProbeError::map("poll", ring)(error.into()))?;
            if self.gather() {
                return Ok(());
            }
            until = until.min(self.came + GATHERED);
        }
    }

    /// Takes what is in the rings; whether it must be handed over at once.
    fn gather(&mut self) -> bool {
        if self.gathered.is_empty() && self.accesses.gathered() == 0 {
            self.came = Instant::now();
        }
        self.accesses.gather(MANY);
        let mut is_urgent = self.accesses.gathered() >= MANY;
        while self.gathered.len() < MANY
            && let Some(message) = self.next()
        {
            is_urgent |= matches!(message, RingMessage::Notice(..));
            self.gathered.push_back(message);
        }
        is_urgent || self.gathered.len() >= MANY
    }

    fn next(&mut self) -> Option<RingMessage> {
        let ring = self.ring.get()?;
        while let Some(bytes) = ring.next() {
            match decode::message(&bytes) {
                Ok(message) => return Some(message),
                Err(error) => {
                    log::warn!("an event of the kernel side was skipped: {error}");
                    self.malformed += 1;
                }
            }
        }
        None
    }

    /// Hands over every waiting message, in the order of arrival.
    pub fn drain(&mut self, take: &mut dyn FnMut(RingMessage)) {
        while let Some(message) = self.gathered.pop_front().or_else(|| self.next()) {
            self.came = Instant::now();
            take(message);
        }
    }

    /// Hands every waiting access to `each`, in the order of their coming.
    pub fn drain_accesses(&mut self, each: &mut dyn FnMut(KernelAccess)) {
        if self.accesses.drain(each) {
            self.came = Instant::now();
        }
    }

    /// Accesses that could not be read: lost.
    pub fn malformed_accesses(&self) -> u64 {
        self.accesses.malformed()
    }

    /// Events that could not be read: lost evidence like those that found the ring full.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }
}
