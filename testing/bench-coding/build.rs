//! Finds ISA-L, which is C and comes from the system.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(isa_l)");
    // It is one peer of several: without it the others are still measured, and the tables say so.
    if let Ok(library) = pkg_config::Config::new().atleast_version("2.30").probe("libisal") {
        println!("cargo::rustc-cfg=isa_l");
        println!("cargo::rustc-env=ISA_L_VERSION={}", library.version);
    }
}
