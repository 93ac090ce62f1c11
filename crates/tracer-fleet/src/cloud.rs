//! S3, Google Cloud Storage and Azure Blob Storage, as `object_store` speaks to them.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use object_store::{
    BackoffConfig, Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    path::Path,
};
use tokio::runtime::Runtime;

use crate::{
    Listed, Put, Store, StoreError, Variables,
    http::{Connector, RetryAfter, agent},
    parts,
};

/// A bucket or container, or what begins with a prefix there.
pub(crate) struct Cloud {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    retry_after: RetryAfter,
    runtime: Runtime,
}

impl Cloud {
    /// Opens it, without asking it anything.
    pub(crate) fn open(
        (url, scheme, rest): (&str, &str, &str),
        variables: &Variables,
    ) -> Result<Self, StoreError> {
        let wrong = |reason: String| StoreError::Address {
            url: url.to_owned(),
            reason,
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if bucket.is_empty() {
            return Err(wrong("it names no bucket".to_owned()));
        }
        parts(prefix)?;
        let retry_after = RetryAfter::default();
        let connector = Connector {
            agent: agent(),
            retry_after: retry_after.clone(),
        };
        let store =
            store(scheme, bucket, connector, variables).map_err(|it| wrong(it.to_string()))?;
        Self::new(store, prefix, retry_after)
    }

    fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        retry_after: RetryAfter,
    ) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| StoreError::Unavailable {
                reason: error.to_string(),
                retry_after: None,
            })?;
        Ok(Self {
            store,
            prefix: prefix.to_owned(),
            retry_after,
            runtime,
        })
    }

    /// Where an object is.
    fn place(&self, name: &str) -> Result<Path, StoreError> {
        parts(name)?;
        let whole = match (self.prefix.as_str(), name) {
            ("", name) => name.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, name) => format!("{prefix}/{name}"),
        };
        Path::parse(&whole).map_err(|_| StoreError::Name(name.to_owned()))
    }

    fn error(&self, name: &str, error: &Error) -> StoreError {
        let retry_after = self.retry_after.take();
        match error {
            Error::NotFound { .. } => StoreError::NotFound(name.to_owned()),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                StoreError::Refused(error.to_string())
            }
            _ => StoreError::Unavailable {
                reason: error.to_string(),
                retry_after,
            },
        }
    }
}

fn store(
    scheme: &str,
    bucket: &str,
    connector: Connector,
    variables: &Variables,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    Ok(match scheme {
        "s3" => s3(configured(variables), bucket, connector)?,
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_http_connector(connector)
                .with_retry(retries())
                .build()?,
        ),
        _ => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_container_name(bucket)
                .with_http_connector(connector)
                .with_retry(retries())
                .build()?,
        ),
    })
}

/// As `AmazonS3Builder::from_env`, by the variables that were given.
fn configured(variables: &Variables) -> AmazonS3Builder {
    let known = variables.iter().filter_map(|(name, value)| {
        let key = name
            .strip_prefix("AWS_")
            .map(|_| name.to_ascii_lowercase())?;
        Some((key.parse::<AmazonS3ConfigKey>().ok()?, value))
    });
    known.fold(AmazonS3Builder::new(), |builder, (key, value)| {
        builder.with_config(key, value)
    })
}

fn s3(
    builder: AmazonS3Builder,
    bucket: &str,
    connector: Connector,
) -> object_store::Result<Arc<dyn ObjectStore>> {
    Ok(Arc::new(
        builder
            .with_bucket_name(bucket)
            .with_http_connector(connector)
            .with_retry(retries())
            .build()?,
    ))
}

/// Who calls decides when to try again. One repetition hides a connection that was closed meanwhile.
fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 1,
        retry_timeout: Duration::from_secs(20),
    }
}

impl Store for Cloud {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError> {
        // Not every server that speaks S3's protocol heeds the condition of a put.
        if self.has(name)? {
            return Ok(Put::Present);
        }
        let place = self.place(name)?;
        let payload = PutPayload::from(bytes.to_vec());
        let put = self
            .store
            .put_opts(&place, payload, PutOptions::from(PutMode::Create));
        match self.runtime.block_on(put) {
            Ok(_) => Ok(Put::Written),
            Err(Error::AlreadyExists { .. }) => Ok(Put::Present),
            Err(error) => Err(self.error(name, &error)),
        }
    }

    fn has(&self, name: &str) -> Result<bool, StoreError> {
        let place = self.place(name)?;
        match self.runtime.block_on(self.store.head(&place)) {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.error(name, &error)),
        }
    }

    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let place = self.place(name)?;
        let too_large = || StoreError::TooLarge {
            name: name.to_owned(),
            limit,
        };
        self.runtime.block_on(async {
            let found = self.store.get(&place).await;
            let found = found.map_err(|it| self.error(name, &it))?;
            if found.meta.size > limit {
                return Err(too_large());
            }
            let mut bytes = Vec::new();
            let mut stream = found.into_stream();
            while let Some(chunk) = stream.next().await {
                bytes.extend_from_slice(&chunk.map_err(|it| self.error(name, &it))?);
                if bytes.len() as u64 > limit {
                    return Err(too_large());
                }
            }
            Ok(bytes)
        })
    }

    fn list(
        &self,
        prefix: &str,
        each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let place = self.place(prefix)?;
        let own = if self.prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", self.prefix)
        };
        self.runtime.block_on(async {
            let mut stream = self.store.list(Some(&place));
            while let Some(entry) = stream.next().await {
                let entry = entry.map_err(|it| self.error(prefix, &it))?;
                let Some(name) = entry.location.as_ref().strip_prefix(&own) else {
                    continue;
                };
                let written = entry.last_modified.timestamp_millis();
                let listed = Listed {
                    name: name.to_owned(),
                    bytes: entry.size,
                    written_ms: u64::try_from(written).unwrap_or(0),
                };
                if each(listed).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let place = self.place(name)?;
        match self.runtime.block_on(self.store.delete(&place)) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(name, &error)),
        }
    }
}

#[cfg(test)]
#[path = "cloud_tests.rs"]
mod tests;
