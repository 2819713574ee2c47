//! The daemon p2pnode: configured by environment variables, ended by SIGTERM or Ctrl-C.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use node::Config;
use service::program::{self, Program, Stop, Task};
use tracing::{info, warn};

/// Fewer page faults on buffers of 1 to 10 MiB than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        name: "p2pnode",
        about: "One node of a coded-gossip cluster, configured by environment variables",
        variables: node::variables().collect(),
    };
    let task = program.task();
    let config = Config::from_env();
    match task {
        Task::Check => program.check_effective(async {
            let config = config?;
            node::check(&config).await?;
            Ok(config.effective())
        }),
        Task::Health => program.health(config.map_err(Into::into).and_then(|config| {
            program::health_url(
                config.bind_address,
                config.api_port,
                "API_PORT",
                config.tls.is_some(),
            )
        })),
        Task::Run => {
            let level = config.as_ref().map_or("info", |config| &config.log_level).to_owned();
            program.run(&level, config, serve)
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    let mut stop = Stop::watch()?;
    for variable in config.without_effect() {
        warn!(variable, "without effect in profile adaptive; OPTIMUM_PROFILE=documented heeds it");
    }
    let running = node::start(config).await?;
    let signal = stop.signalled().await;
    info!(signal, "stopping");
    running.shutdown().await;
    Ok(())
}
