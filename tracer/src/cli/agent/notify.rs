//! Messages to the service manager that started the agent: sd_notify(3), a datagram on a unix socket.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

/// The service manager's socket, if there is one.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Watchdog>,
}

/// How often the service manager expects a message.
#[derive(Debug)]
struct Watchdog {
    interval: Duration,
    last: Mutex<Option<Instant>>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC`. Call it before the thread that records drops its rights.
    pub(super) fn from_environment() -> io::Result<Self> {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(Self::default());
        };
        let address = match name.as_bytes().split_first() {
            Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
            _ => SocketAddr::from_pathname(Path::new(&name))?,
        };
        let micros = env::var("WATCHDOG_USEC").ok();
        let is_ours = env::var("WATCHDOG_PID")
            .ok()
            .is_none_or(|pid| pid == std::process::id().to_string());
        let interval = micros
            .and_then(|it| it.parse().ok())
            .filter(|it: &u64| *it > 0 && is_ours)
            .map(Duration::from_micros);
        Self::to(&address, interval)
    }

    fn to(address: &SocketAddr, interval: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(address)?;
        // Recording never waits for the service manager.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: Some(socket),
            watchdog: interval.map(|interval| Watchdog {
                // Half of it, as sd_watchdog_enabled(3) recommends.
                interval: interval / 2,
                last: Mutex::default(),
            }),
        })
    }

    /// Reports that the agent records.
    pub(super) fn ready(&self) {
        self.send("READY=1\nSTATUS=recording");
    }

    /// Reports a reload. `Type=notify-reload` needs the time (systemd.service(5)).
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Reports that the agent stops.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Feeds the watchdog. Only the loop that records calls it.
    pub(super) fn alive(&self, now: Instant) {
        let Some(watchdog) = &self.watchdog else {
            return;
        };
        let mut last = watchdog.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |last: Instant| now.duration_since(last) >= watchdog.interval;
        if last.is_none_or(is_due) {
            *last = Some(now);
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            log::warn!("cannot send {text:?} to the service manager: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_hears_of_it_twice_in_its_time() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let address = SocketAddr::from_pathname(&path).unwrap();
        let heard = || {
            let mut bytes = [0; 200];
            let length = manager.recv(&mut bytes).ok()?;
            Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
        };
        let notifier = Notifier::to(&address, Some(Duration::from_secs(10))).unwrap();
        notifier.ready();
        assert!(heard().unwrap().starts_with("READY=1\n"));
        let start = Instant::now();
        let mut times = 0;
        for second in 0..=20 {
            notifier.alive(start + Duration::from_secs(second));
            times += usize::from(heard().is_some());
        }
        assert_eq!(times, 5);
        notifier.reloading();
        assert!(heard().unwrap().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        notifier.stopping();
        assert_eq!(heard().as_deref(), Some("STOPPING=1"));
        // Without a manager, nothing is sent and nothing fails.
        Notifier::default().alive(start);
        Notifier::default().ready();
    }
}
