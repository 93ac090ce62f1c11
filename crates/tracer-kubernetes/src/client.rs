//! A connection to an API server.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The kubeconfig file cannot be used.
    #[error("cannot use the kubeconfig {path}")]
    Kubeconfig {
        /// Its path.
        path: String,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// This is no pod, or it has no service account.
    #[error(
        "cannot find an API server: not in a pod with a service account, and no kubeconfig was given"
    )]
    InCluster(#[source] InClusterError),
    /// The client cannot be made.
    #[error("cannot make a client for the API server")]
    Client(#[source] Box<kube::Error>),
}

/// Makes a client by a kubeconfig, or by the service account of the pod that this runs in. Connects to nobody yet.
///
/// # Errors
/// [`ClientError`].
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let error = |source| ClientError::Kubeconfig {
                path: path.display().to_string(),
                source: Box::new(source),
            };
            let file = Kubeconfig::read_from(path).map_err(error)?;
            let options = KubeConfigOptions::default();
            Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(error)?
        }
        None => Config::incluster().map_err(ClientError::InCluster)?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Client::try_from(config).map_err(|error| ClientError::Client(Box::new(error)))
}
