//! Which way messages go: through the proxy, or straight at nodes that the proxy names.
//!
//! The original had two generations of this program: the first always went through the proxy, the
//! second always straight at nodes. Here one rule decides: through the proxy, unless a flag that only
//! the second generation has, or `MUMP2P_DIRECT`, says otherwise.

use crate::Error;

/// The way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// REST and WebSocket of the proxy.
    Http,
    /// gRPC of the proxy.
    Grpc,
    /// gRPC of nodes, which a session names.
    Direct,
}

/// Flags that say so. Each command has those of both ways that it knows.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which way")]
pub struct ModeArgs {
    /// Through the proxy, by gRPC instead of REST and WebSocket.
    #[arg(long)]
    pub grpc: bool,
    /// Where the proxy's gRPC is [default: port 50051 at the host of the service URL].
    #[arg(long, env = "MUMP2P_GRPC_ADDRESS", value_name = "HOST:PORT")]
    pub grpc_address: Option<String>,
    /// Straight at nodes, which the proxy names in a session.
    #[arg(long)]
    pub direct: bool,
    /// Straight at nodes, of which the proxy is to name so many: one to use, the others for when it
    /// fails.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub expose_amount: Option<u32>,
}

impl ModeArgs {
    /// Decides. `proxy_flag` is a flag of the command that means the proxy alone, if it was given;
    /// `variable` is `MUMP2P_DIRECT`.
    ///
    /// # Errors
    ///
    /// Returns an error for flags of both ways, or a variable that means nothing.
    pub fn mode(&self, proxy_flag: Option<&str>, variable: Option<&str>) -> Result<Mode, Error> {
        let direct_flag = match (self.direct, self.expose_amount) {
            (true, _) => Some("--direct"),
            (false, Some(_)) => Some("--expose-amount"),
            (false, None) => None,
        };
        let proxy_flag = if self.grpc { Some("--grpc") } else { proxy_flag };
        match (direct_flag, proxy_flag) {
            (Some(direct), Some(proxy)) => Err(Error::Usage(format!(
                "{direct} goes straight at nodes and {proxy} through the proxy: one of them must go"
            ))),
            (Some(_), None) => Ok(Mode::Direct),
            (None, Some(_)) => Ok(self.through_proxy()),
            (None, None) => match variable.unwrap_or_default().trim().to_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Ok(Mode::Direct),
                "" | "0" | "false" | "no" | "off" => Ok(self.through_proxy()),
                other => {
                    Err(Error::Usage(format!("MUMP2P_DIRECT is {other:?}: use true or false")))
                }
            },
        }
    }

    fn through_proxy(&self) -> Mode {
        if self.grpc { Mode::Grpc } else { Mode::Http }
    }
}

/// Returns the value of `MUMP2P_DIRECT`.
pub(crate) fn variable() -> Option<String> {
    std::env::var("MUMP2P_DIRECT").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(args: &ModeArgs, proxy_flag: Option<&str>, variable: Option<&str>) -> Option<Mode> {
        args.mode(proxy_flag, variable).ok()
    }

    #[test]
    fn the_proxy_is_the_way_unless_a_flag_or_the_variable_says_direct() {
        let (none, grpc) = (ModeArgs::default(), ModeArgs { grpc: true, ..ModeArgs::default() });
        let direct = ModeArgs { direct: true, ..ModeArgs::default() };
        let exposing = ModeArgs { expose_amount: Some(2), ..ModeArgs::default() };
        assert_eq!(mode(&none, None, None), Some(Mode::Http));
        assert_eq!(mode(&none, None, Some("false")), Some(Mode::Http));
        assert_eq!(mode(&none, None, Some("True")), Some(Mode::Direct));
        assert_eq!(mode(&none, None, Some("maybe")), None);
        assert_eq!(mode(&grpc, None, Some("true")), Some(Mode::Grpc), "a flag wins");
        assert_eq!(mode(&none, Some("--threshold"), Some("1")), Some(Mode::Http));
        for args in [direct, exposing] {
            assert_eq!(mode(&args, None, Some("false")), Some(Mode::Direct));
            assert_eq!(mode(&args, Some("--threshold"), None), None, "both ways");
            assert_eq!(mode(&ModeArgs { grpc: true, ..args }, None, None), None);
        }
    }
}
