//! Compiles the protobuf contract with protox, so that no `protoc` is needed,
//! and writes the descriptor set for gRPC reflection and `homeroom descriptors`.

use std::{env, error::Error, fs, path::PathBuf};

/// The packages of the contract.
const PACKAGES: [&str; 3] = ["common", "membership", "invitations"];

/// In the descriptor set though no method names it, so that clients and proxies decode error details.
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
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    // Encoded by the compiler: the types of prost would lose the options `google.api.http`.
    fs::write(
        out_dir.join("homeroom.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    tonic_prost_build::configure()
        .btree_map(".")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
