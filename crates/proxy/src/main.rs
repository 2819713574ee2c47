//! The daemon proxy: configured by environment variables, ended by SIGTERM or Ctrl-C.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use proxy::Config;
use service::program::{Program, Stop, Task};
use tracing::info;

/// Many small pieces for many connections, made and freed on different threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        name: "proxy",
        about: "REST, WebSocket and gRPC in front of the nodes of a cluster, configured by environment variables",
        variables: proxy::variables().collect(),
    };
    let task = program.task();
    let config = Config::from_env();
    match task {
        Task::Check => program.check(async { proxy::check(&config?).await }),
        Task::Health => {
            program.health(config.map_err(Into::into).and_then(|config| config.health_url()))
        }
        Task::Run => {
            let level = config.as_ref().map_or("info", |config| &config.log_level).to_owned();
            program.run(&level, config, serve)
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    let mut stop = Stop::watch()?;
    let running = proxy::start(config).await?;
    let signal = stop.signalled().await;
    info!(signal, "stopping");
    running.shutdown().await;
    Ok(())
}
