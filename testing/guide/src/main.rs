//! `run-guide [--with NAME] [--only NAME] PAGE…`
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use guide::{
    output,
    page::{self, Block, Kind},
    shell::{Shell, Terminal},
};

/// For a block that builds; nothing else takes as long.
const RUN_LIMIT: Duration = Duration::from_secs(1800);

/// For what a terminal prints.
const EXPECT_LIMIT: Duration = Duration::from_secs(60);

/// Runs the commands of pages of the documentation, in the current folder, and compares what they
/// print.
#[derive(Debug, clap::Parser)]
#[command(name = "run-guide")]
struct Arguments {
    /// Run the blocks that need this too.
    #[arg(long, value_name = "NAME")]
    with: Vec<String>,

    /// Run the blocks that need this, and no others.
    #[arg(long, value_name = "NAME", conflicts_with = "with")]
    only: Option<String>,

    /// Markdown files.
    #[arg(required = true, value_name = "PAGE")]
    pages: Vec<PathBuf>,
}

impl Arguments {
    fn wants(&self, block: &Block) -> bool {
        match (&self.only, &block.needs) {
            (Some(only), needs) => needs.as_ref() == Some(only),
            (None, Some(needs)) => self.with.contains(needs),
            (None, None) => true,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    for path in &arguments.pages {
        if let Err(error) = run(path, &arguments) {
            report(&format!("{}: {error:#}", path.display()));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn run(path: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).context("read the page")?;
    let mut blocks = page::blocks(&text)?;
    blocks.retain(|block| arguments.wants(block));
    let last = blocks.iter().rposition(|block| block.kind == Kind::Run && block.terminal.is_none());
    let Some(last) = last else { bail!("nothing to run in this page") };
    let mut reader = Reader::start()?;
    let mut outcome = Ok(());
    for (number, block) in blocks.iter().enumerate() {
        // What cleans up comes in any case.
        if outcome.is_err() && number != last {
            continue;
        }
        if number == last {
            // Before what they talk to is taken down.
            outcome = outcome.and(reader.close());
        }
        let begin = Instant::now();
        let done = reader.take(block).with_context(|| format!("line {}", block.line));
        let word = if done.is_ok() { "ok" } else { "FAILED" };
        if block.kind == Kind::Run {
            let first = block.lines.first().map_or("", String::as_str);
            let seconds = begin.elapsed().as_secs_f64();
            report(&format!("{}:{} {word}, {seconds:.1} s: {first}", path.display(), block.line));
        }
        outcome = outcome.and(done);
    }
    outcome
}

/// Who follows the page.
#[derive(Debug)]
struct Reader {
    shell: Shell,
    /// What the last block in the shell printed.
    printed: Vec<String>,
    terminals: BTreeMap<String, Terminal>,
}

impl Reader {
    fn start() -> anyhow::Result<Self> {
        let (printed, terminals) = (Vec::new(), BTreeMap::new());
        Ok(Self { shell: Shell::start()?, printed, terminals })
    }

    fn take(&mut self, block: &Block) -> anyhow::Result<()> {
        match (block.kind, &block.terminal) {
            (Kind::Run, None) => self.printed = self.shell.run(&block.lines, RUN_LIMIT)?,
            (Kind::Run, Some(name)) => {
                if let Some(before) = self.terminals.remove(name) {
                    before.end().with_context(|| format!("terminal {name}"))?;
                }
                self.terminals.insert(name.clone(), Terminal::start(&block.lines)?);
            }
            (Kind::Expect, None) => {
                if let Err(line) = output::find(&block.lines, &self.printed) {
                    bail!("`{line}` was not printed, but:\n{}", self.printed.join("\n"));
                }
            }
            (Kind::Expect, Some(name)) => {
                let terminal = self.terminals.get_mut(name);
                let terminal = terminal.with_context(|| format!("no terminal {name} so far"))?;
                terminal.expect(&block.lines, EXPECT_LIMIT)?;
            }
        }
        Ok(())
    }

    /// Ends what still runs in terminals.
    fn close(&mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some((name, terminal)) = self.terminals.pop_first() {
            outcome = outcome.and(terminal.end().with_context(|| format!("terminal {name}")));
        }
        outcome
    }
}

#[expect(clippy::print_stdout, reason = "what a command-line tool is for")]
fn report(line: &str) {
    println!("{line}");
}
