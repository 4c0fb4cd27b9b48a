//! Enrolment codes of one form, that open nothing for different reasons.

use homeroom_api::{
    common::v1::Role,
    invitations::v1::{
        CreateEnrollmentCodeRequest, DeleteEnrollmentCodeRequest, EnrollmentCode,
        UpdateEnrollmentCodeRequest,
    },
    membership::v1::{
        AddOrganizationMemberRequest, Class, CreateClassRequest, CreateOrganizationRequest,
        Organization,
    },
};
use homeroom_tests::{Claims, Clients, field_mask, member, processes::Processes};
use rand::RngExt as _;

/// Characters of a code: 12 of these hold 60 bits.
const CODE_CHARS: usize = 12;
const ALPHABET: &[u8] = b"ABCDEFGHJKMNPQRSTVWXYZ23456789";

/// Why a code opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// There never was one.
    Unknown,
    /// Its author has put another in its place.
    Reset,
    /// It is switched off.
    Off,
    /// It was deleted.
    Deleted,
}

impl State {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Reset, Self::Off, Self::Deleted];

    /// In a table.
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

/// A school with so many codes in each state. The codes as they are typed.
pub(super) async fn create(processes: &Processes, count: usize) -> Vec<(State, Vec<String>)> {
    let mut platform = processes.user_with(Claims {
        scopes: &["homeroom.platform"],
        ..Claims::of("platform")
    });
    let mut admin = processes.user("admin");
    let organization = platform
        .organizations
        .create_organization(CreateOrganizationRequest {
            organization_id: "hamilton".to_owned(),
            organization: Some(Organization {
                display_name: "Hamilton".to_owned(),
                ..Default::default()
            }),
            admin: "admin".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    admin
        .members
        .add_organization_member(AddOrganizationMemberRequest {
            parent: organization.name.clone(),
            member: Some(member("teacher", Role::Teacher)),
            ..Default::default()
        })
        .await
        .unwrap();
    let class = admin
        .classes
        .create_class(CreateClassRequest {
            parent: organization.name.clone(),
            class_id: "biology".to_owned(),
            class: Some(Class {
                display_name: "Biology".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner()
        .name;
    let mut all = Vec::new();
    // By turns, so that no state has a part of the database to itself.
    let mut states: Vec<(State, Vec<String>)> = State::ALL.map(|state| (state, Vec::new())).into();
    for _ in 0..count {
        for (state, codes) in &mut states {
            let full_code = match state {
                State::Unknown => {
                    format!("{}-{}", organization.code_prefix, random_code())
                }
                _ => spoilt(&mut admin, &class, *state).await,
            };
            all.push(full_code.clone());
            codes.push(full_code);
        }
    }
    let length = all.first().map_or(0, String::len);
    assert!(all.iter().all(|code| code.len() == length), "of one form");
    states
}

fn random_code() -> String {
    let mut random = rand::rng();
    (0..CODE_CHARS)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect()
}

/// A code that was good, and then brought into this state.
async fn spoilt(admin: &mut Clients, class: &str, state: State) -> String {
    let created = admin
        .enrollment_codes
        .create_enrollment_code(CreateEnrollmentCodeRequest {
            parent: class.to_owned(),
            enrollment_code: Some(EnrollmentCode {
                code: random_code(),
                enabled: Some(true),
                ..Default::default()
            }),
            acknowledge_weak: true,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let full_code = created.full_code.clone();
    if state == State::Deleted {
        let name = created.name;
        let request = DeleteEnrollmentCodeRequest {
            name,
            ..Default::default()
        };
        let codes = &mut admin.enrollment_codes;
        codes.delete_enrollment_code(request).await.unwrap();
        return full_code;
    }
    let (changed, path) = match state {
        State::Off => (
            EnrollmentCode {
                enabled: Some(false),
                ..created
            },
            "enabled",
        ),
        _ => (
            EnrollmentCode {
                code: random_code(),
                ..created
            },
            "code",
        ),
    };
    admin
        .enrollment_codes
        .update_enrollment_code(UpdateEnrollmentCodeRequest {
            enrollment_code: Some(changed),
            update_mask: field_mask(&[path]),
            acknowledge_weak: true,
            ..Default::default()
        })
        .await
        .unwrap();
    full_code
}
