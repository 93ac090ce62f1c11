//! Objects that are too large, in parts.

use super::{
    Object,
    part::{Choose, ListOf, part},
};
use crate::recording::{AccessEvidence, Evidence, Syscall};

/// An object in parts.
#[derive(Debug)]
pub struct Split {
    /// The parts. Together they say what the whole said.
    pub parts: Vec<Object>,
    /// How many of them are larger than they should be, since they hold one fact only.
    pub oversize: usize,
}

/// Splits an object by its facts until each part `fits`.
pub fn split(object: Object, fits: &mut impl FnMut(&Object) -> bool) -> Split {
    let mut done = Split {
        parts: Vec::new(),
        oversize: 0,
    };
    let mut left = vec![object];
    while let Some(object) = left.pop() {
        if fits(&object) {
            done.parts.push(object);
            continue;
        }
        let mut count = Range::default();
        part(&object.recording, &mut count);
        if count.at < 2 {
            done.oversize += 1;
            done.parts.push(object);
            continue;
        }
        let middle = count.at / 2;
        for (from, until) in [(middle, usize::MAX), (0, middle)] {
            let mut range = Range { from, until, at: 0 };
            left.push(Object {
                recording: part(&object.recording, &mut range),
                ..object.clone()
            });
        }
    }
    done
}

/// Chooses the pieces with some numbers, and counts all.
#[derive(Default)]
struct Range {
    from: usize,
    until: usize,
    at: usize,
}

impl Range {
    fn next(&mut self) -> bool {
        let is_in = (self.from..self.until).contains(&self.at);
        self.at += 1;
        is_in
    }
}

impl Choose for Range {
    fn call(&mut self, _: &Syscall, _: Option<&Evidence>) -> bool {
        self.next()
    }

    fn access<T: Ord>(&mut self, _: ListOf<T>, _: &T, _: Option<&AccessEvidence>) -> bool {
        self.next()
    }

    fn run(&mut self, _: usize, is_referred_to: bool) -> bool {
        // The others are where the evidence is that refers to them.
        !is_referred_to && self.next()
    }
}
