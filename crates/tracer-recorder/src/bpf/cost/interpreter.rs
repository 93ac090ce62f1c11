//! Runs BPF programs in user space and counts what they execute.
//!
//! It follows the instruction set (Documentation/bpf/standardization/instruction-set.rst) as far as
//! the programs use it, and stops at anything else.

use aya_obj::generated::bpf_insn;

use super::helpers::Kernel;

/// What a run executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Instructions of the program, before the verifier takes out what a constant decides.
    pub(super) instructions: u32,
    /// Look-ups in arrays, which the kernel replaces by some eight instructions.
    pub(super) arrays: u32,
    /// Calls of helpers, look-ups in hash maps among them.
    pub(super) helpers: u32,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            instructions: self.instructions + other.instructions,
            arrays: self.arrays + other.arrays,
            helpers: self.helpers + other.helpers,
        }
    }
}

/// Where the code of a program seems to lie: a callback is an address from here on.
pub(super) const CODE: u64 = 0xc0de << 44;

/// Source registers with a meaning of their own (include/uapi/linux/bpf.h): a map, the value of a map, another
/// function of the program, the address of one.
const PSEUDO_MAP: u8 = 1;
const PSEUDO_VALUE: u8 = 2;
const PSEUDO_CALL: u8 = 1;
const PSEUDO_FUNCTION: u8 = 4;

/// One run of one program.
pub(super) struct Run<'a> {
    pub(super) code: &'a [bpf_insn],
    pub(super) kernel: &'a mut Kernel,
    pub(super) cost: Cost,
    depth: usize,
}

impl<'a> Run<'a> {
    /// Runs a program with its context; returns what it executed.
    pub(super) fn program(code: &'a [bpf_insn], kernel: &'a mut Kernel, context: u64) -> Cost {
        let mut run = Self {
            code,
            kernel,
            cost: Cost::default(),
            depth: 0,
        };
        run.function(0, [context, 0, 0, 0, 0]);
        run.cost
    }

    /// Runs a function from instruction `pc` on; returns what it returns.
    pub(super) fn function(&mut self, mut pc: usize, args: [u64; 5]) -> u64 {
        let mut r = [0_u64; 11];
        r[1..6].copy_from_slice(&args);
        r[10] = self.kernel.stack(self.depth);
        self.depth += 1;
        loop {
            let insn = self.code[pc];
            let (dst, src) = (usize::from(insn.dst_reg()), usize::from(insn.src_reg()));
            let imm = i64::from(insn.imm).cast_unsigned();
            self.cost.instructions += 1;
            pc += 1;
            match insn.code & 7 {
                0 => {
                    r[dst] = self.wide(insn, pc);
                    pc += 1;
                }
                1 => {
                    let size = size(insn.code);
                    let value = self.kernel.read(at(r[src], insn.off), size);
                    r[dst] = if insn.code & 0xe0 == 0x80 {
                        extend(value, size * 8)
                    } else {
                        value
                    };
                }
                2 => {
                    let address = at(r[dst], insn.off);
                    self.kernel.write(address, size(insn.code), imm);
                }
                3 => self.store(insn, &mut r),
                4 | 7 => {
                    let operand = if insn.code & 8 == 0 { imm } else { r[src] };
                    r[dst] = alu(insn, r[dst], operand);
                }
                class => {
                    let op = insn.code & 0xf0;
                    match op {
                        0x80 => {
                            let args = [r[1], r[2], r[3], r[4], r[5]];
                            r[0] = if insn.src_reg() == PSEUDO_CALL {
                                self.function(pc.wrapping_add_signed(insn.imm as isize), args)
                            } else {
                                self.helper(insn.imm, args)
                            };
                        }
                        0x90 => {
                            self.depth -= 1;
                            return r[0];
                        }
                        _ => {
                            let operand = if insn.code & 8 == 0 { imm } else { r[src] };
                            let is_32 = class == 6;
                            if op == 0 || jumps(op, is_32, r[dst], operand) {
                                let far = op == 0 && is_32;
                                let by = if far { insn.imm } else { i32::from(insn.off) };
                                pc = pc.wrapping_add_signed(by as isize);
                            }
                        }
                    }
                }
            }
        }
    }

    /// A constant of 64 bits, or what it stands for; its second half is at `next`.
    fn wide(&mut self, insn: bpf_insn, next: usize) -> u64 {
        let low = u64::from(insn.imm.cast_unsigned());
        let high = u64::from(self.code[next].imm.cast_unsigned());
        match insn.src_reg() {
            0 => high << 32 | low,
            PSEUDO_MAP => low,
            PSEUDO_VALUE => self.kernel.value_of_map(low) + high,
            PSEUDO_FUNCTION => CODE + next.wrapping_add_signed(insn.imm as isize) as u64,
            other => panic!("a constant of kind {other}"),
        }
    }

    fn store(&mut self, insn: bpf_insn, r: &mut [u64; 11]) {
        let (dst, src) = (usize::from(insn.dst_reg()), usize::from(insn.src_reg()));
        let (address, size) = (at(r[dst], insn.off), size(insn.code));
        if insn.code & 0xe0 != 0xc0 {
            self.kernel.write(address, size, r[src]);
            return;
        }
        let old = self.kernel.read(address, size);
        match insn.imm & !1 {
            0 => self.kernel.write(address, size, old.wrapping_add(r[src])),
            other => panic!("atomic operation {other:#x}"),
        }
        if insn.imm & 1 != 0 {
            r[src] = old;
        }
    }
}

fn at(base: u64, offset: i16) -> u64 {
    base.wrapping_add_signed(i64::from(offset))
}

/// Bytes that a load or a store is of.
fn size(code: u8) -> usize {
    match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

/// The sign of a number of so many bits.
fn extend(value: u64, bits: usize) -> u64 {
    let rest = 64 - bits;
    ((value << rest).cast_signed() >> rest).cast_unsigned()
}

fn alu(insn: bpf_insn, a: u64, b: u64) -> u64 {
    let is_32 = insn.code & 7 == 4;
    let (a, b) = if is_32 {
        (a & 0xffff_ffff, b & 0xffff_ffff)
    } else {
        (a, b)
    };
    let mask = if is_32 { 31 } else { 63 };
    let result = match insn.code & 0xf0 {
        0x00 => a.wrapping_add(b),
        0x10 => a.wrapping_sub(b),
        0x20 => a.wrapping_mul(b),
        0x30 => a.checked_div(b).unwrap_or(0),
        0x40 => a | b,
        0x50 => a & b,
        0x60 => a << (b & mask),
        0x70 => a >> (b & mask),
        0x80 => a.wrapping_neg(),
        0x90 => a.checked_rem(b).unwrap_or(a),
        0xa0 => a ^ b,
        0xb0 if insn.off == 0 => b,
        0xb0 => extend(b, usize::from(insn.off.cast_unsigned())),
        0xc0 if is_32 => extend(a, 32)
            .cast_signed()
            .wrapping_shr((b & 31) as u32)
            .cast_unsigned(),
        0xc0 => (a.cast_signed() >> (b & 63)).cast_unsigned(),
        0xd0 if insn.code & 8 != 0 => a.swap_bytes() >> (64 - insn.imm),
        0xd0 if insn.imm < 64 => a & ((1 << insn.imm) - 1),
        0xd0 => a,
        op => panic!("arithmetic {op:#x}"),
    };
    if is_32 { result & 0xffff_ffff } else { result }
}

fn jumps(op: u8, is_32: bool, a: u64, b: u64) -> bool {
    let (a, b) = if is_32 {
        (extend(a, 32), extend(b, 32))
    } else {
        (a, b)
    };
    let (signed_a, signed_b) = (a.cast_signed(), b.cast_signed());
    // The order of sign-extended numbers without a sign is that of the numbers.
    match op {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => signed_a > signed_b,
        0x70 => signed_a >= signed_b,
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => signed_a < signed_b,
        0xd0 => signed_a <= signed_b,
        _ => panic!("jump {op:#x}"),
    }
}
