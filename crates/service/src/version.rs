//! What the programs were built from.

/// The release, `dev` for untagged builds.
pub const VERSION: &str = env!("BUILD_VERSION");

/// The first seven characters of the commit, `unknown` when not built from a repository.
pub const COMMIT: &str = env!("BUILD_COMMIT");
