//! Compiles the protobuf contract with protox, so that no `protoc` is needed,
//! and writes the descriptor set that gRPC reflection serves.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

/// Every file of the contract; their imports come along.
const FILES: [&str; 19] = [
    "homeroom/common/v1/error_reason.proto",
    "homeroom/common/v1/role.proto",
    "homeroom/common/v1/event.proto",
    "homeroom/common/v1/user.proto",
    "homeroom/membership/v1/organization_service.proto",
    "homeroom/membership/v1/class_service.proto",
    "homeroom/membership/v1/member_service.proto",
    "homeroom/membership/v1/join_request_service.proto",
    "homeroom/membership/v1/admission_service.proto",
    "homeroom/membership/v1/user_service.proto",
    "homeroom/membership/v1/event_service.proto",
    "homeroom/invitations/v1/token_service.proto",
    "homeroom/invitations/v1/enrollment_code_service.proto",
    "homeroom/invitations/v1/class_code_service.proto",
    "homeroom/invitations/v1/join_url_service.proto",
    "homeroom/invitations/v1/redemption_service.proto",
    "homeroom/invitations/v1/audit_service.proto",
    "homeroom/invitations/v1/user_service.proto",
    "homeroom/invitations/v1/event_service.proto",
];

/// In the reflection set though no method names it, so that clients decode error details.
const ERROR_DETAILS: &str = "google/rpc/error_details.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");

    let descriptors = protox::compile(FILES.into_iter().chain([ERROR_DETAILS]), ["proto"])?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out_dir.join("homeroom.bin"), descriptors.encode_to_vec())?;

    tonic_prost_build::configure()
        .btree_map(".")
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(descriptors)?;
    Ok(())
}
