//! A row for each method: its name, its weight, its caller, and what a random request has that
//! [`Composer::complete`] does not add.

use serde_json::{Value, json};

use super::composer::{Caller, Composer, email_of};
use crate::world::{ADMIN, FIRST_STUDENT, TEACHER};

type Row = (&'static str, u32, fn(&mut Composer<'_>) -> (Caller, Value));

/// Every row.
pub(super) const ROWS: &[&[Row]] = &[
    PLACES,
    MEMBERS,
    ADMISSIONS,
    TOKENS,
    CODES,
    REDEMPTIONS,
    OTHERS,
];

const PLACES: &[Row] = &[
    ("OrganizationService.CreateOrganization", 2, |c| {
        let letter = ["a", "b", "c"][c.dice.weighted([2, 5, 3].into_iter())];
        (
            Caller::Platform,
            json!({
                "organization_id": format!("{}-{letter}", c.world.tag),
                "organization": {"display_name": "A school", "seat_limit": c.dice.between(0, 4)},
                "admin": c.world.people[ADMIN],
            }),
        )
    }),
    ("OrganizationService.GetOrganization", 1, |c| {
        (c.oneself(), json!({"name": c.organization()}))
    }),
    ("OrganizationService.ListOrganizations", 1, |c| {
        (c.oneself(), json!({}))
    }),
    ("OrganizationService.UpdateOrganization", 4, |c| {
        let sets_seats = c.dice.chance(70);
        let caller = if sets_seats {
            Caller::Platform
        } else {
            c.staff()
        };
        (
            caller,
            json!({
                "organization": {
                    "name": c.organization(),
                    "seat_limit": c.dice.between(0, 6),
                    "display_name": format!("School {}", c.dice.below(9)),
                },
                "update_mask": if sets_seats { "seatLimit" } else { "displayName" },
            }),
        )
    }),
    ("OrganizationService.DeleteOrganization", 1, |c| {
        (
            c.platform_or_staff(50),
            json!({"name": c.organization(), "force": c.dice.chance(40)}),
        )
    }),
    ("OrganizationService.GetSeatUsage", 1, |c| {
        (
            c.staff(),
            json!({"name": format!("{}/seatUsage", c.organization())}),
        )
    }),
    ("ClassService.CreateClass", 3, |c| {
        let owner = [ADMIN, TEACHER, FIRST_STUDENT][c.dice.weighted([2, 7, 1].into_iter())];
        (
            c.staff(),
            json!({
                "parent": c.organization(),
                "class_id": c.dice.pick(&["art", "biology", "chemistry"]),
                "class": {"display_name": "A class", "owner": c.world.people[owner]},
            }),
        )
    }),
    ("ClassService.GetClass", 1, |c| {
        (c.oneself(), json!({"name": c.class()}))
    }),
    ("ClassService.ListClasses", 1, |c| {
        let filter = c.filter(&["state = \"ACTIVE\"", "state = \"ARCHIVED\""]);
        (
            c.oneself(),
            json!({"parent": c.organization(), "filter": filter}),
        )
    }),
    ("ClassService.UpdateClass", 1, |c| {
        let class =
            json!({"name": c.class(), "display_name": format!("Class {}", c.dice.below(9))});
        (
            c.staff(),
            json!({"class": class, "update_mask": "displayName"}),
        )
    }),
    ("ClassService.ArchiveClass", 2, |c| {
        (c.staff(), json!({"name": c.class()}))
    }),
    ("ClassService.UnarchiveClass", 3, |c| {
        (c.staff(), json!({"name": c.class()}))
    }),
    ("ClassService.DeleteClass", 1, |c| {
        (c.staff(), json!({"name": c.class()}))
    }),
    ("ClassService.TransferClassOwnership", 3, |c| {
        (c.staff(), json!({"name": c.class(), "owner": c.anyone()}))
    }),
];

const MEMBERS: &[Row] = &[
    ("MemberService.AddOrganizationMember", 4, |c| {
        let role = *c.dice.pick(&["STUDENT", "STUDENT", "TEACHER", "ADMIN"]);
        (
            c.staff(),
            json!({"parent": c.organization(), "member": {"user": c.anyone(), "role": role}}),
        )
    }),
    ("MemberService.GetOrganizationMember", 1, |c| {
        (
            c.staff(),
            json!({"name": format!("{}/members/{}", c.organization(), c.anyone())}),
        )
    }),
    ("MemberService.ListOrganizationMembers", 1, |c| {
        (
            c.staff(),
            json!({"parent": c.organization(), "filter": c.filter(&["role = \"STUDENT\""])}),
        )
    }),
    ("MemberService.UpdateOrganizationMember", 3, |c| {
        let role = *c.dice.pick(&["STUDENT", "TEACHER", "ADMIN"]);
        let name = format!("{}/members/{}", c.organization(), c.anyone());
        (
            c.staff(),
            json!({"member": {"name": name, "role": role}, "update_mask": "role"}),
        )
    }),
    ("MemberService.RemoveOrganizationMember", 5, |c| {
        let person = c.student();
        (
            c.staff_or(&person),
            json!({"name": format!("{}/members/{person}", c.organization())}),
        )
    }),
    ("MemberService.AddClassMember", 3, |c| {
        let role = *c.dice.pick(&["STUDENT", "STUDENT", "CO_TEACHER"]);
        (
            c.staff(),
            json!({"parent": c.class(), "member": {"user": c.anyone(), "role": role}}),
        )
    }),
    ("MemberService.GetClassMember", 4, |c| {
        (
            c.oneself(),
            json!({"name": format!("{}/members/{}", c.class(), c.anyone())}),
        )
    }),
    ("MemberService.ListClassMembers", 1, |c| {
        (
            c.staff(),
            json!({"parent": c.class(), "filter": c.filter(&["role = \"STUDENT\""])}),
        )
    }),
    ("MemberService.UpdateClassMember", 4, |c| {
        let role = *c.dice.pick(&["STUDENT", "CO_TEACHER"]);
        let name = format!("{}/members/{}", c.class(), c.anyone());
        (
            c.staff(),
            json!({"member": {"name": name, "role": role}, "update_mask": "role"}),
        )
    }),
    ("MemberService.RemoveClassMember", 5, |c| {
        let person = c.student();
        (
            c.staff_or(&person),
            json!({"name": format!("{}/members/{person}", c.class())}),
        )
    }),
    ("MemberService.ListMemberships", 1, |c| {
        let person = c.anyone();
        (
            Caller::For(person.clone()),
            json!({"parent": format!("users/{person}")}),
        )
    }),
    ("JoinRequestService.GetJoinRequest", 1, |c| {
        (c.oneself(), json!({"name": c.join_request()}))
    }),
    ("JoinRequestService.ListJoinRequests", 3, |c| {
        let filter = c.filter(&["state = \"PENDING\"", "state = \"APPROVED\""]);
        (c.decider(), json!({"parent": c.place(), "filter": filter}))
    }),
    ("JoinRequestService.ApproveJoinRequest", 7, |c| {
        (
            c.decider(),
            json!({"name": c.join_request(), "decide_note": "Welcome."}),
        )
    }),
    ("JoinRequestService.DenyJoinRequest", 3, |c| {
        (c.decider(), json!({"name": c.join_request()}))
    }),
    ("JoinRequestService.BatchDecideJoinRequests", 4, |c| {
        let names: Vec<String> = (0..c.dice.between(1, 4))
            .map(|_| c.join_request())
            .collect();
        let parent = names[0]
            .split_once("/joinRequests")
            .map_or_else(String::new, |(parent, _)| parent.to_owned());
        let decide = |name| json!({"name": name, "action": if c.dice.chance(70) { "APPROVE" } else { "DENY" }});
        let decisions: Vec<Value> = names.into_iter().map(decide).collect();
        (
            c.decider(),
            json!({"parent": parent, "decisions": decisions}),
        )
    }),
    ("JoinRequestService.WithdrawJoinRequest", 3, |c| {
        let waits = c
            .world
            .acknowledged
            .iter()
            .rev()
            .find(|known| known.outcome == "PENDING_APPROVAL");
        let caller = match waits.map(|known| known.user.clone()) {
            Some(user) if c.dice.chance(85) => Caller::For(user),
            _ => c.oneself(),
        };
        (caller, json!({"name": c.join_request()}))
    }),
];

/// Returns a request that repeats an acknowledged redemption, which has its answer, or that
/// previews.
fn admission(c: &mut Composer<'_>) -> Value {
    let (redemption, known) = c.redemption();
    let validate_only = known.is_none() || c.dice.chance(30);
    let (parent, user) = known.unwrap_or_else(|| (c.class(), c.student()));
    json!({
        "redemption": redemption, "invitation": c.invitation(), "epoch": 1, "parent": parent, "user": {"user": user},
        "route": "ADMIT_AT_ONCE", "method": "CLASS_CODE", "invitation_issue_time": c.time(48, 0),
        "validate_only": validate_only,
    })
}

/// Calls as the invitations service makes them: previews, repeated redemptions, and fences no
/// higher than the invitation's epoch.
const ADMISSIONS: &[Row] = &[
    ("AdmissionService.Admit", 3, |c| {
        (Caller::Platform, admission(c))
    }),
    ("AdmissionService.BatchAdmit", 3, |c| {
        let requests: Vec<Value> = (0..c.dice.between(1, 3)).map(|_| admission(c)).collect();
        (Caller::Platform, json!({"requests": requests}))
    }),
    ("AdmissionService.GetAdmission", 1, |c| {
        (Caller::Platform, json!({"name": c.redemption().0}))
    }),
    ("AdmissionService.RaiseFence", 1, |c| {
        (
            Caller::Platform,
            json!({"invitation": c.invitation(), "epoch": 1}),
        )
    }),
    ("AdmissionService.CheckAccess", 1, |c| {
        let permissions = [
            "VIEW",
            "READ_INVITATIONS",
            "MANAGE_INVITATIONS",
            "MANAGE_ORGANIZATION",
        ];
        let permission = *c.dice.pick(&permissions);
        (
            Caller::Platform,
            json!({"user": c.anyone(), "name": c.place(), "permission": permission}),
        )
    }),
    ("membership.v1.UserService.EraseUser", 1, |c| {
        (
            Caller::Platform,
            json!({"name": format!("users/{}", c.anyone()), "validate_only": true}),
        )
    }),
];

/// Returns a token with few uses, sometimes for one person alone.
fn token(c: &mut Composer<'_>) -> Value {
    let assigned = c.dice.chance(15).then(|| email_of(&c.student()));
    let max_uses = assigned.is_none().then(|| *c.dice.pick(&[0, 1, 1, 2, 3]));
    json!({
        "max_uses": max_uses, "assigned_email": assigned, "display_name": "A token",
        "expire_time": c.time_sometimes(20, -1, 72), "words": c.dice.pick(&[0, 2, 3, 4]),
    })
}

const TOKENS: &[Row] = &[
    ("TokenService.GetInviteToken", 3, |c| {
        (
            c.staff(),
            json!({"name": format!("{}/inviteToken", c.organization())}),
        )
    }),
    ("TokenService.UpdateInviteToken", 1, |c| {
        let token = json!({"name": format!("{}/inviteToken", c.organization()), "expire_time": c.time(0, 24 * 60)});
        (
            c.staff(),
            json!({"invite_token": token, "update_mask": "expireTime"}),
        )
    }),
    ("TokenService.ResetInviteToken", 3, |c| {
        (
            c.staff(),
            json!({"name": format!("{}/inviteToken", c.organization())}),
        )
    }),
    ("TokenService.CreateToken", 5, |c| {
        (c.staff(), json!({"parent": c.class(), "token": token(c)}))
    }),
    ("TokenService.BatchCreateTokens", 2, |c| {
        let tokens: Vec<Value> = (0..c.dice.between(1, 3)).map(|_| token(c)).collect();
        (c.staff(), json!({"parent": c.class(), "tokens": tokens}))
    }),
    ("TokenService.GetToken", 1, |c| {
        (c.staff(), json!({"name": c.token()}))
    }),
    ("TokenService.ListTokens", 1, |c| {
        (c.staff(), json!({"parent": c.class()}))
    }),
    ("TokenService.UpdateToken", 2, |c| {
        let token = json!({"name": c.token(), "max_uses": c.dice.between(0, 4)});
        (c.staff(), json!({"token": token, "update_mask": "maxUses"}))
    }),
    ("TokenService.RevokeToken", 4, |c| {
        (c.staff(), json!({"name": c.token()}))
    }),
    ("TokenService.RevealToken", 1, |c| {
        (c.staff(), json!({"name": c.token()}))
    }),
];

/// Returns an enrollment code; its words are few, so that some are already taken.
fn code(c: &mut Composer<'_>) -> Value {
    json!({
        "code": c.dice.pick(&["BIO101", "ART-2026", "MUSIC CLASS 7", "HISTORYOFTHEWORLD"]),
        "valid_from_time": c.time_sometimes(15, 24, 48),
        "valid_till_time": c.time_sometimes(20, -1, 24 * 20),
        "email_domains": if c.dice.chance(25) { vec!["hamiltonschools.org"] } else { Vec::new() },
        "enabled": c.dice.chance(10).then_some(false),
        "max_uses": c.dice.pick(&[0, 1, 1, 2, 3]),
        "allow_rejoin": c.dice.chance(30),
    })
}

fn class_code(c: &mut Composer<'_>) -> (Caller, Value) {
    (
        c.staff(),
        json!({"name": format!("{}/classCode", c.class())}),
    )
}

const CODES: &[Row] = &[
    ("EnrollmentCodeService.CreateEnrollmentCode", 6, |c| {
        let acknowledge_weak = c.dice.chance(95);
        (
            c.staff(),
            json!({"parent": c.place(), "enrollment_code": code(c), "acknowledge_weak": acknowledge_weak}),
        )
    }),
    ("EnrollmentCodeService.GetEnrollmentCode", 1, |c| {
        (c.staff(), json!({"name": c.enrollment_code()}))
    }),
    ("EnrollmentCodeService.ListEnrollmentCodes", 1, |c| {
        (
            c.staff(),
            json!({"parent": c.place(), "filter": c.filter(&["enabled = true", "enabled = false"])}),
        )
    }),
    ("EnrollmentCodeService.UpdateEnrollmentCode", 7, |c| {
        let mut changed = code(c);
        changed["name"] = c.enrollment_code().into();
        let mask = match c.dice.weighted([40, 12, 20, 20, 8].into_iter()) {
            off_or_on @ (0 | 1) => {
                changed["enabled"] = (off_or_on == 1).into();
                "enabled"
            }
            2 => "code",
            3 => "maxUses",
            _ => "validTillTime",
        };
        (
            c.staff(),
            json!({"enrollment_code": changed, "update_mask": mask, "acknowledge_weak": true}),
        )
    }),
    ("EnrollmentCodeService.DeleteEnrollmentCode", 3, |c| {
        (c.staff(), json!({"name": c.enrollment_code()}))
    }),
    ("ClassCodeService.GetClassCode", 6, class_code),
    ("ClassCodeService.UpdateClassCode", 2, |c| {
        let period = format!("{}s", c.dice.pick(&[0, 3_600, 86_400, 14 * 86_400]));
        let code = json!({"name": format!("{}/classCode", c.class()), "lock_period": period});
        (
            c.staff(),
            json!({"class_code": code, "update_mask": "lockPeriod"}),
        )
    }),
    ("ClassCodeService.LockClassCode", 4, class_code),
    ("ClassCodeService.UnlockClassCode", 3, class_code),
    ("ClassCodeService.ResetClassCode", 9, class_code),
    ("JoinUrlService.GetJoinUrl", 4, |c| {
        (c.staff(), json!({"name": format!("{}/joinUrl", c.class())}))
    }),
    ("JoinUrlService.UpdateJoinUrl", 4, |c| {
        let url = json!({"name": format!("{}/joinUrl", c.class()), "enabled": c.dice.chance(40)});
        (
            c.staff(),
            json!({"join_url": url, "update_mask": "enabled"}),
        )
    }),
];

const REDEMPTIONS: &[Row] = &[
    ("RedemptionService.PreviewRedemption", 2, |c| {
        let user = c.student();
        (
            Caller::For(user.clone()),
            json!({"credential": c.credential(), "user": c.user(&user)}),
        )
    }),
    ("RedemptionService.Redeem", 55, |c| {
        let user = c.student_mostly(95);
        (Caller::For(user.clone()), c.attempt(&user))
    }),
    ("RedemptionService.BatchRedeem", 8, |c| {
        let users: Vec<String> = (0..c.dice.between(1, 5)).map(|_| c.student()).collect();
        let mut requests: Vec<Value> = users.iter().map(|user| c.attempt(user)).collect();
        if c.dice.chance(60) {
            // A class in front of one screen: all items use one credential.
            let credential = requests[0]["credential"].clone();
            requests
                .iter_mut()
                .for_each(|request| request["credential"] = credential.clone());
        }
        (c.oneself(), json!({"requests": requests}))
    }),
    ("RedemptionService.GetRedemption", 2, |c| {
        match c.redemption() {
            (name, Some((_, user))) if c.dice.chance(60) => {
                (Caller::For(user), json!({"name": name}))
            }
            (name, _) => (c.staff(), json!({"name": name})),
        }
    }),
    ("RedemptionService.ListRedemptions", 2, |c| {
        let filter = c.filter(&["state = \"QUEUED\"", "state = \"COMMITTED\""]);
        (c.staff(), json!({"parent": c.place(), "filter": filter}))
    }),
    ("RedemptionService.ListRefusedAttempts", 2, |c| {
        let (caller, parent) = c.everywhere(Composer::organization);
        (
            caller,
            json!({"parent": parent, "filter": c.filter(&["reason = CODE_NOT_USABLE", "user = nobody"])}),
        )
    }),
];

fn events(c: &mut Composer<'_>) -> (Caller, Value) {
    (c.platform_or_staff(30), json!({"parent": c.place()}))
}

const OTHERS: &[Row] = &[
    ("AuditService.ListAuditEntries", 2, |c| {
        let subject = format!("subject = \"{}\"", c.invitation());
        let (caller, parent) = c.everywhere(Composer::place);
        (
            caller,
            json!({"parent": parent, "filter": c.filter(&[&subject, "actor = nobody"])}),
        )
    }),
    // Mostly students are erased: an owner of classes cannot be, and without staff little happens.
    ("invitations.v1.UserService.EraseUser", 4, |c| {
        (
            Caller::Platform,
            json!({"name": format!("users/{}", c.student_mostly(85))}),
        )
    }),
    ("UserService.ClearFailedAttempts", 1, |c| {
        (
            Caller::Platform,
            json!({"name": format!("users/{}", c.anyone())}),
        )
    }),
    ("membership.v1.EventService.ListEvents", 1, events),
    ("membership.v1.EventService.WatchEvents", 1, events),
    ("invitations.v1.EventService.ListEvents", 1, events),
    ("invitations.v1.EventService.WatchEvents", 1, events),
];
