//! libseccomp, as the container runtimes use it, opened at run time: the library that compiles a
//! profile on this machine says what the profile means.
//!
//! Declarations from include/seccomp.h.in of libseccomp 2.5.4. Nothing is loaded into the kernel.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_uint, c_void},
    fs::File,
    io::{Read as _, Seek as _},
    mem,
    os::fd::AsRawFd as _,
    sync::OnceLock,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{filter, pfc::Pseudo};

/// The name that a program linked with it asks for.
const LIBRARY: &CStr = c"libseccomp.so.2";

/// Returned for a name that it does not know.
const UNKNOWN: c_int = -1;

/// A condition on an argument: `struct scmp_arg_cmp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Comparison {
    /// Which argument, from 0.
    pub argument: c_uint,
    /// `enum scmp_compare`.
    pub operator: c_int,
    /// The value, or the mask of MASKED_EQ.
    pub datum_a: u64,
    /// The value of MASKED_EQ.
    pub datum_b: u64,
}

/// `struct scmp_version`.
#[repr(C)]
struct Version {
    major: c_uint,
    minor: c_uint,
    micro: c_uint,
}

/// A filter under construction: `scmp_filter_ctx`.
type Filter = *mut c_void;

/// Writes a filter to a descriptor.
type Export = unsafe extern "C" fn(Filter, c_int) -> c_int;

macro_rules! functions {
    ($($field:ident: $symbol:literal, $type:ty;)*) => {
        /// The functions in use.
        pub struct Libseccomp {
            $($field: $type,)*
        }

        impl Libseccomp {
            fn load() -> Option<Self> {
                let flags = libc::RTLD_NOW | libc::RTLD_LOCAL;
                // SAFETY: the library's initializers have no preconditions. It is never closed, so
                // what is found in it stays valid.
                let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), flags) };
                if library.is_null() {
                    return None;
                }
                Some(Self {
                    $($field: {
                        // SAFETY: the library is open, the name ends in NUL.
                        let address = unsafe { libc::dlsym(library, $symbol.as_ptr()) };
                        if address.is_null() {
                            return None;
                        }
                        // SAFETY: seccomp.h declares the function with this type.
                        unsafe { mem::transmute::<*mut c_void, $type>(address) }
                    },)*
                })
            }
        }
    };
}

functions! {
    version: c"seccomp_version", unsafe extern "C" fn() -> *const Version;
    init: c"seccomp_init", unsafe extern "C" fn(u32) -> Filter;
    release: c"seccomp_release", unsafe extern "C" fn(Filter);
    arch_resolve_name: c"seccomp_arch_resolve_name", unsafe extern "C" fn(*const c_char) -> u32;
    arch_add: c"seccomp_arch_add", unsafe extern "C" fn(Filter, u32) -> c_int;
    attr_set: c"seccomp_attr_set", unsafe extern "C" fn(Filter, c_int, u32) -> c_int;
    resolve_name: c"seccomp_syscall_resolve_name", unsafe extern "C" fn(*const c_char) -> c_int;
    resolve_name_arch: c"seccomp_syscall_resolve_name_arch",
        unsafe extern "C" fn(u32, *const c_char) -> c_int;
    rule_add_array: c"seccomp_rule_add_array",
        unsafe extern "C" fn(Filter, u32, c_int, c_uint, *const Comparison) -> c_int;
    export_bpf: c"seccomp_export_bpf", Export;
    export_pfc: c"seccomp_export_pfc", Export;
}

impl Libseccomp {
    /// The library of this machine, opened once.
    ///
    /// # Errors
    /// When it is not installed, or is one without these functions.
    pub fn open() -> Result<&'static Self> {
        static LIBSECCOMP: OnceLock<Option<Libseccomp>> = OnceLock::new();
        LIBSECCOMP
            .get_or_init(Self::load)
            .as_ref()
            .context("libseccomp.so.2 cannot be opened")
    }

    /// Its version: major, minor, micro.
    pub fn version(&self) -> (u32, u32, u32) {
        // SAFETY: it returns a pointer to a constant.
        unsafe { (self.version)().as_ref() }.map_or((0, 0, 0), |version| {
            (version.major, version.minor, version.micro)
        })
    }

    /// Whether it knows a call of that name in any ABI, as runtimes ask it.
    pub fn knows(&self, name: &str) -> bool {
        self.resolve(name).is_some()
    }

    /// The number by which rules for that name are added; negative for a call that the machine's own
    /// ABI does not have.
    fn resolve(&self, name: &str) -> Option<c_int> {
        let name = CString::new(name).ok()?;
        // SAFETY: the name ends in NUL.
        let number = unsafe { (self.resolve_name)(name.as_ptr()) };
        (number != UNKNOWN).then_some(number)
    }

    /// The number of a call in an architecture by libseccomp's name; none of one that is only made
    /// through a multiplexer there, or not at all.
    pub fn number(&self, name: &str, architecture: &str) -> Option<u32> {
        let (name, architecture) = (CString::new(name).ok()?, CString::new(architecture).ok()?);
        // SAFETY: both names end in NUL.
        let number = unsafe {
            let token = (self.arch_resolve_name)(architecture.as_ptr());
            (self.resolve_name_arch)(token, name.as_ptr())
        };
        u32::try_from(number).ok()
    }

    /// A filter that returns `default`, a `SCMP_ACT_*`, for what has no rule.
    ///
    /// # Errors
    /// When the library refuses the action.
    pub fn filter(&self, default: u32) -> Result<Building<'_>> {
        // SAFETY: any number may be given.
        let filter = unsafe { (self.init)(default) };
        ensure!(!filter.is_null(), "seccomp_init({default:#x}) failed");
        Ok(Building {
            library: self,
            filter,
        })
    }
}

/// A filter to which rules are added.
pub struct Building<'library> {
    library: &'library Libseccomp,
    filter: Filter,
}

impl Building<'_> {
    /// Adds an architecture by libseccomp's own name for it; one that is there already stays.
    ///
    /// # Errors
    /// When the library does not know it, or refuses it.
    pub fn add_architecture(&self, name: &str) -> Result<()> {
        let text = CString::new(name)?;
        // SAFETY: the name ends in NUL.
        let token = unsafe { (self.library.arch_resolve_name)(text.as_ptr()) };
        ensure!(token != 0, "unknown architecture {name}");
        // SAFETY: the filter is alive.
        let result = unsafe { (self.library.arch_add)(self.filter, token) };
        ensure!(
            result == 0 || result == -libc::EEXIST,
            "seccomp_arch_add({name}): {result}"
        );
        Ok(())
    }

    /// Searches numbers by a binary tree, as runc asks for when there are many rules.
    ///
    /// # Errors
    /// When the library cannot.
    pub fn optimize(&self) -> Result<()> {
        /// `SCMP_FLTATR_CTL_OPTIMIZE`.
        const OPTIMIZE: c_int = 8;
        // SAFETY: the filter is alive.
        let result = unsafe { (self.library.attr_set)(self.filter, OPTIMIZE, 2) };
        ensure!(result == 0, "seccomp_attr_set: {result}");
        Ok(())
    }

    /// Adds a rule for a call, in all architectures. A name that the library does not know is left
    /// out, as runtimes do.
    ///
    /// # Errors
    /// When the library refuses the rule.
    pub fn add_rule(&self, action: u32, name: &str, comparisons: &[Comparison]) -> Result<()> {
        let Some(number) = self.library.resolve(name) else {
            return Ok(());
        };
        let count = c_uint::try_from(comparisons.len())?;
        // SAFETY: the filter is alive, and the array has that many elements.
        let result = unsafe {
            (self.library.rule_add_array)(self.filter, action, number, count, comparisons.as_ptr())
        };
        if result != 0 {
            bail!("seccomp_rule_add({action:#x}, {name}, {comparisons:?}): {result}");
        }
        Ok(())
    }

    /// Compiles it.
    ///
    /// # Errors
    /// When the library cannot.
    pub fn compile(&self) -> Result<filter::Filter> {
        filter::Filter::from_bytes(&self.export(self.library.export_bpf)?)
    }

    /// What is to be compiled.
    ///
    /// # Errors
    /// When the library cannot tell.
    pub fn pseudo(&self) -> Result<Pseudo> {
        let text = String::from_utf8(self.export(self.library.export_pfc)?)?;
        Pseudo::parse(&text)
    }

    fn export(&self, export: Export) -> Result<Vec<u8>> {
        let mut file: File = tempfile::tempfile()?;
        // SAFETY: the filter is alive, and the descriptor open.
        let result = unsafe { export(self.filter, file.as_raw_fd()) };
        ensure!(result == 0, "libseccomp cannot export: {result}");
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `seccomp_init`, and not used again.
        unsafe { (self.library.release)(self.filter) };
    }
}
