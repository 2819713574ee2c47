//! Compiles the API's proto files; no compiler of them needs to be installed.

use std::{env, error::Error, fs, path::Path};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = env::var("OUT_DIR")?;
    // The files of the services stand where the guide's users look for them; they are the only
    // copies. Two have the same package, and so need folders of their own.
    for (folder, file, name) in [
        (here.join("../../grpc_p2p_client/proto"), "p2p_stream.proto", "sidecar"),
        (here.join("../../grpc_proxy_client/proto"), "proxy_stream.proto", "proxy"),
        (here.join("proto"), "trace.proto", "trace"),
    ] {
        let path = folder.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        let descriptors = protox::compile([&path], [&folder])?;
        let made = Path::new(&out).join(name);
        fs::create_dir_all(&made)?;
        fs::write(made.join("descriptors.bin"), descriptors.encode_to_vec())?;
        tonic_prost_build::configure().bytes(".").out_dir(made).compile_fds(descriptors)?;
    }
    Ok(())
}
