//! Who may call what: the table of 02, over every RPC, for every kind of person.

use std::collections::BTreeSet;

use homeroom_api::{common::v1::Role, membership::v1::AddOrganizationMemberRequest};
use homeroom_tests::{Claims, Homeroom, member, on_both_engines, raw, reason};
use serde_json::Value;
use tonic::Code;

use crate::good_requests::{Existing, good_requests};

/// The least role that may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Least {
    /// Whoever may see the organization or class: its members.
    Member,
    /// The class's co-teachers, its owner, administrators.
    CoTeacher,
    /// The class's owner, administrators.
    Owner,
    /// Teachers of the organization, administrators.
    Teacher,
    /// Administrators of the organization.
    Admin,
}

/// Methods for anyone about themselves, and methods that a scope opens, not a role.
const NOT_BY_ROLE: [&str; 16] = [
    "OrganizationService.CreateOrganization",
    "OrganizationService.ListOrganizations",
    "MemberService.ListMemberships",
    "JoinRequestService.WithdrawJoinRequest",
    "JoinRequestService.GetJoinRequest",
    "JoinRequestService.ListJoinRequests",
    "AdmissionService.Admit",
    "AdmissionService.BatchAdmit",
    "AdmissionService.GetAdmission",
    "AdmissionService.RaiseFence",
    "AdmissionService.CheckAccess",
    "RedemptionService.PreviewRedemption",
    "RedemptionService.Redeem",
    "RedemptionService.BatchRedeem",
    "RedemptionService.GetRedemption",
    // An organization's classes are listed for each member, as far as they may see them.
    "ClassService.ListClasses",
];

const BY_ROLE: [(&str, Least); 49] = [
    ("OrganizationService.GetOrganization", Least::Member),
    ("OrganizationService.UpdateOrganization", Least::Admin),
    ("OrganizationService.DeleteOrganization", Least::Admin),
    ("OrganizationService.GetSeatUsage", Least::Admin),
    ("ClassService.CreateClass", Least::Teacher),
    ("ClassService.GetClass", Least::Member),
    ("ClassService.UpdateClass", Least::Owner),
    ("ClassService.ArchiveClass", Least::Owner),
    ("ClassService.UnarchiveClass", Least::Owner),
    ("ClassService.DeleteClass", Least::Owner),
    ("ClassService.TransferClassOwnership", Least::Owner),
    ("MemberService.AddOrganizationMember", Least::Admin),
    ("MemberService.GetOrganizationMember", Least::Teacher),
    ("MemberService.ListOrganizationMembers", Least::Admin),
    ("MemberService.UpdateOrganizationMember", Least::Admin),
    ("MemberService.RemoveOrganizationMember", Least::Admin),
    ("MemberService.AddClassMember", Least::Owner),
    ("MemberService.GetClassMember", Least::CoTeacher),
    ("MemberService.ListClassMembers", Least::CoTeacher),
    ("MemberService.UpdateClassMember", Least::Owner),
    ("MemberService.RemoveClassMember", Least::Owner),
    ("JoinRequestService.ApproveJoinRequest", Least::CoTeacher),
    ("JoinRequestService.DenyJoinRequest", Least::CoTeacher),
    (
        "JoinRequestService.BatchDecideJoinRequests",
        Least::CoTeacher,
    ),
    ("membership.v1.EventService.ListEvents", Least::CoTeacher),
    ("membership.v1.EventService.WatchEvents", Least::CoTeacher),
    ("TokenService.GetInviteToken", Least::Admin),
    ("TokenService.UpdateInviteToken", Least::Admin),
    ("TokenService.ResetInviteToken", Least::Admin),
    ("TokenService.CreateToken", Least::Owner),
    ("TokenService.BatchCreateTokens", Least::Owner),
    ("TokenService.GetToken", Least::CoTeacher),
    ("TokenService.ListTokens", Least::CoTeacher),
    ("TokenService.UpdateToken", Least::Owner),
    ("TokenService.RevokeToken", Least::Owner),
    ("TokenService.RevealToken", Least::CoTeacher),
    ("EnrollmentCodeService.CreateEnrollmentCode", Least::Owner),
    ("EnrollmentCodeService.GetEnrollmentCode", Least::CoTeacher),
    (
        "EnrollmentCodeService.ListEnrollmentCodes",
        Least::CoTeacher,
    ),
    ("EnrollmentCodeService.UpdateEnrollmentCode", Least::Owner),
    ("EnrollmentCodeService.DeleteEnrollmentCode", Least::Owner),
    ("ClassCodeService.GetClassCode", Least::CoTeacher),
    ("ClassCodeService.UpdateClassCode", Least::Owner),
    ("ClassCodeService.LockClassCode", Least::Owner),
    ("ClassCodeService.UnlockClassCode", Least::Owner),
    ("ClassCodeService.ResetClassCode", Least::Owner),
    ("JoinUrlService.GetJoinUrl", Least::CoTeacher),
    ("JoinUrlService.UpdateJoinUrl", Least::Owner),
    ("RedemptionService.ListRedemptions", Least::CoTeacher),
];

/// Somebody, and what they are.
#[derive(Debug, Clone, Copy)]
struct Person {
    user: &'static str,
    sees_organization: bool,
    sees_class: bool,
    holds: &'static [Least],
}

/// The administrator may call everything, which the other tests show.
const PEOPLE: [Person; 5] = [
    Person {
        user: "stranger",
        sees_organization: false,
        sees_class: false,
        holds: &[],
    },
    Person {
        user: "student-7",
        sees_organization: true,
        sees_class: true,
        holds: &[Least::Member],
    },
    // Owns the sibling class: nothing here.
    Person {
        user: "sibling",
        sees_organization: true,
        sees_class: false,
        holds: &[Least::Teacher],
    },
    Person {
        user: "co-teacher",
        sees_organization: true,
        sees_class: true,
        holds: &[Least::Member, Least::CoTeacher, Least::Teacher],
    },
    Person {
        user: "teacher",
        sees_organization: true,
        sees_class: true,
        holds: &[
            Least::Member,
            Least::CoTeacher,
            Least::Owner,
            Least::Teacher,
        ],
    },
];

impl Person {
    /// What the table says to this person's call: allowed, or the code and reason of the refusal.
    fn expected(self, least: Least, of_class: bool) -> Option<(Code, &'static [&'static str])> {
        const HIDDEN: &[&str] = &[
            "ORGANIZATION_NOT_FOUND",
            "CLASS_NOT_FOUND",
            "JOIN_REQUEST_NOT_FOUND",
        ];
        let sees = if of_class {
            self.sees_class
        } else {
            self.sees_organization
        };
        if !sees {
            Some((Code::NotFound, HIDDEN))
        } else if self.holds.contains(&least) || least == Least::Member {
            None
        } else {
            Some((Code::PermissionDenied, &["ROLE_REQUIRED"]))
        }
    }
}

async fn existing(homeroom: &Homeroom) -> Existing {
    let existing = crate::bad_input::existing(homeroom).await;
    let code = homeroom_api::invitations::v1::GetClassCodeRequest {
        name: "organizations/hamilton/classes/biology/classCode".to_owned(),
    };
    let code = homeroom
        .user("teacher")
        .class_codes
        .get_class_code(code)
        .await
        .unwrap()
        .into_inner()
        .code;
    homeroom.user("student-7").redeem(&code).await.unwrap();
    homeroom
        .user("admin")
        .members
        .add_organization_member(AddOrganizationMemberRequest {
            parent: "organizations/hamilton".to_owned(),
            member: Some(member("sibling", Role::Teacher)),
            ..Default::default()
        })
        .await
        .unwrap();
    let mut sibling = homeroom.user("sibling");
    sibling
        .classes
        .create_class(homeroom_api::membership::v1::CreateClassRequest {
            parent: "organizations/hamilton".to_owned(),
            class_id: "chemistry".to_owned(),
            class: Some(homeroom_api::membership::v1::Class {
                display_name: "Chemistry".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await
        .unwrap();
    existing
}

/// A class, or something under one.
fn is_of_class(body: &Value) -> bool {
    body.to_string().contains("organizations/hamilton/classes/")
}

on_both_engines! {
async fn whoever_lacks_the_role_is_refused_on_every_rpc_and_nothing_is_written(homeroom) {
    let requests = good_requests(&existing(homeroom).await);
    let listed: BTreeSet<&str> = NOT_BY_ROLE.into_iter().chain(BY_ROLE.map(|(method, _)| method)).collect();
    let unlisted: Vec<_> = raw::methods().iter().map(prost_reflect::MethodDescriptor::full_name)
        .filter(|method| !listed.iter().any(|listed| method.ends_with(listed)))
        // The other service's feed has the same table.
        .filter(|method| !method.starts_with("homeroom.invitations.v1.EventService."))
        .collect();
    assert!(unlisted.is_empty(), "{unlisted:?}");

    let before = homeroom.settled_row_counts().await;
    let mut wrong = Vec::new();
    for request in &requests {
        let Some((_, least)) = BY_ROLE.iter().find(|(method, _)| {
            request.method.ends_with(method) || (method.contains("EventService") && request.method.ends_with(method.trim_start_matches("membership.v1.")))
        }) else { continue };
        for person in PEOPLE {
            let Some((code, reasons)) = person.expected(*least, is_of_class(&request.body)) else { continue };
            let answer = homeroom.call(Claims::of(person.user), request.method, &request.body).await;
            let told = answer.map_or_else(|status| (status.code(), reason(&status)), |answer| (Code::Ok, answer.to_string()));
            if told.0 != code || !reasons.contains(&told.1.as_str()) {
                wrong.push(format!("{} by {}: {told:?}, not {code:?} {reasons:?}", request.method, person.user));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(homeroom.settled_row_counts().await, before, "nothing is written");
}
}

on_both_engines! {
async fn scopes_open_what_is_not_a_persons_and_roles_open_none_of_it(homeroom) {
    let requests = good_requests(&existing(homeroom).await);
    let before = homeroom.settled_row_counts().await;
    for request in &requests {
        let by_scope = request.method.contains(".AdmissionService.") || request.method.ends_with(".CreateOrganization") || request.method.ends_with(".BatchRedeem");
        if by_scope {
            let refused = homeroom.call(Claims::of("admin"), request.method, &request.body).await.unwrap_err();
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "SCOPE_MISSING"), "{}", request.method);
        }
    }
    assert_eq!(homeroom.settled_row_counts().await, before, "nothing is written");
}
}

on_both_engines! {
async fn who_acts_for_a_user_has_that_users_roles_and_needs_the_scope(homeroom) {
    let school = homeroom.school().await;
    let read = homeroom_api::membership::v1::GetClassRequest { name: school.class.clone() };
    let acting = |scopes: &'static [&'static str]| homeroom.user_with(Claims { scopes, acting_user: "teacher", ..Claims::of("lms") });
    assert!(acting(&["homeroom.act_as"]).classes.get_class(read.clone()).await.is_ok());
    let refused = acting(&[]).classes.get_class(read.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "SCOPE_MISSING");
    let refused = homeroom.user_with(Claims { scopes: &["homeroom.act_as"], acting_user: "stranger", ..Claims::of("lms") })
        .classes.get_class(read).await.unwrap_err();
    assert_eq!(reason(&refused), "CLASS_NOT_FOUND");
}
}
