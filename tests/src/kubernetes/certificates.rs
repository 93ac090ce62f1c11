//! Keys and certificates, by openssl(1): elliptic curves, which are made in milliseconds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::API_SERVER;
use crate::process;

/// A certificate authority, and the directory where it and all that it signed lies.
#[derive(Debug)]
pub(super) struct Authority(PathBuf);

impl Authority {
    /// Makes one.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let authority = Self(directory.to_owned());
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=test",
        )?;
        Ok(authority)
    }

    /// Its certificate.
    pub(super) fn root(&self) -> PathBuf {
        self.0.join("ca.crt")
    }

    /// The path of something that it made.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes NAME.key and NAME.crt.
    pub(super) fn certificate(&self, name: &str, subject: &str, names: &str) -> Result<()> {
        fs::write(self.file("extensions"), format!("subjectAltName={names}"))?;
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -subj {subject} -out {name}.csr"
        ))?;
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out {name}.crt -extfile extensions"
        ))
    }

    /// Makes a user of the API: NAME.conf, and what it names.
    pub(super) fn user(&self, name: &str, subject: &str) -> Result<()> {
        self.certificate(name, subject, &format!("DNS:{name}"))?;
        self.configuration(name)
    }

    /// Makes a node: a user of the API that serves as well.
    pub(super) fn node(&self, name: &str, address: &str) -> Result<()> {
        let subject = format!("/O=system:nodes/CN=system:node:{name}");
        self.certificate(name, &subject, &format!("DNS:{name},IP:{address}"))?;
        self.configuration(name)
    }

    /// Makes sa.key and sa.pub, by which service accounts are known.
    pub(super) fn service_account_key(&self) -> Result<()> {
        self.openssl("genrsa -out sa.key 2048")?;
        self.openssl("rsa -in sa.key -pubout -out sa.pub")
    }

    fn configuration(&self, name: &str) -> Result<()> {
        let at = self.0.display();
        let text = format!(
            "apiVersion: v1\nkind: Config\n\
             clusters: [{{name: test, cluster: {{server: \"https://{API_SERVER}:443\", certificate-authority: {at}/ca.crt}}}}]\n\
             users: [{{name: {name}, user: {{client-certificate: {at}/{name}.crt, client-key: {at}/{name}.key}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: {name}}}}}]\n\
             current-context: test\n"
        );
        let file = self.file(&format!("{name}.conf"));
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    }

    fn openssl(&self, arguments: &str) -> Result<()> {
        let mut command = Command::new("openssl");
        command.current_dir(&self.0).args(arguments.split(' '));
        process::run(&mut command)?.success()?;
        Ok(())
    }
}
