//! Tickets that a proxy signs, shown to a real node that has the proxy's JWKS by URL.

use std::time::{Duration, SystemTime};

use access::{Ticket, TicketSigner};
use api::sidecar::{Command, Request};
use axum::{Router, routing::get};
use e2e::{LIMIT, node_process::NodeCommand, reader::Reader};

const TOPIC: &str = "t";

const HOUR: Duration = Duration::from_secs(3600);

fn signed(signer: &TicketSigner, at: SystemTime) -> String {
    let (topics, capabilities) = ([TOPIC.to_owned()], ["publish".to_owned()]);
    let ticket = Ticket {
        session_id: "s",
        client_id: "auth0|u1",
        node: "p2pnode-1",
        topics: &topics,
        capabilities: &capabilities,
    };
    signer.sign(&ticket, at, HOUR).expect("short")
}

/// Serves a JWKS as a proxy does; returns its URL.
async fn served(jwks: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let page = get(move || async move { jwks });
    let routes = Router::new().route("/.well-known/jwks.json", page);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}/.well-known/jwks.json")
}

fn command(command: i32, ticket: &str, data: &str) -> Request {
    let data = data.as_bytes().to_vec().into();
    Request { command, topic: TOPIC.to_owned(), data, jwt_token: ticket.to_owned() }
}

#[tokio::test]
async fn a_node_takes_commands_with_a_ticket_of_its_proxy_and_no_others() {
    let (proxy, stranger) = (TicketSigner::generate(), TicketSigner::generate());
    let url = served(proxy.jwks().to_owned()).await;
    let node = NodeCommand::new().with("SIDECAR_JWKS", &url).start().await;
    let now = SystemTime::now();
    let ticket = signed(&proxy, now);
    let mut reader = Reader::open(node.sidecar).await;
    let subscribe = command(Command::Subscribe as i32, &ticket, "");
    reader.commands.send(subscribe).await.expect("the stream is open");
    for wrong in ["", &signed(&stranger, now), &signed(&proxy, now - 2 * HOUR)] {
        let mut refused = Reader::open(node.sidecar).await;
        let publish = command(Command::Publish as i32, wrong, "no");
        refused.commands.send(publish).await.expect("the stream is open");
        let end = async {
            loop {
                if let Err(status) = refused.commands.responses.message().await {
                    break status;
                }
            }
        };
        let status = tokio::time::timeout(LIMIT, end).await.expect("in time");
        assert!(status.message().contains("ticket"), "{status}");
    }
    let publish = command(Command::Publish as i32, &ticket, "yes");
    reader.commands.send(publish).await.expect("the stream is open");
    assert_eq!(reader.message().await.message, "yes", "the first that comes");
}
