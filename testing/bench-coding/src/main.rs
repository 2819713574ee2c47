//! The coding crates beside others and beside the limits of the machine, in one run on one core.

mod cell;
mod limits;
mod measure;
mod ours;
mod peers;
mod progressive;
mod table;
mod work;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use gf256::Kernel;

use crate::{
    cell::{Cell, Cycle},
    work::{Input, Operation},
};

/// The variable that forces a kernel, by its name; only this benchmark reads it.
const KERNEL_VARIABLE: &str = "GF256_KERNEL";
/// Lengths of the message.
const MESSAGE_BYTES: [usize; 3] = [64 << 10, 1 << 20, 10 << 20];
/// Numbers of fragments.
const FRAGMENTS: [usize; 5] = [4, 16, 32, 64, 128];

/// Times the coding crates beside others: GiB of message a second, on one core. `GF256_KERNEL`
/// forces a kernel by its name.
#[derive(Parser)]
struct Options {
    /// Write the results as CSV to this file.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Write a whole run to this file: its section between `<!-- bench-coding -->` marks is replaced.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Samples of each, taken by turns; the median counts.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(5..))]
    rounds: u16,
    /// Only this operation, for a closer look.
    #[arg(long, value_parser = operation)]
    only: Option<Operation>,
    /// Only this number of fragments.
    #[arg(long)]
    k: Option<usize>,
    /// Only messages of so many KiB.
    #[arg(long)]
    message_kib: Option<usize>,
    /// Without the other libraries.
    #[arg(long)]
    without_peers: bool,
}

fn operation(name: &str) -> Result<Operation, String> {
    let names = Operation::ALL.map(Operation::name).join(", ");
    let found = Operation::ALL.into_iter().find(|operation| operation.name() == name);
    found.ok_or_else(|| format!("there is {names}"))
}

fn main() -> Result<()> {
    let options = Options::parse();
    let kernel = kernel()?;
    let rounds = usize::from(options.rounds);
    let cycle = Cycle::measure(kernel);
    let peers = if options.without_peers { Vec::new() } else { peers::all() };
    let mut cells = Vec::new();
    for (operation, message_bytes, k) in options.cells() {
        let input = Input::new(message_bytes, k);
        let cell = Cell::measure(operation, &input, kernel, &peers, rounds)
            .with_context(|| format!("{} {message_bytes} k={k}", operation.name()))?;
        eprintln!("{}", table::line(&cell));
        cells.push(cell);
    }
    let mut text = table::text(&cells, kernel, &cycle, rounds);
    let is_whole = cells.len() == Operation::ALL.len() * MESSAGE_BYTES.len() * FRAGMENTS.len();
    if is_whole {
        text.push_str(&table::progressive(&cells, kernel, rounds));
    }
    println!("{text}");
    if let Some(path) = &options.csv {
        std::fs::write(path, table::csv(&cells, &cycle))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    // A closer look at some cells leaves the document alone.
    if let Some(path) = options.write.as_ref().filter(|_| is_whole && !options.without_peers) {
        report::write_section(path, "bench-coding", &text)?;
    }
    Ok(())
}

impl Options {
    /// Returns the cells that are asked for.
    fn cells(&self) -> Vec<(Operation, usize, usize)> {
        let mut cells = Vec::new();
        for operation in Operation::ALL {
            for message_bytes in MESSAGE_BYTES {
                cells.extend(FRAGMENTS.map(|k| (operation, message_bytes, k)));
            }
        }
        cells.retain(|&(operation, message_bytes, k)| {
            self.only.is_none_or(|only| only == operation)
                && self.message_kib.is_none_or(|kib| kib << 10 == message_bytes)
                && self.k.is_none_or(|only| only == k)
        });
        cells
    }
}

/// Returns the kernel that the variable names, else the one that is chosen on this CPU.
fn kernel() -> Result<Kernel> {
    let Ok(name) = std::env::var(KERNEL_VARIABLE) else { return Ok(Kernel::best()) };
    let names: Vec<&str> = Kernel::available().map(Kernel::name).collect();
    let found = Kernel::available().find(|kernel| kernel.name() == name);
    found.with_context(|| {
        format!("{KERNEL_VARIABLE}={name}: this CPU has the kernels {}", names.join(", "))
    })
}
