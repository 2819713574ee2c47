//! Prometheus as a process, and what it is asked.

use std::{
    fs::File,
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, Url};
use serde_json::Value;
use tempfile::TempDir;

use crate::LIMIT;

/// How often it is asked whether it is so far.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    folder: TempDir,
    url: Url,
    client: Client,
}

impl Prometheus {
    /// Starts one with this configuration and a copy of these files beside it; none if it is not
    /// installed.
    pub async fn start(config: &str, beside: &[PathBuf]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("written");
        for file in beside {
            let name = file.file_name().expect("a file");
            std::fs::copy(file, folder.path().join(name)).expect("copied");
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = port.expect("a free port").to_string();
        let child = match spawn(folder.path(), &address) {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("prometheus: {error}"),
        };
        let url = format!("http://{address}").parse().expect("a URL");
        let client = Client::builder().no_proxy().build().expect("a client");
        let mut prometheus = Self { child, folder, url, client };
        prometheus.until_ready().await;
        Some(prometheus)
    }

    async fn until_ready(&mut self) {
        let begin = Instant::now();
        let ready = self.url.join("/-/ready").expect("a path");
        loop {
            let answer = self.client.get(ready.clone()).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "prometheus ended with {ended:?}:\n{}", self.log());
            assert!(begin.elapsed() < LIMIT, "prometheus is not ready:\n{}", self.log());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns what it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut url = self.url.join(path).expect("a path");
        url.query_pairs_mut().extend_pairs(parameters);
        let answer = self.client.get(url).send().await.expect("an answer");
        let answer = answer.text().await.expect("a body");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// Returns how many samples an expression has now whose value is a number.
    ///
    /// # Panics
    ///
    /// Panics when Prometheus cannot evaluate it.
    pub async fn count(&self, expression: &str) -> usize {
        let data = self.get("/api/v1/query", &[("query", expression)]).await;
        let samples = data["result"].as_array().expect("a vector");
        samples.iter().filter(|sample| sample["value"][1] != "NaN").count()
    }

    /// Returns the alerting rules, each with its state.
    pub async fn rules(&self) -> Vec<Value> {
        let data = self.get("/api/v1/rules", &[("type", "alert")]).await;
        let groups = data["groups"].as_array().expect("groups").clone();
        groups.iter().flat_map(|group| group["rules"].as_array().cloned().expect("rules")).collect()
    }

    /// Returns the targets that it scrapes.
    pub async fn targets(&self) -> Vec<Value> {
        let data = self.get("/api/v1/targets", &[("state", "active")]).await;
        data["activeTargets"].as_array().expect("targets").clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn spawn(folder: &Path, address: &str) -> std::io::Result<Child> {
    let log = File::create(folder.join("log")).expect("a log file");
    Command::new("prometheus")
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--log.level=warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
}
