//! The results as a line, as Markdown and as CSV.

use std::fmt::Write as _;

use gf256::Kernel;

use crate::{
    cell::{Cell, Cycle, Peer},
    peers, progressive,
    work::{Input, Operation},
};

/// The columns of the CSV; empty where there is nothing to say.
const HEADER: &str = "operation,message_bytes,k,ours_gib_s,best_peer,best_peer_gib_s,ratio,\
best_rlnc_isal_peer,best_rlnc_isal_ratio,limit_kind,limit_gib_s,limit_fraction,avx2_gib_s,\
fresh_gib_s,multiplies_per_cycle";

/// Returns a cell in one line, to see it going on.
pub(crate) fn line(cell: &Cell) -> String {
    let size = size(cell.message_bytes);
    let mut line =
        format!("{:22} {size:>7} k={:<3} ours {:7.2}", cell.operation.name(), cell.k, cell.ours);
    for peer in &cell.peers {
        let _ = write!(line, "  {} {:.2}", peer.name, peer.reused);
    }
    if let Some(limit) = cell.limit() {
        let _ = write!(line, "  {} {:.0} %", limit.kind, cell.ours / limit.gib_s * 100.0);
    }
    line
}

/// Returns the results as CSV.
pub(crate) fn csv(cells: &[Cell], cycle: &Cycle) -> String {
    let mut text = format!("{HEADER}\n");
    for cell in cells {
        let best = cell.best_peer(false);
        let alike = cell.best_peer(true);
        let limit = cell.limit();
        let number =
            |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.3}"));
        let fields = [
            cell.operation.name().to_owned(),
            cell.message_bytes.to_string(),
            cell.k.to_string(),
            number(Some(cell.ours)),
            best.map_or(String::new(), |peer| peer.name.to_owned()),
            number(best.map(|peer| peer.reused)),
            number(best.map(|peer| cell.ours / peer.reused)),
            alike.map_or(String::new(), |peer| peer.name.to_owned()),
            number(alike.map(|peer| cell.ours / peer.reused)),
            limit.map_or(String::new(), |limit| limit.kind.to_owned()),
            number(limit.map(|limit| limit.gib_s)),
            number(limit.map(|limit| cell.ours / limit.gib_s)),
            number(cell.avx2),
            number(Some(cell.fresh)),
            number(cycle.multiplies),
        ];
        let _ = writeln!(text, "{}", fields.join(","));
    }
    text
}

/// Returns the results as Markdown.
pub(crate) fn text(cells: &[Cell], kernel: Kernel, cycle: &Cycle, rounds: usize) -> String {
    let mut text = format!(
        "Measured on {} on one core of {}; {}{}.\nKernel `{}`",
        report::date(),
        report::processor(),
        report::kernel(),
        cycle.ns.map_or_else(String::new, |ns| format!("; a cycle takes {ns:.3} ns")),
        kernel.name(),
    );
    if let (Some(multiplies), Some(gib_s)) = (cycle.multiplies, cycle.multiply_gib_s) {
        let _ =
            write!(text, ": {multiplies:.2} multiplications of 64 bytes a cycle, {gib_s:.1} GiB/s");
    }
    let _ = writeln!(
        text,
        ". Medians of {rounds} samples taken by turns; GiB of message a second, with kept buffers.\n\
         Peers: {}.",
        peers::versions()
    );
    if let Some(missing) = peers::missing() {
        let _ = writeln!(text, "{missing}");
    }
    for operation in Operation::ALL {
        let mut cells = cells.iter().filter(|cell| cell.operation == operation).peekable();
        if cells.peek().is_none() {
            continue;
        }
        let _ = writeln!(
            text,
            "\n**{}**\n\n| message | k | ours | best peer | ratio | to RLNC and ISA-L | limit | of \
             it | AVX2 alone | fresh buffers: ours | best peer | read | memcpy |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|",
            operation.name()
        );
        for cell in cells {
            let _ = writeln!(text, "{}", row(cell));
        }
    }
    let _ = writeln!(text, "\nEvery peer, with kept buffers:\n\n{}", every_peer(cells));
    text
}

fn row(cell: &Cell) -> String {
    let none = || "–".to_owned();
    let number = |value: f64| {
        if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
    };
    let best = cell.best_peer(false);
    let ratio = |peer: Option<&Peer>| {
        peer.map_or_else(none, |peer| format!("{:.2}", cell.ours / peer.reused))
    };
    let limit = cell.limit();
    [
        String::new(),
        size(cell.message_bytes),
        cell.k.to_string(),
        number(cell.ours),
        best.map_or_else(none, |peer| format!("{} {}", peer.name, number(peer.reused))),
        ratio(best),
        ratio(cell.best_peer(true)),
        limit.map_or_else(none, |limit| format!("{} {}", limit.kind, number(limit.gib_s))),
        limit.map_or_else(none, |limit| format!("{:.0} %", cell.ours / limit.gib_s * 100.0)),
        cell.avx2.map_or_else(none, number),
        number(cell.fresh),
        cell.best_fresh_peer().map_or_else(none, number),
        number(cell.read),
        number(cell.copy),
        String::new(),
    ]
    .join(" | ")
    .trim()
    .to_owned()
}

/// Returns a table of every peer in every cell.
fn every_peer(cells: &[Cell]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for peer in cells.iter().flat_map(|cell| &cell.peers) {
        if !names.contains(&peer.name) {
            names.push(peer.name);
        }
    }
    let mut text = format!(
        "| operation | message | k | ours | {} |\n|{}\n",
        names.join(" | "),
        "---|".repeat(names.len() + 4)
    );
    for cell in cells {
        let of = |name: &&str| {
            let peer = cell.peers.iter().find(|peer| peer.name == *name);
            peer.map_or_else(|| "–".to_owned(), |peer| format!("{:.2}", peer.reused))
        };
        let figures: Vec<String> = names.iter().map(of).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {} |",
            cell.operation.name(),
            size(cell.message_bytes),
            cell.k,
            cell.ours,
            figures.join(" | ")
        );
    }
    text
}

/// Returns a table of what is left to do after the last shard, by the two ways of decoding.
pub(crate) fn progressive(cells: &[Cell], kernel: Kernel, rounds: usize) -> String {
    let mut text =
        "Decoding row by row as shards come, beside one product at full rank, in µs. The \
                    last column is how long all shards must take to arrive before row by row ends \
                    earlier:\n\n| message | k | at full rank | row by row: after the last | in all \
                    | arrival in more than |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for cell in cells.iter().filter(|cell| cell.operation == Operation::Decode) {
        let input = Input::new(cell.message_bytes, cell.k);
        let times = progressive::times(&input, kernel, rounds);
        let whole = cell.message_bytes as f64 / (cell.ours * (1_u64 << 30) as f64);
        // All but the last shard's work must have been done while they came.
        let arrival = if times.last < whole {
            format!("{:.0}", (times.total - times.last) * 1e6)
        } else {
            "never".to_owned()
        };
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {:.1} | {:.1} | {arrival} |",
            size(cell.message_bytes),
            cell.k,
            whole * 1e6,
            times.last * 1e6,
            times.total * 1e6,
        );
    }
    text
}

fn size(bytes: usize) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}
