//! `tracer fleet sign` and `verify`: a signed statement about a profile.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::{
    super::{
        Exit, Failure,
        input::{self, label},
        print,
        spool::{plain_lines, unseen},
        stderr::{plain, say},
    },
    list::Format,
};
use crate::store::{self, OutputFile};
use tracer_core::{
    fleet::{Predicate, Statement},
    recording::{json::MAX_BYTES, merge::Merge},
};
use tracer_fleet::signature::{MAX_ENVELOPE, SignatureError, sign, verify};
use tracer_report::words;

/// Maximum size of a profile.
const MAX_PROFILE: u64 = 16 << 20;

/// Maximum size of a key.
const MAX_KEY: u64 = 64 << 10;

/// Suffix of an attestation's name; the rest is the profile's name.
const SUFFIX: &str = ".intoto.json";

/// Sign a profile, with its recordings, images and kernels, and with how complete the recordings are.
///
/// Writes an in-toto statement in a DSSE envelope, signed with ECDSA P-256. The same input gives the same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out key.pem\n",
    "  openssl ec -in key.pem -pubout -out key.pub\n",
    "  tracer fleet sign profiles-out/cart/seccomp.json --key key.pem --recording profiles-out/cart",
))]
pub(super) struct SignArgs {
    /// The profile
    #[arg(value_name = "PROFILE")]
    profile: PathBuf,

    /// Private key: ECDSA P-256 in PEM (PKCS #8 or SEC 1), without a password
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Recordings it was made from: recording.json files, or their directories
    #[arg(long, value_name = "RECORDING", num_args = 1.., required = true)]
    recording: Vec<PathBuf>,

    /// File to write; `-` for standard output [default: PROFILE.intoto.json]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Verify the signature of a profile, and print the signed statement.
///
/// Works offline. Reads only the profile and the envelope, so changed recordings are not noticed.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet verify profiles-out/cart/seccomp.json --key key.pub\n\n",
    "Exit status:\n",
    "  0 signed by the key, 1 error, 2 wrong usage, 3 not signed by this key, or for another file",
))]
pub(super) struct VerifyArgs {
    /// The profile
    #[arg(value_name = "PROFILE")]
    profile: PathBuf,

    /// Public key: ECDSA P-256 in PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// The signed statement [default: PROFILE.intoto.json]
    #[arg(long, value_name = "FILE")]
    attestation: Option<PathBuf>,

    /// Exit with 3 unless the recordings are complete
    #[arg(long)]
    require_complete: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let bytes = store::read_up_to(path, limit)
        .with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= limit,
        "{} has more than {limit} bytes",
        path.display()
    );
    Ok(bytes)
}

fn key(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(path, MAX_KEY)?)
        .with_context(|| format!("{} is not PEM", path.display()))
}

fn beside(profile: &Path, given: Option<&PathBuf>) -> PathBuf {
    given.cloned().unwrap_or_else(|| {
        let mut name = profile.as_os_str().to_owned();
        name.push(SUFFIX);
        PathBuf::from(name)
    })
}

pub(super) fn run_sign(args: &SignArgs) -> Result<Exit, Failure> {
    let profile = read(&args.profile, MAX_PROFILE)?;
    let mut merge = Merge::default();
    let mut files = Vec::new();
    for named in &args.recording {
        for path in input::recordings_of(named)? {
            merge.add(input::recording(&path)?);
            let file = if path.is_dir() {
                path.join(store::RECORDING_FILE)
            } else {
                path
            };
            files.push((label(&file), read(&file, MAX_BYTES)?));
        }
    }
    let merged = merge.finish().context("no recording was given")?;
    let name = args
        .profile
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let statement = Statement::new((&name, &profile), &files, &merged);
    let signed = sign(&statement, &key(&args.key)?)
        .with_context(|| format!("cannot sign with {}", args.key.display()))?;
    let output = beside(&args.profile, args.output.as_ref());
    OutputFile::open(&output, "profile.intoto.json")?.write(&signed)?;
    say!("signed {}", plain(&label(&args.profile)));
    Ok(Exit::Fine)
}

pub(super) fn run_verify(args: &VerifyArgs) -> Result<Exit, Failure> {
    let profile = read(&args.profile, MAX_PROFILE)?;
    let attestation = beside(&args.profile, args.attestation.as_ref());
    let envelope = read(&attestation, MAX_ENVELOPE)?;
    let statement = match verify(&envelope, &key(&args.key)?, &profile) {
        Ok(statement) => statement,
        Err(error @ SignatureError::Key(_)) => return Err(Failure::new(Exit::Usage, error)),
        Err(error) => {
            say!(
                "{}: {}",
                plain(&label(&attestation)),
                plain(&error.to_string())
            );
            return Ok(Exit::No);
        }
    };
    let predicate = &statement.predicate;
    let text = match args.format {
        Format::Text => plain_lines(&described(args, predicate)),
        Format::Json => {
            serde_json::to_string_pretty(&json!({"verified": true, "statement": statement}))? + "\n"
        }
    };
    print(text.as_bytes())?;
    Ok(if args.require_complete && !predicate.complete {
        say!("the recordings are incomplete");
        Exit::No
    } else {
        Exit::Fine
    })
}

fn described(args: &VerifyArgs, predicate: &Predicate) -> String {
    let mut text = format!("{}: signed by {}\n", label(&args.profile), label(&args.key));
    let mut line = |what: &str, value: String| {
        text.push_str(&format!("  {what}: {value}\n"));
    };
    let list = |values: &std::collections::BTreeSet<String>| {
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        if values.is_empty() {
            "unknown".to_owned()
        } else {
            values.join(", ")
        }
    };
    line("workload", predicate.workload.clone());
    line("images", list(&predicate.images));
    for recording in &predicate.recordings {
        line(
            "recording",
            format!("{} sha256:{}", recording.name, recording.digest.sha256),
        );
    }
    line("kernels", list(&predicate.kernels));
    line("runtimes", list(&predicate.runtimes));
    line("instances", predicate.instances.to_string());
    line("unseen", unseen(&predicate.unseen));
    if predicate.complete {
        line("complete", "yes".to_owned());
    }
    for reason in &predicate.reasons {
        line("incomplete", words::reason(reason));
    }
    if !predicate.losses.is_none() {
        line("losses", words::losses(&predicate.losses));
    }
    text
}
