//! Enrollment codes of one form that open nothing for different reasons.

use homeroom_tests::{Clients, processes::Processes};
use rand::RngExt as _;
use serde_json::json;

/// The prefix of the school's codes.
const PREFIX: &str = "HAMILTON";
/// The number of random characters in a code: 12 of these hold 60 bits.
const CODE_CHARS: usize = 12;
const ALPHABET: &[u8] = b"ABCDEFGHJKMNPQRSTVWXYZ23456789";

/// The reason why a code opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The code never existed.
    Unknown,
    /// Its author replaced it by another.
    Reset,
    /// It is switched off.
    Off,
    /// It was deleted.
    Deleted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Reset, Self::Off, Self::Deleted];

    /// Returns its name for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Reset => "reset",
            Self::Off => "off",
            Self::Deleted => "deleted",
        }
    }
}

/// Creates a school with this many codes in each state, and returns the codes as a person types
/// them.
pub(super) async fn create(processes: &Processes, count: usize) -> Vec<(State, Vec<String>)> {
    let school = processes.school().await;
    let mut all = Vec::new();
    // The states alternate, so that none has a separate part of the database.
    let mut states: Vec<(State, Vec<String>)> = State::ALL.map(|state| (state, Vec::new())).into();
    for _ in 0..count {
        for (state, codes) in &mut states {
            let full_code = match state {
                State::Unknown => format!("{PREFIX}-{}", random_code()),
                _ => spoilt(&school.admin, &school.class, *state).await,
            };
            all.push(full_code.clone());
            codes.push(full_code);
        }
    }
    let length = all.first().map_or(0, String::len);
    assert!(
        all.iter()
            .all(|code| code.len() == length && code.starts_with(PREFIX)),
        "of one form"
    );
    states
}

fn random_code() -> String {
    let mut random = rand::rng();
    (0..CODE_CHARS)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect()
}

/// Creates a valid code and brings it into this state.
async fn spoilt(admin: &Clients, class: &str, state: State) -> String {
    let create = json!({"parent": class, "enrollment_code": {"code": random_code()}, "acknowledge_weak": true});
    let created = admin
        .call("EnrollmentCodeService.CreateEnrollmentCode", &create)
        .await;
    let created = created.unwrap();
    let name = &created["name"];
    let changed = match state {
        State::Off => {
            json!({"enrollment_code": {"name": name, "enabled": false}, "update_mask": "enabled"})
        }
        _ => json!({
            "enrollment_code": {"name": name, "code": random_code()}, "update_mask": "code", "acknowledge_weak": true,
        }),
    };
    let (method, body) = match state {
        State::Deleted => ("DeleteEnrollmentCode", json!({"name": name})),
        _ => ("UpdateEnrollmentCode", changed),
    };
    let spoilt = admin
        .call(&format!("EnrollmentCodeService.{method}"), &body)
        .await;
    spoilt.unwrap();
    created["fullCode"].as_str().unwrap().to_owned()
}
