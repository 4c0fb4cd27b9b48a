//! The protobuf contract of Homeroom: the generated modules of its three
//! packages, the descriptor set that gRPC reflection serves, and newtypes for
//! the ids and resource names that the contract carries as text.

pub mod ids;
mod invitation_name;
pub mod names;

/// The types that both services share: error reasons, roles, users and events.
pub mod common {
    /// Version 1.
    pub mod v1 {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            clippy::allow_attributes,
            reason = "generated code; its documentation stands in the protobuf files"
        )]
        tonic::include_proto!("homeroom.common.v1");
    }
}

/// Organizations, classes, members, seats and the approval queue.
pub mod membership {
    /// Version 1.
    pub mod v1 {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            clippy::allow_attributes,
            reason = "generated code; its documentation stands in the protobuf files"
        )]
        tonic::include_proto!("homeroom.membership.v1");
    }
}

/// Tokens, codes, join URLs and redemptions.
pub mod invitations {
    /// Version 1.
    pub mod v1 {
        #![allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            clippy::allow_attributes,
            reason = "generated code; its documentation stands in the protobuf files"
        )]
        tonic::include_proto!("homeroom.invitations.v1");
    }
}

/// The whole contract as an encoded `FileDescriptorSet`, with the HTTP paths of its methods, and with
/// `google/rpc/error_details.proto` so that clients decode error details.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/homeroom.bin"));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::FILE_DESCRIPTOR_SET;

    /// Some generators write a file's code by its name alone, into one folder.
    #[test]
    fn every_file_has_a_name_of_its_own_and_the_options_of_every_language() {
        let contract = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut names = BTreeSet::new();
        for file in &contract.file {
            let name = file.name();
            assert!(names.insert(name.rsplit('/').next()), "{name}");
            if !name.starts_with("homeroom/") {
                continue;
            }
            let options = file.options.as_ref().unwrap();
            let texts = [
                &options.go_package,
                &options.java_package,
                &options.csharp_namespace,
                &options.objc_class_prefix,
                &options.php_namespace,
            ];
            let all = texts.iter().all(|option| option.is_some());
            assert!(all && options.java_multiple_files(), "{name}");
        }
    }
}
