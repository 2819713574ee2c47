//! TLS on the faces of a daemon.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use thiserror::Error;

use crate::env::{ConfigError, Env};

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `TLS_CERT`: PEM, the daemon's own certificate first.
    pub certificates: PathBuf,
    /// `TLS_KEY`: PEM.
    pub key: PathBuf,
}

/// The help text's list of variables: name, default, meaning.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    ("TLS_CERT", "(none)", "PEM file of certificates; with TLS_KEY, TLS on gRPC and HTTP"),
    ("TLS_KEY", "(none)", "PEM file of the key of TLS_CERT"),
];

impl TlsFiles {
    /// Reads the variables; none when neither is set.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if only one of them is set.
    pub fn from_env(env: Env<'_>) -> Result<Option<Self>, ConfigError> {
        match (env.filled("TLS_CERT"), env.filled("TLS_KEY")) {
            (Some(certificates), Some(key)) => {
                Ok(Some(Self { certificates: certificates.into(), key: key.into() }))
            }
            (None, None) => Ok(None),
            (certificates, _) => {
                let missing = if certificates.is_none() { "TLS_CERT" } else { "TLS_KEY" };
                let problem = "one alone is no use".to_owned();
                Err(env.error(missing, problem, "both TLS_CERT and TLS_KEY, or neither"))
            }
        }
    }
}

/// Files that TLS cannot be served with.
#[derive(Debug, Error)]
#[error("{variable}={}: {problem}", .path.display())]
pub struct TlsError {
    /// The environment variable.
    pub variable: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
}

impl TlsFiles {
    /// Reads the files and returns how to serve with them. `protocols` are the names offered to
    /// clients that ask which protocol is spoken (ALPN).
    ///
    /// # Errors
    ///
    /// Returns [`TlsError`] if a file cannot be read or holds nothing of the kind, or the key is
    /// not that of the first certificate.
    pub fn server_config(&self, protocols: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
        let certificates = self.certificates()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| failed("TLS_KEY", &self.key, &error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(|error| failed("TLS_KEY", &self.key, &error))?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let failed = |error: &dyn std::fmt::Display| failed("TLS_CERT", &self.certificates, error);
        let read = CertificateDer::pem_file_iter(&self.certificates)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(&error))?;
        if read.is_empty() { Err(failed(&"no certificate is in it")) } else { Ok(read) }
    }
}

fn failed(variable: &'static str, path: &Path, problem: &dyn std::fmt::Display) -> TlsError {
    TlsError { variable, path: path.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn made(folder: &Path, name: &str) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let (certificates, key) =
            (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        fs::write(&certificates, made.cert.pem()).expect("written");
        fs::write(&key, made.key_pair.serialize_pem()).expect("written");
        TlsFiles { certificates, key }
    }

    #[test]
    fn a_certificate_and_its_key_serve() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = made(folder.path(), "a").server_config(&["h2"]).expect("sound");
        assert_eq!(config.alpn_protocols, [b"h2"]);
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said_with_the_variable() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (made(folder.path(), "a"), made(folder.path(), "b"));
        let absent = folder.path().join("absent");
        let files = |certificates: &Path, key: &Path| TlsFiles {
            certificates: certificates.to_owned(),
            key: key.to_owned(),
        };
        for (files, variable) in [
            (files(&absent, &a.key), "TLS_CERT"),
            (files(&a.key, &a.key), "TLS_CERT"),
            (files(&a.certificates, &absent), "TLS_KEY"),
            (files(&a.certificates, &a.certificates), "TLS_KEY"),
            (files(&a.certificates, &b.key), "TLS_KEY"),
        ] {
            let error = files.server_config(&[]).expect_err("unusable");
            assert_eq!(error.variable, variable, "{error}");
        }
    }
}
