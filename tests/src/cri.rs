//! What kubelet does on a node, done by a test: pods and containers by the CRI socket
//! (kubernetes/cri-api, pkg/apis/runtime/v1/api.proto).
//!
//! There is no package with a client. Only the fields that a test sets are here: in protobuf, one
//! that is left out has its default.

use std::{collections::HashMap, io, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::{net::UnixStream, runtime::Runtime, time::timeout};
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint, Uri},
};
use tonic_prost::ProstCodec;

/// How long a call may take: starting a container includes unpacking its image.
const LIMIT: Duration = Duration::from_secs(30);

/// A connection.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    grpc: Grpc<Channel>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(socket: PathBuf) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(socket).await?)) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        let channel = runtime
            .block_on(endpoint.connect_with_connector(connector))
            .context("connecting to the CRI socket")?;
        Ok(Self {
            runtime,
            grpc: Grpc::new(channel),
        })
    }

    /// Makes a call of the `RuntimeService`.
    fn call<Q, A>(&mut self, call: &str, request: Q) -> Result<A>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = format!("/runtime.v1.RuntimeService/{call}").parse()?;
        let asked = async {
            self.grpc.ready().await?;
            let codec = ProstCodec::<Q, A>::default();
            let answer = self.grpc.unary(Request::new(request), path, codec).await?;
            anyhow::Ok(answer.into_inner())
        };
        self.runtime
            .block_on(async { timeout(LIMIT, asked).await })
            .with_context(|| format!("waiting {LIMIT:?} for {call}"))?
            .with_context(|| format!("CRI's {call}"))
    }

    /// The runtime's version: answered as soon as it is ready for anything else.
    ///
    /// # Errors
    /// When it is not.
    pub fn version(&mut self) -> Result<String> {
        let answer: VersionResponse = self.call("Version", Empty {})?;
        Ok(answer.runtime_version)
    }

    /// Starts a pod, without containers.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn run_pod(&mut self, pod: &PodSandboxConfig) -> Result<String> {
        let config = Some(pod.clone());
        let answer: IdResponse = self.call("RunPodSandbox", RunPodSandboxRequest { config })?;
        Ok(answer.id)
    }

    /// Makes a container of a pod, which does not run yet, and tells its id.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn create(
        &mut self,
        pod_id: &str,
        pod: &PodSandboxConfig,
        container: ContainerConfig,
    ) -> Result<String> {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod_id.to_owned(),
            config: Some(container),
            sandbox_config: Some(pod.clone()),
        };
        let answer: IdResponse = self.call("CreateContainer", request)?;
        Ok(answer.id)
    }

    /// Lets a container run.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn start(&mut self, id: &str) -> Result<()> {
        self.by_id("StartContainer", id)
    }

    /// Kills a container.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn stop(&mut self, id: &str) -> Result<()> {
        // The timeout that is left out is 0.
        self.by_id("StopContainer", id)
    }

    /// Removes a container.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn remove(&mut self, id: &str) -> Result<()> {
        self.by_id("RemoveContainer", id)
    }

    /// Stops a pod and removes it.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn remove_pod(&mut self, id: &str) -> Result<()> {
        self.by_id("StopPodSandbox", id)?;
        self.by_id("RemovePodSandbox", id)
    }

    fn by_id(&mut self, call: &str, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.call(call, IdRequest { id }).map(|Empty {}| ())
    }
}

/// A namespace that is the node's (`NamespaceMode.NODE`).
pub const NODE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Empty {}

/// All the calls that name one thing have its id as their first field.
#[derive(Clone, PartialEq, Message)]
struct IdRequest {
    #[prost(string, tag = "1")]
    id: String,
}

/// The answers of the calls that make something have its id as their first field.
#[derive(Clone, PartialEq, Message)]
struct IdResponse {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct VersionResponse {
    #[prost(string, tag = "3")]
    runtime_version: String,
}

#[derive(Clone, PartialEq, Message)]
struct RunPodSandboxRequest {
    #[prost(message, optional, tag = "1")]
    config: Option<PodSandboxConfig>,
}

#[derive(Clone, PartialEq, Message)]
struct CreateContainerRequest {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
    #[prost(message, optional, tag = "2")]
    config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    sandbox_config: Option<PodSandboxConfig>,
}

/// `PodSandboxConfig`.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxConfig {
    /// Which pod.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<PodSandboxMetadata>,
    /// Labels.
    #[prost(map = "string, string", tag = "6")]
    pub labels: HashMap<String, String>,
    /// Linux's part.
    #[prost(message, optional, tag = "8")]
    pub linux: Option<LinuxPodSandboxConfig>,
}

/// `PodSandboxMetadata`.
#[derive(Clone, PartialEq, Message)]
pub struct PodSandboxMetadata {
    /// The pod's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The pod's uid.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// Its namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
}

/// `LinuxPodSandboxConfig`.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxPodSandboxConfig {
    /// The cgroup below which the containers' are.
    #[prost(string, tag = "1")]
    pub cgroup_parent: String,
    /// The rest.
    #[prost(message, optional, tag = "2")]
    pub security_context: Option<LinuxSandboxSecurityContext>,
}

/// `LinuxSandboxSecurityContext`.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxSandboxSecurityContext {
    /// Namespaces.
    #[prost(message, optional, tag = "1")]
    pub namespace_options: Option<NamespaceOption>,
}

/// `NamespaceOption`.
#[derive(Clone, PartialEq, Message)]
pub struct NamespaceOption {
    /// The network namespace.
    #[prost(int32, tag = "1")]
    pub network: i32,
}

/// `ContainerConfig`.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerConfig {
    /// Which container.
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<ContainerMetadata>,
    /// Its image.
    #[prost(message, optional, tag = "2")]
    pub image: Option<ImageSpec>,
    /// Its command line.
    #[prost(string, repeated, tag = "3")]
    pub command: Vec<String>,
    /// Its directory.
    #[prost(string, tag = "5")]
    pub working_dir: String,
    /// Directories of the node that it sees.
    #[prost(message, repeated, tag = "7")]
    pub mounts: Vec<Mount>,
    /// Labels.
    #[prost(map = "string, string", tag = "9")]
    pub labels: HashMap<String, String>,
    /// Linux's part.
    #[prost(message, optional, tag = "15")]
    pub linux: Option<LinuxContainerConfig>,
}

/// `ContainerMetadata`.
#[derive(Clone, PartialEq, Message)]
pub struct ContainerMetadata {
    /// Its name in the pod.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `ImageSpec`.
#[derive(Clone, PartialEq, Message)]
pub struct ImageSpec {
    /// The image's name.
    #[prost(string, tag = "1")]
    pub image: String,
}

/// `Mount`.
#[derive(Clone, PartialEq, Message)]
pub struct Mount {
    /// Where the container sees it.
    #[prost(string, tag = "1")]
    pub container_path: String,
    /// Where the node has it.
    #[prost(string, tag = "2")]
    pub host_path: String,
}

/// `LinuxContainerConfig`.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxContainerConfig {
    /// What it is allowed to do.
    #[prost(message, optional, tag = "2")]
    pub security_context: Option<LinuxContainerSecurityContext>,
}

/// `LinuxContainerSecurityContext`.
#[derive(Clone, PartialEq, Message)]
pub struct LinuxContainerSecurityContext {
    /// Namespaces.
    #[prost(message, optional, tag = "3")]
    pub namespace_options: Option<NamespaceOption>,
    /// Its seccomp filter; `RuntimeDefault` where there is an empty one, none where there is none.
    #[prost(message, optional, tag = "15")]
    pub seccomp: Option<SecurityProfile>,
}

/// `SecurityProfile`.
#[derive(Clone, PartialEq, Message)]
pub struct SecurityProfile {
    /// `ProfileType`.
    #[prost(int32, tag = "1")]
    pub profile_type: i32,
    /// The path of a `Localhost` one.
    #[prost(string, tag = "2")]
    pub localhost_ref: String,
}

impl SecurityProfile {
    /// The runtime's own filter.
    pub fn runtime_default() -> Self {
        Self::default()
    }

    /// A file's filter.
    pub fn localhost(path: &str) -> Self {
        Self {
            profile_type: 2,
            localhost_ref: path.to_owned(),
        }
    }
}
