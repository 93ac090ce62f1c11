//! The container image: one layer with the program and nothing else, as an OCI image layout in a tar
//! archive. The archive also holds the `manifest.json` of `docker save`, so that `docker load` of
//! every version reads it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, HistoryBuilder, ImageConfigurationBuilder,
    ImageIndexBuilder, ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, PlatformBuilder,
    RootFsBuilder, Sha256Digest,
};
use serde::Serialize;
use serde_json::json;

use crate::archive::{Tar, file_name, gzip, sha256};
use crate::input::{Architecture, Binary, Input};
use crate::{LICENCE, SUMMARY, VERSION, notices};

/// The image's name. `localhost` belongs to nobody: an engine that does not have the image does not
/// ask a public registry for a stranger's.
const NAME: &str = "localhost/tracer";

/// Where the program is, in the image.
const PROGRAM: &str = "usr/bin/tracer";

/// Where commands run: mount what they read and write there.
const WORK: &str = "work";

/// Makes the archive.
pub(crate) fn make(input: &Input, binary: &Binary, notices: &str) -> Result<Vec<u8>> {
    let layer = layer(input, binary, notices)?;
    let mut blobs = Blobs::default();
    let layer_descriptor = blobs.add(MediaType::ImageLayerGzip, gzip(&layer)?)?;
    let config = configuration(input, binary, &sha256(&layer))?;
    let config = blobs.add(MediaType::ImageConfig, config)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config.clone())
        .layers(vec![layer_descriptor.clone()])
        .build()?;
    let mut manifest = blobs.add(MediaType::ImageManifest, sorted(&manifest)?)?;
    let platform = PlatformBuilder::default()
        .architecture(architecture(binary.architecture))
        .os(Os::Linux)
        .build()?;
    manifest.set_platform(Some(platform));
    let name = format!("{NAME}:{VERSION}");
    manifest.set_annotations(Some(
        [
            ("org.opencontainers.image.ref.name".into(), VERSION.into()),
            // By this one containerd names what it imports.
            ("io.containerd.image.name".into(), name.clone()),
        ]
        .into(),
    ));
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .manifests(vec![manifest])
        .build()?;
    let layout = OciLayoutBuilder::default()
        .image_layout_version("1.0.0")
        .build()?;
    let docker = json!([{
        "Config": blob(&config),
        "RepoTags": [name],
        "Layers": [blob(&layer_descriptor)],
    }]);
    let mut tar = Tar::new(input.epoch()?, "");
    for (path, bytes) in &blobs.0 {
        tar.file(path, bytes, 0o644)?;
    }
    tar.file("index.json", &sorted(&index)?, 0o644)?;
    tar.file("manifest.json", &sorted(&docker)?, 0o644)?;
    tar.file("oci-layout", &sorted(&layout)?, 0o644)?;
    tar.finish()
}

/// The root file system.
fn layer(input: &Input, binary: &Binary, notices: &str) -> Result<Vec<u8>> {
    let mut tar = Tar::new(input.epoch()?, "");
    // Files are put together there before they get their names.
    tar.directory("tmp", 0o1777)?;
    tar.file(PROGRAM, &binary.program, 0o755)?;
    let licences = input.top.iter();
    let licences = licences.filter(|text| text.name.starts_with("LICENSE"));
    let licences = licences.map(|text| (text.name.as_str(), text.bytes.as_slice()));
    for (name, bytes) in licences.chain([(notices::NAME, notices.as_bytes())]) {
        tar.file(&format!("usr/share/licenses/tracer/{name}"), bytes, 0o644)?;
    }
    tar.directory(WORK, 0o755)?;
    tar.finish()
}

fn configuration(input: &Input, binary: &Binary, layer: &str) -> Result<Vec<u8>> {
    let created = input.time.to_string();
    let labels = [
        ("org.opencontainers.image.title", "tracer"),
        ("org.opencontainers.image.description", SUMMARY),
        ("org.opencontainers.image.licenses", LICENCE),
        ("org.opencontainers.image.version", VERSION),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = ConfigBuilder::default()
        .entrypoint(vec![format!("/{PROGRAM}")])
        .cmd(vec!["--help".to_owned()])
        .env(vec!["PATH=/usr/bin".to_owned()])
        .working_dir(format!("/{WORK}"))
        .labels(labels)
        .build()?;
    let root = RootFsBuilder::default()
        .typ("layers")
        .diff_ids(vec![format!("sha256:{layer}")])
        .build()?;
    let history = HistoryBuilder::default()
        .created(created.clone())
        .created_by(format!("COPY {} /usr/bin/", file_name(PROGRAM)))
        .build()?;
    let image = ImageConfigurationBuilder::default()
        .created(created)
        .architecture(architecture(binary.architecture))
        .os(Os::Linux)
        .config(config)
        .rootfs(root)
        .history(vec![history])
        .build()?;
    sorted(&image)
}

fn architecture(of: Architecture) -> Arch {
    match of {
        Architecture::X86_64 => Arch::Amd64,
        Architecture::Aarch64 => Arch::ARM64,
    }
}

/// The blobs of a layout, by path.
#[derive(Default)]
struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    fn add(&mut self, media_type: MediaType, bytes: Vec<u8>) -> Result<Descriptor> {
        let digest: Sha256Digest = sha256(&bytes).parse().context("a digest")?;
        let descriptor = DescriptorBuilder::default()
            .media_type(media_type)
            .size(u64::try_from(bytes.len())?)
            .digest(digest)
            .build()?;
        self.0.insert(blob(&descriptor), bytes);
        Ok(descriptor)
    }
}

fn blob(descriptor: &Descriptor) -> String {
    format!("blobs/sha256/{}", descriptor.digest().digest())
}

/// JSON with sorted keys: the crate keeps labels and annotations in maps without an order.
fn sorted(value: &impl Serialize) -> Result<Vec<u8>> {
    let value = serde_json::to_value(value).context("cannot make JSON")?;
    serde_json::to_vec(&value).context("cannot make JSON")
}
