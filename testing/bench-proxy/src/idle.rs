//! What a client occupies that is connected and has a subscription, and hears nothing.

use std::time::Duration;

use anyhow::Result;

use crate::{
    comparison::{Comparison, Effort, Figures, by_turns, median_of, verdict},
    crowd::Crowd,
    faces::Face,
    message::Clock,
    server::{Programs, Server},
};

/// Until what was needed for connecting is given back.
const SETTLE: Duration = Duration::from_secs(3);

/// At most this for each client.
const TARGET_KIB: f64 = 30.0;

/// What a server occupies.
#[derive(Clone, Copy, Debug)]
struct Memory {
    empty_mib: f64,
    full_mib: f64,
    client_kib: f64,
}

impl Figures for Memory {
    fn median(all: &[Self]) -> Self {
        Self {
            empty_mib: median_of(all, |one| one.empty_mib),
            full_mib: median_of(all, |one| one.full_mib),
            client_kib: median_of(all, |one| one.client_kib),
        }
    }
}

async fn occupied(server: &Server, clients: usize) -> Result<Memory> {
    tokio::time::sleep(SETTLE).await;
    let empty = server.resident_bytes()? as f64;
    let crowd = Crowd::gather(server, Face::WebSocket, clients, Clock::start(), false).await?;
    tokio::time::sleep(SETTLE).await;
    crowd.check()?;
    let full = server.resident_bytes()? as f64;
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    Ok(Memory {
        empty_mib: mib(empty),
        full_mib: mib(full),
        client_kib: (full - empty) / clients as f64 / 1024.0,
    })
}

/// Measures so many clients; returns a table, and what failed.
pub(crate) async fn measure(
    effort: Effort<'_>,
    programs: &Programs,
    clients: usize,
) -> (String, Vec<String>) {
    let what = format!("{clients} idle WebSocket clients");
    let comparison = by_turns(effort, &what, async |system| {
        let server = Server::start(system, programs).await?;
        occupied(&server, clients).await.map_err(|error| server.explain(&error))
    })
    .await;
    let text = format!(
        "**Memory.** Resident memory of the server, with {clients} WebSocket clients that have one \
         subscription each and were never sent a message, and before they came.\n\n\
         | clients | proxy KiB each | NATS | ratio | without clients MiB, proxy / NATS | with them | \
         target |\n\
         |---|---|---|---|---|---|---|\n{}",
        row(clients, &comparison)
    );
    (text, comparison.failures().map(|failure| format!("{what}, {failure}")).collect())
}

fn row(clients: usize, comparison: &Comparison<Memory>) -> String {
    let is_reached = comparison.ours().map(|ours| ours.client_kib <= TARGET_KIB);
    format!(
        "| {clients} | {} | {} | {} | {TARGET_KIB} KiB {} |\n",
        comparison.cells(1, |one| one.client_kib),
        comparison.pair(1, |one| one.empty_mib),
        comparison.pair(1, |one| one.full_mib),
        verdict(is_reached),
    )
}
