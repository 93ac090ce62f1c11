use std::time::Duration;

use super::*;
use crate::gvisor::{facts::FactsSettings, session::Points, wire::testing::call_in};

fn facts() -> Facts {
    Facts::new(FactsSettings::new(Points::default(), Box::new(|_| None)))
}

fn sink() -> (tempfile::TempDir, Sink) {
    let directory = tempfile::tempdir().unwrap();
    let sink = Sink::at(&directory.path().join("deep/sink"), facts()).unwrap();
    (directory, sink)
}

fn client(sink: &Sink) -> OwnedFd {
    let kind = SockType::SeqPacket;
    let fd = socket(AddressFamily::Unix, kind, SockFlag::empty(), None).unwrap();
    connect(fd.as_raw_fd(), &UnixAddr::new(sink.path()).unwrap()).unwrap();
    fd
}

fn say(fd: &OwnedFd, packet: &[u8]) {
    send(fd.as_raw_fd(), packet, MsgFlags::empty()).unwrap();
}

fn greeted(sink: &Sink) -> OwnedFd {
    let fd = client(sink);
    say(&fd, &wire::HANDSHAKE);
    let mut answer = [0; 16];
    let length = nix::sys::socket::recv(fd.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
    assert_eq!(answer[..length], wire::HANDSHAKE);
    fd
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(std::time::Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn calls(sink: &Sink) -> u64 {
    sink.with(|facts| facts.containers().map(|(it, ..)| it.calls).sum())
}

#[test]
fn messages_of_several_sandboxes_arrive() {
    let (_directory, mut sink) = sink();
    let clients = [greeted(&sink), greeted(&sink)];
    for (fd, container) in clients.iter().zip(["web", "db"]) {
        for number in 0..2000 {
            say(fd, &call_in(container, number % 300));
        }
    }
    assert_eq!(sink.connections().1, 2);
    drop(clients);
    wait("the ends of both", || sink.connections().0 == 0);
    assert_eq!(calls(&sink), 4000);
    assert!(sink.with(|facts| facts.losses().is_none()));
    sink.stop();
    assert_eq!(sink.refused(), 0);
}

#[test]
fn connections_without_a_handshake_are_refused() {
    let (_directory, sink) = sink();
    let stranger = client(&sink);
    say(&stranger, b"GET / HTTP/1.0\r\n\r\n");
    wait("a refusal", || sink.refused() == 1);
    assert_eq!(calls(&sink), 0);
}

#[test]
fn packets_that_are_too_long_are_counted_as_lost() {
    let (_directory, sink) = sink();
    let fd = greeted(&sink);
    nix::sys::socket::setsockopt(&fd, sockopt::SndBuf, &(8 << 20)).unwrap();
    let long = vec![0; MAX_PACKET + 1];
    // Without rights to a buffer of that size nothing can be sent that long.
    if send(fd.as_raw_fd(), &long, MsgFlags::empty()).is_ok() {
        wait("the loss", || {
            sink.with(|facts| facts.losses().messages == 1)
        });
    }
    say(&fd, &[1, 2, 3]);
    wait("another loss", || {
        sink.with(|facts| facts.losses().messages >= 1)
    });
}

#[test]
fn private_sockets_leave_nothing() {
    let sink = Sink::private(facts()).unwrap();
    let directory = sink.path().parent().unwrap().to_owned();
    let mode = fs::metadata(&directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::write(sink.path().with_file_name("init.json"), "{}").unwrap();
    drop(sink);
    assert!(!directory.exists());
}

#[test]
fn sockets_of_killed_recordings_are_replaced_and_others_are_not() {
    let (directory, sink) = sink();
    let path = sink.path().to_owned();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let taken = Sink::at(&path, facts()).unwrap_err();
    assert!(taken.to_string().contains("another recording"), "{taken}");
    drop(sink);
    assert!(!path.exists());
    // What a kill leaves.
    let left = seqpacket().unwrap();
    bind(left.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    drop(left);
    drop(Sink::at(&path, facts()).unwrap());
    let file = directory.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(Sink::at(&file, facts()).is_err());
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}
