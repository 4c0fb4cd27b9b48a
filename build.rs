//! Compiles the protobuf contract with protox, so that no `protoc` is needed,
//! and writes the descriptor set that gRPC reflection serves.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// The packages of the contract.
const PACKAGES: [&str; 3] = ["common", "membership", "invitations"];

/// In the reflection set though no method names it, so that clients decode error details.
const ERROR_DETAILS: &str = "google/rpc/error_details.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");

    let mut files = vec![PathBuf::from(ERROR_DETAILS)];
    for package in PACKAGES {
        for file in fs::read_dir(format!("proto/homeroom/{package}/v1"))? {
            let path = file?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "proto")
            {
                files.push(path.strip_prefix("proto")?.to_owned());
            }
        }
    }
    files.sort();
    let descriptors = protox::compile(files, ["proto"])?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out_dir.join("homeroom.bin"), descriptors.encode_to_vec())?;

    tonic_prost_build::configure()
        .btree_map(".")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(descriptors)?;
    Ok(())
}
