//! Every method of the contract: how a random call of it is made, and what its answer reveals.

mod admissions;
mod audits;
mod class_codes;
mod classes;
mod composer;
mod enrollment_codes;
mod events;
mod join_requests;
mod join_urls;
mod members;
mod organizations;
mod redemptions;
mod tokens;
mod users;

use std::sync::LazyLock;

pub use composer::{Caller, Composer, Effect, Request};
pub use redemptions::{acknowledged, redeemed_in};

use crate::world::World;

/// A method of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// The service's full name.
    pub service: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its weight in the choice of methods.
    pub weight: u32,
    /// Composes a random request.
    pub compose: fn(&mut Composer<'_>) -> Request,
    /// Records what an answer reveals.
    pub learn: fn(&mut World, &[u8]),
    /// Returns the part of an answer that must be equal in both answers to one request id (R3).
    pub same: fn(&[u8]) -> Vec<u8>,
    /// Returns the failures in an answer of a method that does many things.
    pub failures: fn(&[u8]) -> Vec<tonic_types::Status>,
}

impl Method {
    const fn new(
        service: &'static str,
        name: &'static str,
        weight: u32,
        compose: fn(&mut Composer<'_>) -> Request,
    ) -> Self {
        Self {
            service,
            name,
            weight,
            compose,
            learn: |_, _| {},
            same: <[u8]>::to_vec,
            failures: |_| Vec::new(),
        }
    }

    const fn learning(self, learn: fn(&mut World, &[u8])) -> Self {
        Self { learn, ..self }
    }

    const fn agreeing_on(self, same: fn(&[u8]) -> Vec<u8>) -> Self {
        Self { same, ..self }
    }

    const fn failing_in_part(self, failures: fn(&[u8]) -> Vec<tonic_types::Status>) -> Self {
        Self { failures, ..self }
    }

    /// Returns the gRPC path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}/{}", self.service, self.name)
    }

    /// Returns true if membership serves the method.
    #[must_use]
    pub fn is_memberships(&self) -> bool {
        self.service.starts_with("homeroom.membership.")
    }
}

/// All methods.
pub static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
    [
        organizations::METHODS,
        classes::METHODS,
        members::METHODS,
        join_requests::METHODS,
        admissions::METHODS,
        tokens::METHODS,
        enrollment_codes::METHODS,
        class_codes::METHODS,
        join_urls::METHODS,
        redemptions::METHODS,
        audits::METHODS,
        users::METHODS,
        events::METHODS,
    ]
    .concat()
});

/// Returns the index of the method of this name; the service tells the two event feeds apart.
#[must_use]
pub fn place_of(name: &str) -> usize {
    METHODS
        .iter()
        .position(|method| method.name == name)
        .unwrap_or_else(|| panic!("no method {name}"))
}

/// Decodes an answer, or returns the default message.
fn read<M: prost::Message + Default>(answer: &[u8]) -> M {
    M::decode(answer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use homeroom_api::FILE_DESCRIPTOR_SET;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::dice::Dice;

    #[test]
    fn every_method_of_the_contract_is_called() {
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
        let contract: BTreeSet<String> = files
            .iter()
            .filter(|file| file.package().starts_with("homeroom."))
            .flat_map(|file| {
                file.service.iter().flat_map(|service| {
                    service.method.iter().map(|method| {
                        format!("/{}.{}/{}", file.package(), service.name(), method.name())
                    })
                })
            })
            .collect();
        let known: BTreeSet<String> = METHODS.iter().map(Method::path).collect();
        assert_eq!(known, contract);
        assert_eq!(METHODS.len(), contract.len(), "one is listed twice");
        assert!(METHODS.iter().all(|method| method.weight > 0));
    }

    #[test]
    fn a_request_is_a_function_of_its_dice_and_of_what_is_known() {
        let world = World::new(1);
        for method in METHODS.iter() {
            let compose = || {
                (method.compose)(&mut Composer {
                    dice: Dice::new(7),
                    focus: None,
                    world: &world,
                    now_seconds: 1_800_000_000,
                })
            };
            assert_eq!(compose().body, compose().body, "{}", method.name);
        }
    }
}
