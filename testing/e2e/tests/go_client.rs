//! A client in Go, made of the proto files by the guide's lines, at a real node and proxy.

use std::path::Path;

use e2e::{node_process::cluster, program_process::Program, proxy_process::ProxyCommand};

#[tokio::test]
#[ignore = "needs the client in Go; make go-client"]
async fn a_client_made_of_the_proto_files_talks_to_node_and_proxy() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../go-client/bin/client");
    assert!(client.exists(), "{} is not there; make go-client", client.display());
    let nodes = cluster(2, |node| node).await;
    let proxy = ProxyCommand::new(&nodes).start().await;
    proxy.until_nodes(2).await;
    let addresses = [nodes[0].sidecar.to_string(), proxy.grpc.to_string()];
    let mut command = std::process::Command::new(client);
    let mut client = Program::run(command.args(addresses).arg("go"));
    let status = client.ended().await;
    let printed = client.rest();
    assert!(status.success(), "{printed:?}");
    for from in ["node", "proxy"] {
        for message in ["by node", "by proxy"] {
            let line = format!(r#"{from}: "{message}" on "go""#);
            assert!(printed.contains(&line), "no {line} in {printed:?}");
        }
    }
}
