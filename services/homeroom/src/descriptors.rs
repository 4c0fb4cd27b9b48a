//! `homeroom descriptors`: the contract for proxies that turn HTTP into gRPC.

use std::fs;

use crate::{Failure, arguments::DescriptorsArguments};

pub(crate) fn run(arguments: &DescriptorsArguments) -> Result<(), Failure> {
    let file = &arguments.to;
    fs::write(file, homeroom_api::FILE_DESCRIPTOR_SET)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()).into())
}
