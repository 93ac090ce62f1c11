//! Calls on a CRI socket, each within a time limit.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Code, Request,
    client::Grpc,
    transport::{Channel, Endpoint, Uri},
};
use tonic_prost::ProstCodec;

use super::wire::ListRequest;
use crate::container::ContainerError;

/// How long a connection or a call may take.
pub const TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer; kubelet's own limit (pkg/kubelet/cri/remote: maxMsgSize).
const MAX_RESPONSE: usize = 16 << 20;

pub(super) struct Client {
    grpc: Grpc<Channel>,
    socket: PathBuf,
    limit: Duration,
}

impl Client {
    pub(super) async fn connect(socket: &Path, limit: Duration) -> Result<Self, ContainerError> {
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
        });
        // The name is sent as the authority and means nothing on a socket of a file system.
        let endpoint = Endpoint::from_static("http://localhost");
        let connected = endpoint.connect_with_connector(connector);
        let call = "connect";
        let channel = timeout(limit, connected)
            .await
            .map_err(|_| late(socket, call, limit))?
            .map_err(|error| refused(socket, call, &root_cause(&error)))?;
        Ok(Self {
            grpc: Grpc::new(channel).max_decoding_message_size(MAX_RESPONSE),
            socket: socket.to_owned(),
            limit,
        })
    }

    /// Asks for a list. `None` when the socket does not speak CRI at all: containerd with that
    /// plug-in disabled, as Docker's package has it.
    pub(super) async fn list<R>(&mut self, call: &'static str) -> Result<Option<R>, ContainerError>
    where
        R: Message + Default + 'static,
    {
        let asked = async {
            self.grpc
                .ready()
                .await
                .map_err(|error| refused(&self.socket, call, &root_cause(&error)))?;
            let codec = ProstCodec::<ListRequest, R>::default();
            let path = call
                .parse()
                .map_err(|_| refused(&self.socket, call, "it is no call's name"))?;
            match self
                .grpc
                .unary(Request::new(ListRequest {}), path, codec)
                .await
            {
                Ok(answer) => Ok(Some(answer.into_inner())),
                Err(status) if status.code() == Code::Unimplemented => Ok(None),
                Err(status) => Err(refused(
                    &self.socket,
                    call,
                    &format!("{:?}: {}", status.code(), status.message()),
                )),
            }
        };
        timeout(self.limit, asked)
            .await
            .map_err(|_| late(&self.socket, call, self.limit))?
    }
}

fn late(socket: &Path, call: &'static str, limit: Duration) -> ContainerError {
    ContainerError::CriTime {
        socket: socket.to_owned(),
        call,
        seconds: limit.as_secs(),
    }
}

/// What the other side said is text that anyone may have written.
fn refused(socket: &Path, call: &'static str, reason: &str) -> ContainerError {
    let reason: String = reason
        .chars()
        .take(300)
        .flat_map(char::escape_debug)
        .collect();
    ContainerError::Cri {
        socket: socket.to_owned(),
        call,
        reason,
    }
}

/// tonic says "transport error"; what is below says why.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}
