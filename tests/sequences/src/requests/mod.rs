//! Random requests of every method of the contract, and what their answers reveal.

pub mod answers;
mod composer;
mod table;

use std::sync::LazyLock;

use homeroom_tests::raw;
use prost_reflect::MethodDescriptor;
use serde_json::Value;

pub use composer::{Caller, Composer};

use crate::world::World;

/// A method of the contract.
pub struct Method {
    /// Its descriptor.
    pub descriptor: &'static MethodDescriptor,
    /// Its weight in the choice of methods.
    pub weight: u32,
    row: fn(&mut Composer<'_>) -> (Caller, Value),
}

impl Method {
    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.descriptor.name()
    }

    /// Returns the name of the service and its own, as in failpoints.
    #[must_use]
    pub fn point(&self) -> String {
        let service = if raw::is_memberships(self.descriptor) {
            "membership"
        } else {
            "invitations"
        };
        format!("{service}.{}", self.name())
    }

    /// Returns a random request.
    pub fn compose(&self, composer: &mut Composer<'_>) -> Request {
        let (caller, mut body) = (self.row)(composer);
        composer.complete(self.descriptor, &mut body);
        Request::new(self.descriptor, caller, &body, composer.world)
    }
}

/// All methods.
pub static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
    let rows = table::ROWS.iter().copied().flatten();
    rows.map(|&(name, weight, row)| Method {
        descriptor: raw::method(name),
        weight,
        row,
    })
    .collect()
});

/// Returns the index of the method of this name; the service tells the two event feeds apart.
#[must_use]
pub fn place_of(name: &str) -> usize {
    let mut methods = METHODS.iter();
    let place = methods.position(|method| method.name() == name);
    place.unwrap_or_else(|| panic!("no method {name}"))
}

/// The effect of a call on the credentials of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// No effect.
    Nothing,
    /// Once the call is answered, nobody gets in by these texts.
    Ends(Vec<String>),
    /// The credentials of this invitation, and those that end in this code, may work again.
    Revives(String),
}

impl Effect {
    fn of(method: &str, body: &Value, world: &World) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if method.starts_with("Reset") || ["RevokeToken", "DeleteEnrollmentCode"].contains(&method)
        {
            return Self::Ends(world.texts_of(&text(&body["name"])));
        }
        let changed = match method {
            "CreateEnrollmentCode" | "UpdateEnrollmentCode" => &body["enrollment_code"],
            "UpdateJoinUrl" => &body["join_url"],
            _ => return Self::Nothing,
        };
        match (body["update_mask"].as_str(), changed["enabled"].as_bool()) {
            // A code that stays the same ends no credential.
            (None | Some("code"), _) => Self::Revives(text(&changed["code"])),
            (Some("enabled"), Some(true)) => Self::Revives(text(&changed["name"])),
            (Some("enabled"), _) => Self::Ends(world.texts_of(&text(&changed["name"]))),
            _ => Self::Nothing,
        }
    }
}

/// A redemption that a request asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The credential.
    pub credential: String,
    /// The user.
    pub user: String,
    /// True if a retry gets the same answer.
    pub safe_to_retry: bool,
}

/// A composed call.
#[derive(Debug, Clone)]
pub struct Request {
    /// The caller.
    pub caller: Caller,
    /// The encoded message.
    pub body: Vec<u8>,
    /// The message in readable form.
    pub text: String,
    /// True if a retry gets the same answer (R3).
    pub has_request_id: bool,
    /// The redemptions that it asks for.
    pub redeems: Vec<Asked>,
    /// The effect on credentials.
    pub effect: Effect,
    /// The user whom it erases, or moves to another account: stored answers that name them are forgotten from now on (R13).
    pub erases: Option<String>,
}

impl Request {
    /// Returns the request of a method that is written as JSON.
    #[must_use]
    pub fn new(method: &MethodDescriptor, caller: Caller, body: &Value, world: &World) -> Self {
        let name = method.name();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let items = match name {
            "Redeem" => std::slice::from_ref(body),
            "BatchRedeem" => body["requests"].as_array().map_or(&[][..], Vec::as_slice),
            _ => &[],
        };
        let asked = items.iter().map(|item| Asked {
            credential: text(&item["credential"]),
            user: text(&item["user"]["user"]),
            safe_to_retry: !text(&item["request_id"]).is_empty(),
        });
        let replaces = ["EraseUser", "MoveUser"].contains(&name);
        let erases = (replaces && !raw::is_memberships(method))
            .then(|| text(&body["name"]).replace("users/", ""));
        Self {
            caller,
            body: raw::encode(method, body),
            text: body.to_string(),
            has_request_id: !text(&body["request_id"]).is_empty(),
            redeems: asked.collect(),
            effect: Effect::of(name, body, world),
            erases,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use homeroom_tests::dice::Dice;

    use super::*;

    #[test]
    fn every_method_of_the_contract_is_called() {
        let names = |methods: &mut dyn Iterator<Item = &MethodDescriptor>| -> BTreeSet<String> {
            methods
                .map(|method| method.full_name().to_owned())
                .collect()
        };
        let known = names(&mut METHODS.iter().map(|method| method.descriptor));
        assert_eq!(known, names(&mut raw::methods().iter()));
        assert_eq!(METHODS.len(), known.len(), "one is listed twice");
        assert!(METHODS.iter().all(|method| method.weight > 0));
    }

    #[test]
    fn a_request_is_a_function_of_its_dice_and_of_what_is_known() {
        let world = World::new(1);
        for method in METHODS.iter() {
            let compose = |seed| {
                method.compose(&mut Composer {
                    dice: Dice::new(seed),
                    focus: None,
                    world: &world,
                    now: chrono::DateTime::default(),
                })
            };
            for seed in 0..50 {
                assert_eq!(compose(seed).body, compose(seed).body, "{}", method.name());
            }
        }
    }
}
