//! The lines of `--debug` that benchmarks read: who sent what when, in the payload itself and as
//! lines with tabs.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use api::Delivery;
use sha2::{Digest as _, Sha256};

use crate::received::Protocol;

/// Returns the payload with its sender and time in front.
pub(crate) fn stamped(address: &str, now_unix_ns: i64, payload: &[u8]) -> Vec<u8> {
    let stamp =
        format!("sender_addr:{address}\t[send_time, size]:[{now_unix_ns}, {}]\t", payload.len());
    [stamp.as_bytes(), payload].concat()
}

/// Returns the line of a publish.
pub(crate) fn published(
    address: &str,
    now_unix_ns: i64,
    topic: &str,
    payload: &[u8],
    protocol: &str,
) -> String {
    format!(
        "Publish:\tsender_info:{address}, [send_time, size]:[{now_unix_ns}, {}]\ttopic:{topic}\tmsg_hash:{}\tprotocol:{protocol}",
        payload.len(),
        short_hash(payload)
    )
}

/// Returns the line of a message that was received as number `count`.
pub(crate) fn received(
    count: u64,
    address: &str,
    now_unix_ns: i64,
    topic: &str,
    delivery: &Delivery,
    protocol: Protocol,
) -> String {
    let payload = &delivery.message;
    let mut line = format!(
        "Recv:\t[{count}]\treceiver_addr:{address}\t[recv_time, size]:[{now_unix_ns}, {}]\t{}\ttopic:{topic}\thash:{}\tprotocol:{}",
        payload.len(),
        sender(payload).unwrap_or_default(),
        short_hash(payload),
        protocol.name(),
    );
    if protocol == Protocol::Direct {
        let id: String = delivery.message_id.chars().take(12).collect();
        let (from, via) = (&delivery.source_node_id, &delivery.upstream_peer_id);
        line = format!("{line}\tfrom:{from}\tvia:{via}\tid:{id}...");
    }
    line
}

/// Returns what a payload says of its sender, if it does.
fn sender(payload: &[u8]) -> Option<String> {
    // What comes before the second tab is short.
    let head = &payload[..payload.len().min(256)];
    let mut parts = head.split(|byte| *byte == b'\t');
    let (address, time) = (parts.next()?, parts.next()?);
    parts.next()?;
    let is_stamp = address.starts_with(b"sender_addr:") && time.starts_with(b"[send_time, size]:");
    is_stamp.then(|| {
        let text = |part| String::from_utf8_lossy(part).into_owned();
        format!("{}\t{}", text(address), text(time))
    })
}

fn short_hash(payload: &[u8]) -> String {
    hex::encode(&Sha256::digest(payload)[..4])
}

/// Returns the address of this machine that a server sees, as far as this machine knows. Nothing is
/// sent for it.
pub(crate) fn own_address(url: &str) -> String {
    let find = || -> Option<IpAddr> {
        let url = reqwest::Url::parse(url).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let server = (host, url.port_or_known_default()?).to_socket_addrs().ok()?.next()?;
        let any: SocketAddr = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().ok()?;
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(server).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    find().map_or_else(|| "unknown".to_owned(), |ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_again_by_who_receives_it() {
        let payload = stamped("10.0.0.1", 42, b"hi");
        assert_eq!(payload, b"sender_addr:10.0.0.1\t[send_time, size]:[42, 2]\thi");
        let hash = short_hash(&payload);
        let message = Delivery {
            topic: "t".to_owned(),
            source_node_id: "12D3".to_owned(),
            upstream_peer_id: "16Ui".to_owned(),
            message_id: "0123456789abcdef".to_owned(),
            message: payload.into(),
        };
        let line = received(3, "10.0.0.2", 43, "t", &message, Protocol::WebSocket);
        let expected = format!(
            "Recv:\t[3]\treceiver_addr:10.0.0.2\t[recv_time, size]:[43, 49]\tsender_addr:10.0.0.1\t\
             [send_time, size]:[42, 2]\ttopic:t\thash:{hash}\tprotocol:WebSocket"
        );
        assert_eq!(line, expected);
        let line = received(3, "10.0.0.2", 43, "t", &message, Protocol::Direct);
        assert!(
            line.ends_with("protocol:gRPC-direct\tfrom:12D3\tvia:16Ui\tid:0123456789ab..."),
            "{line}"
        );
    }

    #[test]
    fn a_payload_without_a_stamp_says_nothing_of_its_sender() {
        for payload in [&b""[..], b"hi", b"sender_addr:x", b"a\tb\tc", b"\xff\t\xff\t"] {
            assert_eq!(sender(payload), None);
        }
    }

    #[test]
    fn this_machine_has_an_address_for_a_server_on_it() {
        assert_eq!(own_address("http://127.0.0.1:1"), "127.0.0.1");
        assert_eq!(own_address("no url"), "unknown");
    }
}
