//! A client in Go, made of the proto files by the guide's lines, at real nodes.

use std::path::Path;

use e2e::{node_process::cluster, program_process::Program};

#[tokio::test]
#[ignore = "needs the client in Go; make go-client"]
async fn a_client_made_of_the_proto_files_receives_at_one_node_what_it_publishes_at_another() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../go-client/bin/client");
    assert!(client.exists(), "{} is not there; make go-client", client.display());
    let nodes = cluster(2, |node| node).await;
    let addresses = [&nodes[0], &nodes[1]].map(|node| node.sidecar.to_string());
    let mut command = std::process::Command::new(client);
    let mut client = Program::run(command.args(addresses).arg("go"));
    let status = client.ended().await;
    let printed = client.rest();
    assert!(status.success(), "{printed:?}");
    assert_eq!(printed[..2], ["healthy=true mode=optimum"; 2]);
    let message = &printed[2];
    assert!(message.starts_with("\"hello ") && message.ends_with("\" on \"go\""), "{message}");
}
