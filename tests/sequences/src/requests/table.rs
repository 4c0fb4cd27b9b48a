//! A row for each method: its name, its weight, its caller, and what a random request has that
//! [`Composer::complete`] does not add.

use serde_json::{Value, json};

use super::composer::{Caller, Composer, email_of};
use crate::world::{ADMIN, FIRST_STUDENT, TEACHER};

type Row = (&'static str, u32, fn(&mut Composer<'_>) -> (Caller, Value));

macro_rules! rows {
    ($($rows:ident: $($service:literal { $($method:literal $weight:literal |$c:ident| $caller:expr => $body:tt)* })*)*) => {
        $(
            const $rows: &[Row] = &[$($(
                (concat!($service, ".", $method), $weight, |$c| ($caller, json!($body))),
            )*)*];
        )*
    };
}

rows! {
PLACES:
"OrganizationService" {
    "CreateOrganization" 2 |c| Caller::Platform => {
        "organization_id": format!("{}-{}", c.world.tag, c.of(&[(2, 'a'), (5, 'b'), (3, 'c')])),
        "organization": {"display_name": "A school", "seat_limit": c.dice.between(0, 4)}, "admin": c.world.people[ADMIN]
    }
    "GetOrganization" 1 |c| c.oneself() => {"name": c.organization()}
    "ListOrganizations" 1 |c| c.oneself() => {}
    "DeleteOrganization" 1 |c| c.platform_or_staff(50) => {"name": c.organization(), "force": c.dice.chance(40)}
    "GetSeatUsage" 1 |c| c.staff() => {"name": format!("{}/seatUsage", c.organization())}
}
"ClassService" {
    "CreateClass" 3 |c| c.staff() => {
        "parent": c.organization(), "class_id": c.dice.pick(&["art", "biology", "chemistry"]), "class": {
            "display_name": "A class", "owner": c.world.people[c.of(&[(2, ADMIN), (7, TEACHER), (1, FIRST_STUDENT)])]
        }
    }
    "GetClass" 1 |c| c.oneself() => {"name": c.class()}
    "ListClasses" 1 |c| c.oneself() => {
        "parent": c.organization(), "filter": c.filter(&["state = \"ACTIVE\"", "state = \"ARCHIVED\""])
    }
    "UpdateClass" 1 |c| c.staff() => {
        "class": {"name": c.class(), "display_name": format!("Class {}", c.dice.below(9))}, "update_mask": "displayName"
    }
    "ArchiveClass" 2 |c| c.staff() => {"name": c.class()}
    "UnarchiveClass" 3 |c| c.staff() => {"name": c.class()}
    "DeleteClass" 1 |c| c.staff() => {"name": c.class()}
    "TransferClassOwnership" 3 |c| c.staff() => {"name": c.class(), "owner": c.anyone()}
}

MEMBERS:
"MemberService" {
    "AddOrganizationMember" 4 |c| c.staff() => {
        "parent": c.organization(),
        "member": {"user": c.anyone(), "role": c.dice.pick(&["STUDENT", "STUDENT", "TEACHER", "ADMIN"])}
    }
    "GetOrganizationMember" 1 |c| c.staff() => {"name": format!("{}/members/{}", c.organization(), c.anyone())}
    "ListOrganizationMembers" 1 |c| c.staff() => {"parent": c.organization(), "filter": c.filter(&["role = \"STUDENT\""])}
    "UpdateOrganizationMember" 3 |c| c.staff() => {
        "member": {
            "name": format!("{}/members/{}", c.organization(), c.anyone()),
            "role": c.dice.pick(&["STUDENT", "TEACHER", "ADMIN"])
        },
        "update_mask": "role"
    }
    "AddClassMember" 3 |c| c.staff() => {
        "parent": c.class(), "member": {"user": c.anyone(), "role": c.dice.pick(&["STUDENT", "STUDENT", "CO_TEACHER"])}
    }
    "GetClassMember" 4 |c| c.oneself() => {"name": format!("{}/members/{}", c.class(), c.anyone())}
    "ListClassMembers" 1 |c| c.staff() => {"parent": c.class(), "filter": c.filter(&["role = \"STUDENT\""])}
    "UpdateClassMember" 4 |c| c.staff() => {
        "member": {
            "name": format!("{}/members/{}", c.class(), c.anyone()), "role": c.dice.pick(&["STUDENT", "CO_TEACHER"])
        },
        "update_mask": "role"
    }
}
"RosterService" {
    "PlanImport" 4 |c| c.platform_or_staff(20) => (import(c))
    "CommitImport" 6 |c| c.platform_or_staff(20) => (c.world.planned.clone().unwrap_or_else(|| {
        let mut never_planned = import(c);
        never_planned["revision"] = "none".into();
        never_planned
    }))
}
"JoinRequestService" {
    "GetJoinRequest" 1 |c| c.oneself() => {"name": c.join_request()}
    "ListJoinRequests" 3 |c| c.decider() => {
        "parent": c.place(), "filter": c.filter(&["state = \"PENDING\"", "state = \"APPROVED\""])
    }
    "ApproveJoinRequest" 7 |c| c.decider() => {"name": c.join_request(), "decide_note": "Welcome."}
    "DenyJoinRequest" 3 |c| c.decider() => {"name": c.join_request()}
    "WithdrawJoinRequest" 3 |c| c.who_waits() => {"name": c.join_request()}
}

// As the invitations service calls: previews, repeated redemptions, and fences no higher than the
// invitation's epoch.
ADMISSIONS:
"AdmissionService" {
    "Admit" 3 |c| Caller::Platform => (admission(c))
    "BatchAdmit" 3 |c| Caller::Platform => {"requests": several(c, 3, admission)}
    "GetAdmission" 1 |c| Caller::Platform => {"name": c.redemption().0}
    "RaiseFence" 1 |c| Caller::Platform => {"invitation": c.invitation(), "epoch": 1}
    "CheckAccess" 1 |c| Caller::Platform => {
        "user": c.anyone(), "name": c.place(), "permission":
            c.dice.pick(&["VIEW", "READ_INVITATIONS", "MANAGE_INVITATIONS", "MANAGE_ORGANIZATION"])
    }
}
"membership.v1.UserService" {
    "EraseUser" 1 |c| Caller::Platform => {"name": format!("users/{}", c.anyone()), "validate_only": true}
    // Of whom nobody knows anything: for itself it would part the two services.
    "MoveUser" 1 |c| Caller::Platform => {
        "name": format!("users/{}-nobody", c.world.tag), "target": format!("users/{}", c.anyone()),
        "move_id": format!("moved-{}", c.dice.request_id())
    }
    "ListUserRecords" 1 |c| Caller::Platform => {"parent": format!("users/{}", c.anyone())}
}

TOKENS:
"TokenService" {
    "GetInviteToken" 3 |c| c.staff() => {"name": format!("{}/inviteToken", c.organization())}
    "UpdateInviteToken" 1 |c| c.staff() => {
        "invite_token": {"name": format!("{}/inviteToken", c.organization()), "expire_time": c.time(0, 24 * 60)},
        "update_mask": "expireTime"
    }
    "ResetInviteToken" 3 |c| c.staff() => {"name": format!("{}/inviteToken", c.organization())}
    "CreateToken" 5 |c| c.staff() => {"parent": c.class(), "token": token(c)}
    "BatchCreateTokens" 2 |c| c.staff() => {"parent": c.class(), "requests": several(c, 3, |c| json!({"token": token(c)}))}
    "GetToken" 1 |c| c.staff() => {"name": c.token()}
    "ListTokens" 1 |c| c.staff() => {"parent": c.class()}
    "UpdateToken" 2 |c| c.staff() => {
        "token": {"name": c.token(), "max_uses": c.dice.between(0, 4)}, "update_mask": "maxUses"
    }
    "RevokeToken" 4 |c| c.staff() => {"name": c.token()}
    "RevealToken" 1 |c| c.staff() => {"name": c.token()}
}

CODES:
"EnrollmentCodeService" {
    "CreateEnrollmentCode" 6 |c| c.staff() => {
        "parent": c.place(), "enrollment_code": code(c), "acknowledge_weak": c.dice.chance(95)
    }
    "GetEnrollmentCode" 1 |c| c.staff() => {"name": c.enrollment_code()}
    "ListEnrollmentCodes" 1 |c| c.staff() => {
        "parent": c.place(), "filter": c.filter(&["enabled = true", "enabled = false"])
    }
    "UpdateEnrollmentCode" 7 |c| c.staff() => (changed_code(c))
    "DeleteEnrollmentCode" 3 |c| c.staff() => {"name": c.enrollment_code()}
}
"ClassCodeService" {
    "GetClassCode" 6 |c| c.staff() => {"name": format!("{}/classCode", c.class())}
    "UpdateClassCode" 2 |c| c.staff() => {
        "class_code": {
            "name": format!("{}/classCode", c.class()),
            "lock_period": format!("{}s", c.dice.pick(&[0, 3_600, 86_400, 14 * 86_400]))
        },
        "update_mask": "lockPeriod"
    }
    "LockClassCode" 4 |c| c.staff() => {"name": format!("{}/classCode", c.class())}
    "UnlockClassCode" 3 |c| c.staff() => {"name": format!("{}/classCode", c.class())}
    "ResetClassCode" 9 |c| c.staff() => {"name": format!("{}/classCode", c.class())}
}
"JoinUrlService" {
    "GetJoinUrl" 4 |c| c.staff() => {"name": format!("{}/joinUrl", c.class())}
    "UpdateJoinUrl" 4 |c| c.staff() => {
        "join_url": {"name": format!("{}/joinUrl", c.class()), "enabled": c.dice.chance(40)}, "update_mask": "enabled"
    }
}

REDEMPTIONS:
"RedemptionService" {
    "ListRedemptions" 2 |c| c.staff() => {
        "parent": c.place(), "filter": c.filter(&["state = \"QUEUED\"", "state = \"COMMITTED\""])
    }
    "BatchRedeem" 8 |c| c.oneself() => {"requests": attempts(c)}
}

OTHERS:
// Mostly students are erased: an owner of classes cannot be, and without staff little happens.
"invitations.v1.UserService" {
    "EraseUser" 4 |c| Caller::Platform => {"name": format!("users/{}", c.student_mostly(85))}
    "MoveUser" 3 |c| Caller::Platform => {
        "name": format!("users/{}", c.student_mostly(85)), "target": format!("users/{}", c.student_mostly(85))
    }
    "ListUserRecords" 1 |c| Caller::Platform => {"parent": format!("users/{}", c.anyone())}
    "ClearFailedAttempts" 1 |c| Caller::Platform => {"name": format!("users/{}", c.anyone())}
}
"membership.v1.EventService" {
    "ListEvents" 1 |c| c.platform_or_staff(30) => {"parent": c.place()}
    "WatchEvents" 1 |c| c.platform_or_staff(30) => {"parent": c.place()}
}
"invitations.v1.EventService" {
    "ListEvents" 1 |c| c.platform_or_staff(30) => {"parent": c.place()}
    "WatchEvents" 1 |c| c.platform_or_staff(30) => {"parent": c.place()}
}
}

/// The methods whose caller and request depend on each other.
const DEPENDENT: &[Row] = &[
    ("OrganizationService.UpdateOrganization", 4, |c| {
        let (name, seats) = (c.organization(), c.dice.between(0, 6));
        let school =
            json!({"name": name, "seat_limit": seats, "display_name": format!("School {seats}")});
        if c.dice.chance(70) {
            (
                Caller::Platform,
                json!({"organization": school, "update_mask": "seatLimit"}),
            )
        } else {
            (
                c.staff(),
                json!({"organization": school, "update_mask": "displayName"}),
            )
        }
    }),
    ("MemberService.RemoveOrganizationMember", 5, |c| {
        let (person, place) = (c.student(), c.organization());
        (
            c.staff_or(&person),
            json!({"name": format!("{place}/members/{person}")}),
        )
    }),
    ("MemberService.RemoveClassMember", 5, |c| {
        let (person, place) = (c.student(), c.class());
        (
            c.staff_or(&person),
            json!({"name": format!("{place}/members/{person}")}),
        )
    }),
    ("MemberService.BatchRemoveMembers", 3, |c| {
        let invitation = c.invitation();
        let parts: Vec<&str> = invitation.split('/').collect();
        let depth = if parts.contains(&"classes") && c.dice.chance(60) {
            4
        } else {
            2
        };
        (
            c.staff(),
            json!({
                "parent": parts[..depth].join("/"), "invitation": invitation, "min_join_time": c.time_sometimes(30, 24, 0),
                "validate_only": c.dice.chance(20)
            }),
        )
    }),
    ("MemberService.ListMemberships", 1, |c| {
        let person = c.anyone();
        (
            Caller::For(person.clone()),
            json!({"parent": format!("users/{person}")}),
        )
    }),
    ("JoinRequestService.BatchDecideJoinRequests", 4, |c| {
        let decide = |c: &mut Composer<'_>| json!({"name": c.join_request(), "action": c.of(&[(70, "APPROVE"), (30, "DENY")])});
        let decisions = several(c, 4, decide);
        let first = decisions[0]["name"].as_str().unwrap_or_default();
        let parent = first.split("/joinRequests").next().map(str::to_owned);
        (
            c.decider(),
            json!({"parent": parent, "requests": decisions}),
        )
    }),
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
    ("RedemptionService.GetRedemption", 2, |c| {
        match c.redemption() {
            (name, Some((_, user))) if c.dice.chance(60) => {
                (Caller::For(user), json!({"name": name}))
            }
            (name, _) => (c.staff(), json!({"name": name})),
        }
    }),
    ("RedemptionService.ListRefusedAttempts", 2, |c| {
        let (caller, parent) = c.everywhere(Composer::organization);
        let filter = c.filter(&["reason = CODE_NOT_USABLE", "user = nobody"]);
        (caller, json!({"parent": parent, "filter": filter}))
    }),
    ("AuditService.ListAuditEntries", 2, |c| {
        let subject = format!("subject = \"{}\"", c.invitation());
        let (caller, parent) = c.everywhere(Composer::place);
        (
            caller,
            json!({"parent": parent, "filter": c.filter(&[&subject, "actor = nobody"])}),
        )
    }),
];

/// Every row.
pub(super) const ROWS: &[&[Row]] = &[
    PLACES,
    MEMBERS,
    ADMISSIONS,
    TOKENS,
    CODES,
    REDEMPTIONS,
    OTHERS,
    DEPENDENT,
];

/// Returns from one to `most` of these.
fn several(
    c: &mut Composer<'_>,
    most: i64,
    one: impl Fn(&mut Composer<'_>) -> Value,
) -> Vec<Value> {
    (0..c.dice.between(1, most)).map(|_| one(c)).collect()
}

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

/// Returns an import of a few people into a class and its organization.
fn import(c: &mut Composer<'_>) -> Value {
    let class = c.class();
    let parent = class.split("/classes/").next().map(str::to_owned);
    let row = |c: &mut Composer<'_>| {
        let roles: &[&str] = &["STUDENT", "STUDENT", "STUDENT", "CO_TEACHER"];
        let (class, roles) = c.of(&[
            (70, (class.as_str(), roles)),
            (30, ("", &["STUDENT", "STUDENT", "TEACHER", "ADMIN"])),
        ]);
        json!({
            "class": class, "user": c.anyone(), "role": c.dice.pick(roles), "remove": c.dice.chance(20),
            "display_name": c.of(&[(70, ""), (15, "A name"), (15, "Another name")]),
        })
    };
    let rows = several(c, 6, row);
    json!({"parent": parent, "rows": rows, "removals_percent_max": c.dice.pick(&[0, 50, 100, 100])})
}

/// Returns attempts of several students.
fn attempts(c: &mut Composer<'_>) -> Vec<Value> {
    let attempt = |c: &mut Composer<'_>| {
        let user = c.student();
        c.attempt(&user)
    };
    let mut requests = several(c, 5, attempt);
    if c.dice.chance(60) {
        // A class in front of one screen: all items use one credential.
        let credential = requests[0]["credential"].clone();
        for request in &mut requests {
            request["credential"] = credential.clone();
        }
    }
    requests
}

/// Returns a token with few uses, sometimes for one person alone.
fn token(c: &mut Composer<'_>) -> Value {
    let assigned = c.dice.chance(15).then(|| email_of(&c.student()));
    let max_uses = assigned.is_none().then(|| *c.dice.pick(&[0, 1, 1, 2, 3]));
    json!({
        "max_uses": max_uses, "assigned_email": assigned, "display_name": "A token",
        "expire_time": c.time_sometimes(20, -1, 72), "words": c.dice.pick(&[0, 2, 3, 4]),
    })
}

/// Returns an enrollment code; its words are few, so that some are already taken.
fn code(c: &mut Composer<'_>) -> Value {
    json!({
        "code": c.dice.pick(&["BIO101", "ART-2026", "MUSIC CLASS 7", "HISTORYOFTHEWORLD"]),
        "valid_from_time": c.time_sometimes(15, 24, 48), "valid_till_time": c.time_sometimes(20, -1, 24 * 20),
        "email_domains": c.of(&[(25, vec!["hamiltonschools.org"]), (75, vec![])]),
        "enabled": c.dice.chance(10).then_some(false),
        "max_uses": c.dice.pick(&[0, 1, 1, 2, 3]), "allow_rejoin": c.dice.chance(30),
    })
}

/// Returns a change of an enrollment code.
fn changed_code(c: &mut Composer<'_>) -> Value {
    let mut changed = code(c);
    changed["name"] = c.enrollment_code().into();
    let (mask, enabled) = c.of(&[
        (40, ("enabled", Some(false))),
        (12, ("enabled", Some(true))),
        (20, ("code", None)),
        (20, ("maxUses", None)),
        (8, ("validTillTime", None)),
    ]);
    if let Some(enabled) = enabled {
        changed["enabled"] = enabled.into();
    }
    json!({"enrollment_code": changed, "update_mask": mask, "acknowledge_weak": true})
}
