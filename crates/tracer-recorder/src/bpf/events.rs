//! The ring buffer as an asynchronous stream.

use std::time::Duration;

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::{io::unix::AsyncFd, time};
use tracer_abi::maps as names;

use super::{
    AccessRing, KernelAccess, ProbeError,
    decode::{self, RingMessage},
};

/// How long an event may lie in the ring. The programs do not wake user space for each one, only
/// when the ring fills.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// New observations as the kernel side announces them.
pub struct Events {
    ring: Ring,
    /// Accesses, which have a ring of their own so that they take no room from calls.
    accesses: AccessRing,
    malformed: u64,
}

/// `AsyncFd` needs a tokio runtime, which loading the programs does not; so it is made on first
/// use.
enum Ring {
    Idle(Option<RingBuf<MapData>>),
    Polled(AsyncFd<RingBuf<MapData>>),
}

impl Events {
    pub(super) fn new(ebpf: &mut Ebpf, accesses: AccessRing) -> Result<Self, ProbeError> {
        let map = ebpf
            .take_map(names::EVENTS)
            .context("it is not in the object")
            .map_err(ProbeError::map("open", names::EVENTS))?;
        let ring = RingBuf::try_from(map)
            .map_err(|error| ProbeError::map("open", names::EVENTS)(error.into()))?;
        Ok(Self {
            ring: Ring::Idle(Some(ring)),
            accesses,
            malformed: 0,
        })
    }

    /// Waits until there may be something to [`drain`](Self::drain).
    ///
    /// # Errors
    /// When the ring cannot be polled.
    pub async fn ready(&mut self) -> Result<(), ProbeError> {
        let failed = |error: std::io::Error| ProbeError::map("poll", names::EVENTS)(error.into());
        if let Ring::Idle(ring) = &mut self.ring
            && let Some(ring) = ring.take()
        {
            // SAFETY: aya's `RingBuf` owns its file descriptor, and it is neither replaced nor closed
            // while the `AsyncFd` owns the ring.
            let polled = unsafe { AsyncFd::register(ring) };
            self.ring = Ring::Polled(polled.map_err(|error| failed(error.into()))?);
        }
        let Ring::Polled(ring) = &mut self.ring else {
            return Ok(());
        };
        if let Ok(guard) = time::timeout(MAX_POLL_INTERVAL, ring.readable_mut()).await {
            guard.map_err(failed)?.clear_ready();
        }
        Ok(())
    }

    /// Hands over every waiting message, in the order of arrival.
    pub fn drain(&mut self, take: &mut dyn FnMut(RingMessage)) {
        let ring = match &mut self.ring {
            Ring::Idle(Some(ring)) => ring,
            Ring::Idle(None) => return,
            Ring::Polled(ring) => ring.get_mut(),
        };
        while let Some(bytes) = ring.next() {
            match decode::message(&bytes) {
                Ok(message) => take(message),
                Err(error) => {
                    log::warn!("an event of the kernel side was skipped: {error}");
                    self.malformed += 1;
                }
            }
        }
    }

    /// Hands every waiting access to `each`, in the order of their coming.
    pub fn drain_accesses(&mut self, each: &mut dyn FnMut(KernelAccess)) {
        self.accesses.drain(each);
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
