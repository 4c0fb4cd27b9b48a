//! The names of the methods, for metrics and traces: a caller cannot add any.

use std::{collections::HashSet, sync::LazyLock};

use homeroom_api::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The name of every method that is not Homeroom's, such as those of health and reflection.
const OTHER: &str = "_OTHER";

/// Every method of the contract, as `package.Service/Method`.
static METHODS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut methods = HashSet::new();
    for file in &set.file {
        for service in &file.service {
            let full_name = format!("{}.{}", file.package(), service.name());
            let named = service.method.iter();
            methods.extend(named.map(|method| format!("{full_name}/{}", method.name())));
        }
    }
    methods
});

/// Returns the name of the method at this path, or `_OTHER`.
pub(super) fn named(path: &str) -> &'static str {
    let name = path.strip_prefix('/').and_then(|name| METHODS.get(name));
    name.map_or(OTHER, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_name_of_its_method_and_no_other() {
        let name = "homeroom.invitations.v1.RedemptionService/Redeem";
        assert_eq!(named(&format!("/{name}")), name);
        for path in ["/grpc.health.v1.Health/Check", "/anything/else", name, ""] {
            assert_eq!(named(path), OTHER, "{path}");
        }
    }
}
