//! What the processes say to one another: frames of a length and its bytes, in this machine's byte order.

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process,
};

use tracer_abi::{Access, AccessKind, COMM_LEN};

use super::{replay::Answer, waiting::Question};
use crate::{
    bpf::{KernelAccess, abi_class},
    cgroup::Cgroup,
};

/// Longer than any frame: two paths of an access, each with its answer, and room for the rest.
const LONGEST: usize = 1 << 20;

/// A question as a worker has it.
pub(super) struct AskedAccess {
    pub(super) number: u64,
    pub(super) cgroup: Cgroup,
    pub(super) is_command: bool,
    pub(super) sees_hooks: bool,
    pub(super) access: KernelAccess,
}

/// Appends the frame of a question.
pub(super) fn write_question(out: &mut Vec<u8>, number: u64, question: &Question) {
    let mut frame = Vec::with_capacity(512);
    frame.extend_from_slice(&number.to_ne_bytes());
    frame.extend_from_slice(&question.cgroup.id.to_ne_bytes());
    frame.push(u8::from(question.is_command));
    frame.push(u8::from(question.sees_hooks));
    put(&mut frame, question.cgroup.path.as_os_str().as_bytes());
    put(&mut frame, &reachable(&question.cgroup.directory));
    put_access(&mut frame, &question.access.access);
    put(&mut frame, &question.access.first);
    put(&mut frame, &question.access.second);
    put(out, &frame);
}

/// A path by a descriptor of this process, as another one has to name it.
fn reachable(path: &Path) -> Vec<u8> {
    match path.strip_prefix("/proc/self") {
        Ok(rest) => {
            let own = Path::new("/proc").join(process::id().to_string());
            own.join(rest).into_os_string().as_bytes().to_vec()
        }
        Err(_) => path.as_os_str().as_bytes().to_vec(),
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_ne_bytes());
    out.extend_from_slice(bytes);
}

fn put_access(out: &mut Vec<u8>, access: &Access) {
    for word in [access.time, access.key].into_iter().chain(access.values) {
        out.extend_from_slice(&word.to_ne_bytes());
    }
    let Access {
        row,
        kind,
        flags,
        pid,
        nr,
        abi,
        first_len,
        second_len,
        ..
    } = *access;
    for word in [row, kind, flags, pid, nr, abi, first_len, second_len] {
        out.extend_from_slice(&word.to_ne_bytes());
    }
    out.extend_from_slice(&access.comm);
}

/// Number and group of a question, without the rest.
pub(super) fn head(frame: &[u8]) -> io::Result<(u64, u64)> {
    let mut rest = Rest(frame);
    Ok((rest.u64()?, rest.u64()?))
}

/// Reads the frame of a question.
pub(super) fn read_question(frame: &[u8]) -> io::Result<AskedAccess> {
    let mut rest = Rest(frame);
    let (number, group) = (rest.u64()?, rest.u64()?);
    let [is_command, sees_hooks] = rest.take::<2>()?;
    let path = rest.bytes()?.to_vec();
    let directory = rest.bytes()?.to_vec();
    let access = rest.access()?;
    let kind = AccessKind::of(access.kind).ok_or(io::ErrorKind::InvalidData)?;
    let abi = abi_class(access.abi).map_err(|_| io::ErrorKind::InvalidData)?;
    let of_bytes = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    Ok(AskedAccess {
        number,
        cgroup: Cgroup {
            id: group,
            path: of_bytes(&path),
            directory: of_bytes(&directory),
        },
        is_command: is_command != 0,
        sees_hooks: sees_hooks != 0,
        access: KernelAccess {
            access,
            kind,
            abi,
            first: rest.bytes()?.to_vec(),
            second: rest.bytes()?.to_vec(),
        },
    })
}

/// The frame of answers; `None` says that there are none.
pub(super) fn answers(number: u64, answers: Option<&[Answer]>) -> Vec<u8> {
    let mut frame = number.to_ne_bytes().to_vec();
    frame.push(u8::from(answers.is_some()));
    for answer in answers.unwrap_or_default() {
        frame.push(u8::from(answer.is_some()));
        put(&mut frame, answer.as_deref().unwrap_or_default());
    }
    frame
}

/// Reads a frame of answers, and which question they are for.
pub(super) fn read_answers(frame: &[u8]) -> io::Result<(u64, Option<Vec<Answer>>)> {
    let mut rest = Rest(frame);
    let number = rest.u64()?;
    let [is_answered] = rest.take::<1>()?;
    if is_answered == 0 {
        return Ok((number, None));
    }
    let mut answers = Vec::new();
    while !rest.0.is_empty() {
        let [is_some] = rest.take::<1>()?;
        let bytes = rest.bytes()?;
        answers.push((is_some != 0).then(|| bytes.to_vec()));
    }
    Ok((number, Some(answers)))
}

/// Sends one frame.
pub(super) fn write_frame(mut out: impl Write, frame: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(frame.len() + 4);
    put(&mut bytes, frame);
    out.write_all(&bytes)
}

/// Waits for one frame.
pub(super) fn read_frame(mut from: impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let len = u32::from_ne_bytes(len) as usize;
    if len > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; len];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

/// Bytes as they come, cut into frames.
#[derive(Debug, Default)]
pub(super) struct Frames(Vec<u8>);

impl Frames {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let len = u32::from_ne_bytes(*self.0.first_chunk::<4>()?) as usize;
        let frame = self.0.get(4..len.checked_add(4)?)?.to_vec();
        self.0.drain(..len + 4);
        Some(frame)
    }
}

/// What is left of a frame.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_ne_bytes(self.take()?))
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_ne_bytes(self.take()?))
    }

    fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let len = self.u32()? as usize;
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(taken)
    }

    fn access(&mut self) -> io::Result<Access> {
        Ok(Access {
            time: self.u64()?,
            key: self.u64()?,
            values: [self.u64()?, self.u64()?, self.u64()?],
            row: self.u32()?,
            kind: self.u32()?,
            flags: self.u32()?,
            pid: self.u32()?,
            nr: self.u32()?,
            abi: self.u32()?,
            first_len: self.u32()?,
            second_len: self.u32()?,
            comm: self.take::<COMM_LEN>()?,
        })
    }
}
