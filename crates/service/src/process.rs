//! What the process itself uses, as the kernel tells it (Linux; elsewhere nothing is told), under
//! the names that the libraries of other languages gave it and dashboards read.

use std::fs;

use crate::metrics::Families;

/// Clock ticks a second in `/proc`: the same on every architecture that Linux has today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds the families of the process. `tasks` is the number of tasks alive, `subsystem` the part of
/// the name that says which daemon it is.
pub fn families(families: &mut Families, subsystem: &str, tasks: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    families.gauge(
        format!("optimum_{subsystem}_system_cpu_cores"),
        "Processors that this process may use.",
        cores as f64,
    );
    families.gauge("go_goroutines", "Tasks alive.", tasks as f64);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    if let Some(times) = Times::parse(&read("/proc/self/stat"), &read("/proc/stat")) {
        times.add(families);
    }
    memory(families, &read("/proc/self/status"));
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them reads the folder.
        let open = open.count().saturating_sub(1);
        families.gauge("process_open_fds", "File descriptors open.", open as f64);
    }
    if let Some(max) = open_fds_max(&read("/proc/self/limits")) {
        families.gauge("process_max_fds", "File descriptors allowed.", max);
    }
    network(families, &read("/proc/self/net/netstat"));
}

#[derive(Debug, PartialEq)]
struct Times {
    cpu_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    start_unix_seconds: f64,
}

impl Times {
    fn parse(stat: &str, system: &str) -> Option<Self> {
        // The name of the program, in brackets, may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            start_unix_seconds: booted.trim().parse::<f64>().ok()? + field(22)? / TICKS_PER_SECOND,
        })
    }

    fn add(&self, families: &mut Families) {
        families.seconds(
            "process_cpu_seconds_total",
            "Processor time used, user and system.",
            self.cpu_seconds,
        );
        families.gauge(
            "process_start_time_seconds",
            "When the process started, Unix time.",
            self.start_unix_seconds,
        );
        families.gauge("process_virtual_memory_bytes", "Address space taken.", self.virtual_bytes);
        families.gauge("go_threads", "Threads of the operating system.", self.threads);
    }
}

fn memory(families: &mut Families, status: &str) {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib = line.trim_start_matches(':').trim().strip_suffix(" kB")?;
        Some(kib.trim().parse::<f64>().ok()? * 1024.0)
    };
    let (Some(resident), Some(peak), Some(own)) =
        (bytes("VmRSS"), bytes("VmHWM"), bytes("RssAnon"))
    else {
        return;
    };
    families.gauge("process_resident_memory_bytes", "Memory held.", resident);
    families.gauge("go_memstats_alloc_bytes", "Memory held that is not mapped from files.", own);
    families.gauge("go_memstats_heap_sys_bytes", "Most memory ever held.", peak);
    families.gauge(
        "go_memstats_heap_idle_bytes",
        "Of the most memory ever held, what was given back.",
        (peak - resident).max(0.0),
    );
}

fn open_fds_max(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The kernel counts for the network namespace of the process: all of the machine, or of the
/// container.
fn network(families: &mut Families, netstat: &str) {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return };
    let value = |name: &str| {
        let position = names.split_whitespace().position(|known| known == name)?;
        values.split_whitespace().nth(position)?.parse::<u64>().ok()
    };
    if let (Some(received), Some(sent)) = (value("InOctets"), value("OutOctets")) {
        families.counter(
            "process_network_receive_bytes_total",
            "Bytes received by the network namespace of the process.",
            received,
        );
        families.counter(
            "process_network_transmit_bytes_total",
            "Bytes sent by the network namespace of the process.",
            sent,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_a_program_name_with_brackets() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1000 4096 3 184";
        let times = Times::parse(stat, "cpu 1 2\nbtime 1700000000\n").expect("all fields");
        let wanted = Times {
            cpu_seconds: 3.0,
            threads: 9.0,
            virtual_bytes: 4096.0,
            start_unix_seconds: 1_700_000_010.0,
        };
        assert_eq!(times, wanted);
        assert_eq!(Times::parse("7 (a", ""), None);
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_left_out() {
        let mut families = Families::default();
        memory(&mut families, "VmRSS: much");
        network(&mut families, "TcpExt: A\nTcpExt: 1\n");
        assert_eq!(families.text(&[]), "");
        assert_eq!(open_fds_max("Max open files            1024  4096  files"), Some(1024.0));
    }
}
