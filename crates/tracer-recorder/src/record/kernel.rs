//! The kernel side, as the recorder asks it: [`Kernel`]. The running kernel is [`LiveKernel`]; the
//! simulation has a model of its own.

use tracer_abi::{AbiClass, Account, Counters};

use crate::bpf::{
    CgroupKind, Events, InstanceState, KernelAccess, Mechanisms, Probe, ProbeError, RingMessage,
    RowExecutable, RowValues, SeenRow, Settings,
};

/// What the kernel side counted, and what of its messages could not be read.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelCounts {
    /// What the programs counted.
    pub programs: Counters,
    /// Messages of the ring of events that could not be read.
    pub malformed_events: u64,
    /// Messages of the ring of accesses that could not be read.
    pub malformed_accesses: u64,
}

/// A cgroup to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewCgroup {
    /// Its id.
    pub id: u64,
    /// Id of the cgroup that its instance began with.
    pub instance: u64,
    /// Stands for the executable of processes that were not seen to exec.
    pub first_exe: u64,
    /// What it is recorded as.
    pub kind: CgroupKind,
}

/// The kernel side: two rings of messages, and the maps that hold the truth.
///
/// All methods fail with [`ProbeError::Map`] when a map cannot be read or changed.
pub trait Kernel {
    /// Hands over what waits in the ring of events, in the order of arrival.
    fn drain(&mut self, take: &mut dyn FnMut(RingMessage));

    /// Hands over what waits in the ring of accesses, in the order of arrival.
    fn drain_accesses(&mut self, take: &mut dyn FnMut(KernelAccess));

    /// Every row of marks that is in use.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn rows(&mut self) -> Result<Vec<SeenRow>, ProbeError>;

    /// The syscalls that are marked in a row: ABI, number and mark.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn marks(&mut self, row: u32) -> Result<Vec<(AbiClass, u32, u8)>, ProbeError>;

    /// The syscalls whose numbers have no byte in a row: row, ABI, number and mark.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn unindexed(&mut self) -> Result<Vec<(u32, AbiClass, u32, u8)>, ProbeError>;

    /// The argument values that were seen in a row.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn values(&mut self, row: u32) -> Result<RowValues, ProbeError>;

    /// The executable that an id stands for.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn executable(&mut self, id: u64) -> Result<RowExecutable, ProbeError>;

    /// What an instance has taken of what all share, and lost.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn account(&mut self, instance: u64) -> Result<Account, ProbeError>;

    /// What was counted so far.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn counters(&mut self) -> Result<KernelCounts, ProbeError>;

    /// Runs of the programs that the kernel skipped.
    fn skipped_runs(&mut self) -> u64;

    /// Begins to record a cgroup, and every child that it has from now on. Returns whether there was
    /// room.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn watch(&mut self, cgroup: NewCgroup) -> Result<bool, ProbeError>;

    /// Stops recording an instance: its cgroup, and all that inherited from it.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn unwatch(&mut self, instance: u64) -> Result<(), ProbeError>;

    /// What is known of a recorded cgroup; `None` when it is not recorded.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn state(&mut self, cgroup: u64) -> Result<Option<InstanceState>, ProbeError>;

    /// The cgroups that the kernel side found and whose paths were not taken yet.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn found(&mut self) -> Result<Vec<u64>, ProbeError>;

    /// Takes the path of a found cgroup, and whether it is only the path's beginning.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn take_path(&mut self, cgroup: u64) -> Result<Option<(Vec<u8>, bool)>, ProbeError>;

    /// Files a running process under an executable. Returns whether there was room.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn register_process(
        &mut self,
        pid: u32,
        instance: u64,
        executable: &[u8],
    ) -> Result<bool, ProbeError>;

    /// Gives back the rows of instances that cannot make a syscall any more. `rows` is what
    /// [`rows`](Self::rows) returned since; theirs must have been read.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn release(&mut self, instances: &[u64], rows: &[SeenRow]) -> Result<(), ProbeError>;

    /// Begins or ends to watch the exits of syscalls, by which those that a filter stops are seen.
    ///
    /// # Errors
    /// [`ProbeError::Attach`].
    fn watch_exits(&mut self, watch: bool) -> Result<(), ProbeError>;

    /// Makes room for other accesses: those with these keys were reported, and whoever made them is
    /// gone.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn forget_accesses(&mut self, keys: &[u64]) -> Result<(), ProbeError>;

    /// How many different accesses found the ring full each time that they were made.
    ///
    /// # Errors
    /// See [`Kernel`].
    fn unreported_accesses(&mut self) -> Result<u64, ProbeError>;

    /// What serves the kinds of access.
    fn mechanisms(&self) -> &Mechanisms;
}

/// The running kernel.
pub struct LiveKernel {
    probe: Probe,
    events: Events,
}

impl LiveKernel {
    /// Loads the programs and attaches them.
    ///
    /// # Errors
    /// [`ProbeError`]: what is missing on this host, or what the kernel refused.
    pub fn load(settings: &Settings) -> Result<Self, ProbeError> {
        let (probe, events) = Probe::load(settings)?;
        Ok(Self { probe, events })
    }

    /// Waits until there may be something to drain, a second at most. Safe to drop while it
    /// waits.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when the ring cannot be polled.
    pub async fn ready(&mut self) -> Result<(), ProbeError> {
        self.events.ready().await
    }
}

impl Kernel for LiveKernel {
    fn drain(&mut self, take: &mut dyn FnMut(RingMessage)) {
        self.events.drain(take);
        if let Some(logger) = &mut self.probe.logger {
            logger.flush();
        }
        self.probe.maintain();
        let recycled = self
            .probe
            .recycle_values()
            .and_then(|()| self.probe.recycle_executables())
            .and_then(|()| self.probe.recycle_accesses());
        if let Err(error) = recycled {
            // Those in use stay so; what finds no room is counted.
            log::debug!("{error}");
        }
    }

    fn drain_accesses(&mut self, take: &mut dyn FnMut(KernelAccess)) {
        self.events.drain_accesses(take);
    }

    fn rows(&mut self) -> Result<Vec<SeenRow>, ProbeError> {
        self.probe.rows()
    }

    fn marks(&mut self, row: u32) -> Result<Vec<(AbiClass, u32, u8)>, ProbeError> {
        self.probe.marks(row)
    }

    fn unindexed(&mut self) -> Result<Vec<(u32, AbiClass, u32, u8)>, ProbeError> {
        self.probe.unindexed()
    }

    fn values(&mut self, row: u32) -> Result<RowValues, ProbeError> {
        self.probe.values(row)
    }

    fn executable(&mut self, id: u64) -> Result<RowExecutable, ProbeError> {
        self.probe.executable(id)
    }

    fn account(&mut self, instance: u64) -> Result<Account, ProbeError> {
        self.probe.account(instance)
    }

    fn counters(&mut self) -> Result<KernelCounts, ProbeError> {
        Ok(KernelCounts {
            programs: self.probe.counters()?,
            malformed_events: self.events.malformed(),
            malformed_accesses: self.events.malformed_accesses(),
        })
    }

    fn skipped_runs(&mut self) -> u64 {
        self.probe.skipped_runs()
    }

    fn watch(&mut self, cgroup: NewCgroup) -> Result<bool, ProbeError> {
        let NewCgroup {
            id,
            instance,
            first_exe,
            kind,
        } = cgroup;
        self.probe.watch(id, instance, first_exe, kind)
    }

    fn unwatch(&mut self, instance: u64) -> Result<(), ProbeError> {
        self.probe.unwatch(instance)
    }

    fn state(&mut self, cgroup: u64) -> Result<Option<InstanceState>, ProbeError> {
        self.probe.state(cgroup)
    }

    fn found(&mut self) -> Result<Vec<u64>, ProbeError> {
        self.probe.found()
    }

    fn take_path(&mut self, cgroup: u64) -> Result<Option<(Vec<u8>, bool)>, ProbeError> {
        self.probe.take_path(cgroup)
    }

    fn register_process(
        &mut self,
        pid: u32,
        instance: u64,
        executable: &[u8],
    ) -> Result<bool, ProbeError> {
        self.probe.register_process(pid, instance, executable)
    }

    fn release(&mut self, instances: &[u64], rows: &[SeenRow]) -> Result<(), ProbeError> {
        self.probe.release(instances, rows)
    }

    fn watch_exits(&mut self, watch: bool) -> Result<(), ProbeError> {
        self.probe.watch_exits(watch)
    }

    fn forget_accesses(&mut self, keys: &[u64]) -> Result<(), ProbeError> {
        self.probe.forget_accesses(keys)
    }

    fn unreported_accesses(&mut self) -> Result<u64, ProbeError> {
        self.probe.unreported_accesses()
    }

    fn mechanisms(&self) -> &Mechanisms {
        self.probe.mechanisms()
    }
}
