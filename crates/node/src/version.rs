//! What this program was built from.

/// The release, `dev` for untagged builds.
pub const VERSION: &str = env!("NODE_VERSION");

/// The first seven characters of the commit, `unknown` when not built from a repository.
pub const COMMIT: &str = env!("NODE_COMMIT");
