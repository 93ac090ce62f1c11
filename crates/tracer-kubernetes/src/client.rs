//! A connection to an API server.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;

/// Maximum time to connect.
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
    /// This is not a pod, or the pod has no service account.
    #[error(
        "cannot find an API server: there is no kubeconfig, and this is not a pod with a service account"
    )]
    InCluster(InClusterError),
    /// The client cannot be created.
    #[error("cannot create a client for the API server")]
    Client(#[source] Box<kube::Error>),
}

/// Creates a client from a kubeconfig, or from the service account of this pod. Does not connect yet.
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
