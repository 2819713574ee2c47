//! Compiles the API's proto files; no compiler of them needs to be installed.

use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The sidecar's file stands where the guide's users look for it; it is the only copy.
    let sidecar = here.join("../../grpc_p2p_client/proto");
    for (folder, file) in [(sidecar, "p2p_stream.proto"), (here.join("proto"), "trace.proto")] {
        let path = folder.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        let descriptors = protox::compile([&path], [&folder])?;
        tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    }
    Ok(())
}
