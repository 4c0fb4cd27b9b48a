//! The state before the random steps: a school with few seats, a class, and invitations.

use homeroom_api::{
    common::v1::Role,
    invitations::v1::{
        CreateEnrollmentCodeRequest, CreateTokenRequest, EnrollmentCode, GetClassCodeRequest,
        GetInviteTokenRequest, GetJoinUrlRequest, Token,
    },
    membership::v1::{
        AddOrganizationMemberRequest, Class, CreateClassRequest, CreateOrganizationRequest, Member,
        Organization,
    },
};

use crate::{
    dice::Dice,
    requests::{Caller, Effect, Request, place_of},
    world::{ADMIN, TEACHER, World},
};

/// One call of the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUp {
    /// The first or second organization, with this many seats; 0 means no limit.
    Organization(usize, i64),
    /// The teacher of that organization.
    Teacher(usize),
    /// The first class.
    Class,
    /// The code of that class.
    ClassCode,
    /// A token of the class with this many uses; 0 means no limit.
    Token(i32),
    /// An enrollment code of the class with this many uses; 0 means no limit.
    EnrollmentCode(i32),
    /// The organization's own token.
    InviteToken,
    /// The class's join URL.
    JoinUrl,
}

impl SetUp {
    /// Returns the set-up calls of a sequence.
    pub fn roll(dice: &mut Dice) -> Vec<Self> {
        let seats = *dice.pick(&[0, 1, 2, 2, 3, 5]);
        let mut calls = vec![Self::Organization(0, seats), Self::Teacher(0), Self::Class];
        if dice.chance(25) {
            calls.push(Self::Organization(1, dice.between(0, 3)));
            calls.push(Self::Teacher(1));
        }
        let first = dice.below(5);
        for way in [first, first + 1 + dice.below(4)] {
            calls.push(match way % 5 {
                0 => Self::ClassCode,
                1 => Self::Token(*dice.pick(&[0, 1, 2])),
                2 => Self::EnrollmentCode(*dice.pick(&[0, 1, 2])),
                3 => Self::InviteToken,
                _ => Self::JoinUrl,
            });
        }
        calls
    }

    /// Returns the index of the method, and the request.
    #[must_use]
    pub fn request(self, world: &World) -> (usize, Request) {
        let admin = Caller::For(world.people[ADMIN].clone());
        let class = world.classes[0].clone();
        let organization = |which: usize| world.organizations[which].clone();
        match self {
            Self::Organization(which, seat_limit) => {
                let message = CreateOrganizationRequest {
                    organization_id: organization(which).replace("organizations/", ""),
                    organization: Some(Organization {
                        display_name: "School".to_owned(),
                        seat_limit,
                        ..Default::default()
                    }),
                    admin: world.people[ADMIN].clone(),
                    ..Default::default()
                };
                (
                    place_of("CreateOrganization"),
                    Request::new(Caller::Platform, &message),
                )
            }
            Self::Teacher(which) => {
                let message = AddOrganizationMemberRequest {
                    parent: organization(which),
                    member: Some(Member {
                        user: world.people[TEACHER].clone(),
                        role: Role::Teacher.into(),
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                (
                    place_of("AddOrganizationMember"),
                    Request::new(admin, &message),
                )
            }
            Self::Class => {
                let message = CreateClassRequest {
                    parent: organization(0),
                    class_id: "art".to_owned(),
                    class: Some(Class {
                        display_name: "Art".to_owned(),
                        owner: world.people[TEACHER].clone(),
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                (place_of("CreateClass"), Request::new(admin, &message))
            }
            Self::ClassCode => {
                let name = format!("{class}/classCode");
                (
                    place_of("GetClassCode"),
                    Request::new(admin, &GetClassCodeRequest { name }),
                )
            }
            Self::Token(uses) => {
                let message = CreateTokenRequest {
                    parent: class,
                    token: Some(Token {
                        max_uses: Some(uses),
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                (place_of("CreateToken"), Request::new(admin, &message))
            }
            Self::EnrollmentCode(uses) => {
                let message = CreateEnrollmentCodeRequest {
                    parent: class,
                    enrollment_code: Some(EnrollmentCode {
                        code: "ART-2026".to_owned(),
                        max_uses: Some(uses),
                        ..Default::default()
                    }),
                    acknowledge_weak: true,
                    ..Default::default()
                };
                let effect = Effect::Revives(vec!["ART-2026".to_owned()]);
                let request = Request::new(admin, &message).with_effect(effect);
                (place_of("CreateEnrollmentCode"), request)
            }
            Self::InviteToken => {
                let name = format!("{}/inviteToken", organization(0));
                (
                    place_of("GetInviteToken"),
                    Request::new(admin, &GetInviteTokenRequest { name }),
                )
            }
            Self::JoinUrl => {
                let name = format!("{class}/joinUrl");
                (
                    place_of("GetJoinUrl"),
                    Request::new(admin, &GetJoinUrlRequest { name }),
                )
            }
        }
    }
}
