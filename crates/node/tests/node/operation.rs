//! What an operator sets beside the protocol: what lasts across restarts, TLS, the place.

use std::{path::Path, sync::Arc};

use api::{StreamOptions, sidecar::Command::Subscribe};
use gossip::Topic;
use node::{Config, Running};
use service::tls::TlsFiles;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs::default_provider,
        pki_types::{CertificateDer, ServerName},
    },
};

use crate::common::{
    client::{Client, connect},
    config, start, until,
};

async fn start_in(folder: &Path) -> Running {
    let config = Config { identity_dir: folder.to_owned(), ..config("c", &[]) };
    node::start(config).await.expect("the node starts")
}

async fn subscribe(node: &Running, name: &str) {
    node.handle().subscribe(Topic::new(name).expect("a topic")).await.expect("runs");
}

#[tokio::test]
async fn topics_last_across_restarts_and_leases_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start_in(folder.path()).await;
    for name in ["a", "b", "c"] {
        subscribe(&node, name).await;
    }
    node.handle().unsubscribe(Topic::new("b").expect("a topic")).await.expect("runs");
    let wants = StreamOptions { holder: Some("h".to_owned()), ..StreamOptions::default() };
    let holder = Client::open_with(&node, &wants).await;
    holder.send(Subscribe, "leased", "").await;
    until(&node, "leased", |status| status.topics == ["a", "c", "leased"]).await;
    node.shutdown().await;
    let node = start_in(folder.path()).await;
    until(&node, "what was plain", |status| status.topics == ["a", "c"]).await;
    assert_eq!(node.handle().status().await.expect("runs").counters.topic_dump_failures, 0);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_counted_and_the_node_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing can take the place of a folder.
    std::fs::create_dir(folder.path().join("topics.dump")).expect("made");
    let node = start_in(folder.path()).await;
    subscribe(&node, "a").await;
    until(&node, "counted", |status| status.counters.topic_dump_failures > 0).await;
    subscribe(&node, "b").await;
    until(&node, "it goes on", |status| status.topics == ["a", "b"]).await;
}

#[tokio::test]
async fn a_node_of_the_callers_own_key_does_not_touch_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = start(Config { identity_dir: folder.path().into(), ..config("c", &[]) }).await;
    subscribe(&node, "a").await;
    until(&node, "subscribed", |status| status.topics == ["a"]).await;
    node.shutdown().await;
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn what_was_taken_before_a_shutdown_is_published() {
    let node = start(config("c", &[])).await;
    let handle = node.handle().clone();
    let topic = Topic::new("t").expect("a topic");
    // Long enough to be hashed beside the event loop.
    let publish = tokio::spawn(async move { handle.publish(topic, vec![7; 1 << 20].into()).await });
    until(&node, "taken", |status| status.topics == ["t"]).await;
    node.shutdown().await;
    publish.await.expect("no panic").expect("not closed before").expect("published");
}

/// Connects with TLS, trusting `certificate`, and offers `protocol`.
async fn tls(
    address: std::net::SocketAddr,
    certificate: &CertificateDer<'static>,
    protocol: &str,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = stream.expect("agrees");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
    stream
}

#[tokio::test]
async fn with_a_certificate_both_faces_speak_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    let (certificates, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificates, made.cert.pem()).expect("written");
    std::fs::write(&key, made.key_pair.serialize_pem()).expect("written");
    let files = Some(TlsFiles { certificates, key });
    let node = start(Config { tls: files, ..config("c", &[]) }).await;

    let mut http = tls(node.api_address(), made.cert.der(), "http/1.1").await;
    let request = "GET /api/v1/health HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";
    http.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    http.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains(r#""status":"ok""#), "{answer}");

    let mut grpc = tls(node.sidecar_address(), made.cert.der(), "h2").await;
    // The client's part of an HTTP/2 start: the preface and an empty SETTINGS frame.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    grpc.write_all(preface).await.expect("sent");
    let mut head = [0; 9];
    grpc.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "the server's SETTINGS");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_naming_their_variable() {
    let folder = tempfile::tempdir().expect("a folder");
    let absent = folder.path().join("absent");
    let files = TlsFiles { certificates: absent.clone(), key: absent.clone() };
    let tls = Config { tls: Some(files), ..config("c", &[]) };
    let jwks = Config { sidecar_jwks: Some(absent.display().to_string()), ..config("c", &[]) };
    let mut geo = config("c", &[]);
    geo.geo.database = Some(absent.clone());
    for (config, variable) in [(tls, "TLS_CERT"), (jwks, "SIDECAR_JWKS"), (geo, "GEOIP_DB")] {
        let checked = format!("{:#}", node::check(&config).await.expect_err("refused"));
        let config = Config { identity_dir: folder.path().into(), ..config };
        let refused = format!("{:#}", node::start(config).await.expect_err("refused"));
        for error in [checked, refused] {
            assert!(error.contains(variable), "{error}");
            assert!(error.contains(&absent.display().to_string()), "{error}");
        }
    }
}

#[tokio::test]
async fn a_fixed_place_is_shown() {
    let mut fixed = config("c", &[]);
    fixed.geo.country = Some("Germany".to_owned());
    fixed.geo.country_iso = Some("DE".to_owned());
    let node = start(fixed).await;
    let health = connect(&node).await.health(api::sidecar::Void {}).await.expect("answers");
    let health = health.into_inner();
    assert_eq!((health.country.as_str(), health.country_iso.as_str()), ("Germany", "DE"));
    for page in ["health", "node-state"] {
        let url = format!("http://{}/api/v1/{page}", node.api_address());
        let body = reqwest::get(url).await.expect("answers").text().await.expect("text");
        assert!(body.contains(r#""country":"Germany","country_iso":"DE""#), "{body}");
    }
}
