//! The comments of the contract.

use homeroom_api::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The numbers of fields in `descriptor.proto`, from which the paths of source locations are made.
const MESSAGES: i32 = 4;
const SERVICES: i32 = 6;
const PART: i32 = 2;

/// Returns the comment before the element at `path`.
fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = &file
        .source_code_info
        .as_ref()
        .expect("comments are kept")
        .location;
    let location = locations.iter().find(|location| location.path == path);
    location
        .and_then(|location| location.leading_comments.clone())
        .unwrap_or_default()
}

fn index(index: usize) -> i32 {
    i32::try_from(index).unwrap()
}

#[test]
fn p10_lists_of_redemptions_and_every_count_of_uses_say_that_they_may_lag() {
    let descriptors = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let package = "homeroom.invitations.v1";
    let files = descriptors
        .file
        .iter()
        .filter(|file| file.package() == package);
    let mut said = Vec::new();
    for file in files {
        for (number, service) in file.service.iter().enumerate() {
            for (part, method) in service.method.iter().enumerate() {
                if method.name() == "ListRedemptions" {
                    let path = [SERVICES, index(number), PART, index(part)];
                    said.push((method.name().to_owned(), comment(file, &path)));
                }
            }
        }
        for (number, message) in file.message_type.iter().enumerate() {
            for (part, field) in message.field.iter().enumerate() {
                if field.name() == "use_count" {
                    let path = [MESSAGES, index(number), PART, index(part)];
                    said.push((message.name().to_owned(), comment(file, &path)));
                }
            }
        }
    }
    said.sort();
    let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "ClassCode",
        "EnrollmentCode",
        "InviteToken",
        "JoinUrl",
        "ListRedemptions",
        "Token",
    ];
    assert_eq!(names, expected);
    for (name, comment) in said {
        assert!(
            comment.contains("may lag by seconds") || comment.contains("May lag by seconds"),
            "{name}: {comment}"
        );
    }
}
