//! A seccomp profile as an OCI artifact, on disk as an image layout: what KEP-6061 has a kubelet pull, and
//! CRI-O reads by annotation.
//!
//! - One layer, the profile itself in the runtime-spec's form and no archive; the kind is told by the
//!   media type of the config, and of `artifactType`.
//! - Runtimes refuse a profile of more than 1 MiB or 128 entries, one that notifies a listener, and one
//!   of another media type.

use std::str::FromStr as _;

use oci_spec::image::{
    Descriptor, DescriptorBuilder, Digest, ImageIndexBuilder, ImageManifestBuilder, MediaType,
    OciLayoutBuilder,
};

use super::{Limit, Remedy, TargetError, seccomp::oci::OciSeccomp};

/// Says what an artifact is.
pub const MEDIA_TYPE: &str = "application/vnd.cncf.seccomp-profile.config.v1+json";

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Runtimes would refuse it.
    #[error(transparent)]
    TargetError(#[from] TargetError),
    /// It could not be put together: a bug.
    #[error("the artifact could not be put together")]
    Spec(#[from] oci_spec::OciSpecError),
}

/// The files of the image layout: path and text. `name` becomes its `org.opencontainers.image.ref.name`.
///
/// # Errors
/// When runtimes would refuse the profile.
///
/// ```
/// use tracer_core::profile::{artifact::layout, seccomp::oci::OciSeccomp};
///
/// let json = r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#;
/// let profile: OciSeccomp = serde_json::from_str(json).unwrap();
/// let files = layout("web", &profile, json).unwrap();
/// assert!(files.iter().any(|(path, text)| path == "oci-layout" && text.contains("1.0.0")));
/// ```
pub fn layout(
    name: &str,
    profile: &OciSeccomp,
    json: &str,
) -> Result<Vec<(String, String)>, Error> {
    check(profile, json)?;
    let config_text = "{}";
    let config = descriptor(MediaType::Other(MEDIA_TYPE.to_owned()), config_text)?;
    let mut layer = descriptor(MediaType::Other("application/json".to_owned()), json)?;
    layer.set_annotations(Some(
        [(
            "org.opencontainers.image.title".to_owned(),
            "seccomp.json".to_owned(),
        )]
        .into(),
    ));
    let (config_path, layer_path) = (blob(&config), blob(&layer));
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .artifact_type(MediaType::Other(MEDIA_TYPE.to_owned()))
        .config(config)
        .layers(vec![layer])
        .build()?
        .to_string()?;
    let mut entry = descriptor(MediaType::ImageManifest, &manifest)?;
    entry.set_artifact_type(Some(MediaType::Other(MEDIA_TYPE.to_owned())));
    entry.set_annotations(Some(
        [(
            "org.opencontainers.image.ref.name".to_owned(),
            name.to_owned(),
        )]
        .into(),
    ));
    let manifest_path = blob(&entry);
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .manifests(vec![entry])
        .build()?;
    let layout = OciLayoutBuilder::default()
        .image_layout_version("1.0.0")
        .build()?;
    Ok(vec![
        (config_path, config_text.to_owned()),
        (layer_path, json.to_owned()),
        (manifest_path, manifest),
        ("index.json".to_owned(), index.to_string()?),
        ("oci-layout".to_owned(), layout.to_string()?),
    ])
}

fn check(profile: &OciSeccomp, json: &str) -> Result<(), TargetError> {
    Limit::ArtifactEntries.check(profile.syscalls.len(), Remedy::FewerArguments)?;
    Limit::ArtifactBytes.check(json.len(), Remedy::FewerArguments)
}

fn descriptor(media_type: MediaType, text: &str) -> Result<Descriptor, oci_spec::OciSpecError> {
    let sum = hmac_sha256::Hash::hash(text.as_bytes());
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    DescriptorBuilder::default()
        .media_type(media_type)
        .digest(Digest::from_str(&format!("sha256:{hex}"))?)
        .size(u64::try_from(text.len()).unwrap_or(u64::MAX))
        .build()
}

fn blob(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.digest().digest())
}
