//! Emulated latency where the kernel has no netem: a process that carries packets between the TAP
//! devices of the nodes' bridges, each after a fixed time.
//!
//! Packets travel with their offload header, as large as TCP made them, so that one costs two system
//! calls and is cut where it would be without the process: at the receiver or by its shaper.

use std::{
    io::{BufRead as _, BufReader, ErrorKind},
    os::fd::AsFd as _,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use lab::namespace::Namespace;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::{delay_line::DelayLine, network::hardware_address};

/// The header that says how a packet is to be cut and summed.
const OFFLOAD_HEADER_BYTES: usize = 10;

/// The longest packet, with both headers.
const PACKET_BYTES_MAX: usize = OFFLOAD_HEADER_BYTES + 14 + (64 << 10);

/// Packets taken of one node before the next has its turn.
const BATCH: usize = 16;

/// What the process says when it carries packets.
const READY: &str = "ready";

/// Options of the process.
#[derive(Args)]
pub(crate) struct Delay {
    #[arg(long)]
    nodes: usize,
    #[arg(long)]
    latency_ms: u32,
}

/// Returns the TAP device of a node, in the namespace of the bridges.
pub(crate) fn tap_name(node: usize) -> String {
    format!("tap{node}")
}

/// The process that delays packets; ended when dropped.
pub(crate) struct DelayProcess(Child);

impl DelayProcess {
    /// Starts it and waits until it carries packets.
    pub(crate) fn start(hub: &Namespace, nodes: usize, latency_ms: u32) -> Result<Self> {
        let child = hub
            .command(&std::env::current_exe()?)
            .arg("delay")
            .args(["--nodes", &nodes.to_string(), "--latency-ms", &latency_ms.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut process = Self(child);
        let output = process.0.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line.trim() == READY, "the process that delays packets did not start");
        Ok(process)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for DelayProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// A packet and the node it goes to.
struct Packet {
    to: usize,
    bytes: Box<[u8]>,
}

/// Carries packets until it is ended.
#[expect(clippy::print_stdout, reason = "told to who started it")]
pub(crate) fn carry(options: &Delay) -> Result<()> {
    let taps = (0..options.nodes).map(open).collect::<Result<Vec<_>>>()?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (node, tap) in taps.iter().enumerate() {
        let data = epoll::EventData::new_u64(node as u64);
        epoll::add(&poll, tap.as_fd(), data, epoll::EventFlags::IN)?;
    }
    println!("{READY}");
    let mut line = DelayLine::new(Duration::from_millis(options.latency_ms.into()));
    let mut events = Vec::with_capacity(options.nodes);
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    loop {
        events.clear();
        let wait = line.wait(Instant::now()).map(timespec);
        match epoll::wait(&poll, spare_capacity(&mut events), wait.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let from = event.data.u64() as usize;
            take(&taps[from], from, options.nodes, &mut buffer, &mut line)?;
        }
        while let Some(Packet { to, bytes }) = line.pop(Instant::now()) {
            // A device that takes no more loses the packet, as a link would.
            let _lost = taps[to].send(&bytes);
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() }
}

fn open(node: usize) -> Result<SyncDevice> {
    let name = tap_name(node);
    let tap = DeviceBuilder::new().name(&name).layer(Layer::L2).offload(true).build_sync();
    let tap = tap.with_context(|| format!("the TAP device {name} cannot be opened"))?;
    tap.set_nonblocking(true)?;
    Ok(tap)
}

/// Takes packets of a node.
fn take(
    tap: &SyncDevice,
    from: usize,
    nodes: usize,
    buffer: &mut [u8],
    line: &mut DelayLine<Packet>,
) -> Result<()> {
    for _ in 0..BATCH {
        let length = match tap.recv(buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error).context("a TAP device cannot be read"),
        };
        let (now, packet) = (Instant::now(), &buffer[..length]);
        for to in receivers(packet, from, nodes) {
            line.push(now, Packet { to, bytes: packet.into() });
        }
    }
    Ok(())
}

/// Returns the nodes that a packet goes to, by its hardware address: one, or everybody else.
fn receivers(packet: &[u8], from: usize, nodes: usize) -> impl Iterator<Item = usize> {
    let address = packet.get(OFFLOAD_HEADER_BYTES..).and_then(<[u8]>::first_chunk::<6>).copied();
    let to_all = address == Some([0xFF; 6]);
    (0..nodes).filter(move |&to| to != from && (to_all || address == Some(hardware_address(to))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(address: [u8; 6]) -> Vec<usize> {
        let mut packet = vec![0; OFFLOAD_HEADER_BYTES];
        packet.extend(address);
        receivers(&packet, 1, 4).collect()
    }

    #[test]
    fn a_packet_goes_to_the_node_of_its_address_and_one_for_all_to_all_others() {
        assert_eq!(to(hardware_address(3)), [3]);
        assert_eq!(to([0xFF; 6]), [0, 2, 3]);
        assert_eq!(to([0x33, 0x33, 0, 0, 0, 1]), [] as [usize; 0]);
        assert_eq!(receivers(&[0; 5], 0, 4).count(), 0);
    }
}
