//! What a process has used, from the process folder.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Ticks of a second in the process folder; the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns user and system time of a process since its start.
///
/// # Errors
///
/// When there is no such process.
pub fn cpu_time(id: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name of the program, in brackets, may contain anything.
    let (_, fields) = text.rsplit_once(')').context("no name in the process's status")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap_or_default())
        .sum();
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

/// Returns the time that all cores were busy, and the time that they were there.
///
/// # Errors
///
/// When the process folder cannot be read.
pub fn machine_time() -> Result<(Duration, Duration)> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("an empty /proc/stat")?;
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).map(|field| field.parse().unwrap_or_default()).collect();
    // user nice system idle iowait irq softirq steal; guests are counted as users already.
    let all: f64 = ticks.iter().take(8).sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    let time = |ticks: f64| Duration::from_secs_f64(ticks / TICKS_PER_SECOND);
    Ok((time(all - idle), time(all)))
}

/// Returns the bytes that a device of the namespace of a process has received, with the headers of
/// its packets.
///
/// # Errors
///
/// When there is no such process or device.
pub fn received_bytes(id: u32, device: &str) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/net/dev"))?;
    received_of(&text, device).with_context(|| format!("process {id} has no device {device}"))
}

fn received_of(text: &str, device: &str) -> Option<u64> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, fields) = lines.into_iter().find(|(name, _)| name.trim() == device)?;
    fields.split_whitespace().next()?.parse().ok()
}

/// TCP segments that the namespace of a process has sent, and those of them sent again.
///
/// # Errors
///
/// When there is no such process.
pub fn tcp_segments(id: u32) -> Result<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/net/snmp"))?;
    segments_of(&text).context("no TCP counters")
}

fn segments_of(text: &str) -> Option<(u64, u64)> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let of = |name: &str| {
        let place = names.split(' ').position(|word| word == name)?;
        values.split(' ').nth(place)?.parse().ok()
    };
    Some((of("OutSegs")?, of("RetransSegs")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_this_process_can_be_read_and_never_falls() {
        let before = cpu_time(std::process::id()).expect("it runs");
        assert!(cpu_time(std::process::id()).expect("it runs") >= before);
        let (busy, all) = machine_time().expect("counters");
        assert!(busy <= all);
    }

    #[test]
    fn counters_are_found_by_their_names() {
        let dev = "Inter-| Receive | Transmit\n lo: 7 1 0\n veth0: 4711 12 0 0\n";
        assert_eq!(received_of(dev, "veth0"), Some(4711));
        assert_eq!(received_of(dev, "eth0"), None);
        let snmp = "Ip: A\nIp: 1\nTcp: InSegs OutSegs RetransSegs\nTcp: 5 6 7\nUdp: A\n";
        assert_eq!(segments_of(snmp), Some((6, 7)));
    }
}
