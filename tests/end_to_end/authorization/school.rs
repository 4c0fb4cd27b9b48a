//! The two schools of the authorization table, and the role of each person in them.

use chrono::TimeDelta;
use homeroom_tests::{Claims, Homeroom};
use serde_json::{Value, json};

use super::row::{About, Concerned, Least};

/// One class and its organization, with one resource of each kind.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) what: &'static str,
    place: Place,
    student: &'static str,
    asker: &'static str,
    values: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `organizations/hamilton/classes/biology`.
    Own,
    /// `organizations/hamilton/classes/chemistry`.
    Sibling,
    /// `organizations/jefferson/classes/biology`.
    Elsewhere,
}

impl Target {
    /// Returns the text with the target's values for its placeholders.
    pub(super) fn named(&self, text: &str) -> String {
        let values = self.values.iter();
        values.fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }

    /// Returns the row's body with the target's values.
    pub(super) fn fill(&self, body: &str) -> Value {
        let filled = self.named(body);
        serde_json::from_str(&filled).unwrap_or_else(|error| panic!("{filled}: {error}"))
    }

    /// Returns the organization's id.
    pub(super) fn organization(&self) -> &'static str {
        match self.place {
            Place::Own | Place::Sibling => "hamilton",
            Place::Elsewhere => "jefferson",
        }
    }

    /// Returns true if it is the sibling class.
    pub(super) fn is_sibling(&self) -> bool {
        self.place == Place::Sibling
    }

    fn concerns(&self, concerned: Concerned) -> Option<&'static str> {
        match concerned {
            Concerned::Nobody => None,
            Concerned::Student => Some(self.student),
            Concerned::Asker => Some(self.asker),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InOrganization {
    Admin,
    Teacher,
    Student,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InClass {
    Owner,
    CoTeacher,
    Student,
}

/// A person, with the roles in the organization hamilton or jefferson and in a class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) user: &'static str,
    organization: Option<(&'static str, InOrganization)>,
    class: Option<(Place, InClass)>,
}

const fn person(
    user: &'static str,
    organization: Option<(&'static str, InOrganization)>,
    class: Option<(Place, InClass)>,
) -> Person {
    Person {
        user,
        organization,
        class,
    }
}

/// Every person who calls. The target class is biology at hamilton.
pub(super) const PEOPLE: [Person; 11] = [
    person("stranger", None, None),
    person("former", None, None),
    person("asker", None, None),
    person(
        "student",
        Some(("hamilton", InOrganization::Student)),
        Some((Place::Own, InClass::Student)),
    ),
    // A student of the organization who helps to teach the class.
    person(
        "assistant",
        Some(("hamilton", InOrganization::Student)),
        Some((Place::Own, InClass::CoTeacher)),
    ),
    person(
        "co-teacher",
        Some(("hamilton", InOrganization::Teacher)),
        Some((Place::Own, InClass::CoTeacher)),
    ),
    person(
        "teacher",
        Some(("hamilton", InOrganization::Teacher)),
        Some((Place::Own, InClass::Owner)),
    ),
    person(
        "colleague",
        Some(("hamilton", InOrganization::Teacher)),
        None,
    ),
    person(
        "sibling",
        Some(("hamilton", InOrganization::Teacher)),
        Some((Place::Sibling, InClass::Owner)),
    ),
    person("admin", Some(("hamilton", InOrganization::Admin)), None),
    person(
        "principal",
        Some(("jefferson", InOrganization::Admin)),
        None,
    ),
];

impl Person {
    fn in_organization(self, target: &Target) -> Option<InOrganization> {
        self.organization
            .filter(|(id, _)| *id == target.organization())
            .map(|(_, role)| role)
    }

    fn in_class(self, target: &Target) -> Option<InClass> {
        self.class
            .filter(|(place, _)| *place == target.place)
            .map(|(_, role)| role)
    }

    /// Returns true if the person is an administrator of the target's organization.
    pub(super) fn administers(self, target: &Target) -> bool {
        self.in_organization(target) == Some(InOrganization::Admin)
    }

    /// Returns true if the person may know that the subject of a row exists.
    pub(super) fn sees(self, target: &Target, about: About) -> bool {
        match about {
            About::Nothing => true,
            About::Organization => self.in_organization(target).is_some(),
            About::Class => self.administers(target) || self.in_class(target).is_some(),
        }
    }

    /// Returns true if the person has the role, or one that may do the same.
    pub(super) fn has(self, target: &Target, about: About, least: Least) -> bool {
        let in_class = self.in_class(target);
        self.administers(target)
            || match least {
                Least::Member => self.sees(target, about),
                Least::CoTeacher => matches!(in_class, Some(InClass::Owner | InClass::CoTeacher)),
                Least::Owner => in_class == Some(InClass::Owner),
                Least::Teacher => self.in_organization(target) == Some(InOrganization::Teacher),
                Least::Admin => false,
            }
    }

    /// Returns true if a row concerns this person.
    pub(super) fn is(self, target: &Target, concerned: Concerned) -> bool {
        target.concerns(concerned) == Some(self.user)
    }
}

async fn made(homeroom: &Homeroom, user: &str, method: &str, body: Value) -> Value {
    let claims = Claims {
        scopes: if user == "platform" {
            &["homeroom.platform"]
        } else {
            &[]
        },
        ..Claims::of(user)
    };
    homeroom
        .call(claims, method, &body)
        .await
        .unwrap_or_else(|status| panic!("{method} by {user}: {status:?}"))
}

async fn membership(homeroom: &Homeroom, user: &str, method: &str, body: Value) -> Value {
    made(
        homeroom,
        user,
        &format!("homeroom.membership.v1.{method}"),
        body,
    )
    .await
}

async fn invitations(homeroom: &Homeroom, user: &str, method: &str, body: Value) -> Value {
    made(
        homeroom,
        user,
        &format!("homeroom.invitations.v1.{method}"),
        body,
    )
    .await
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

async fn organization(homeroom: &Homeroom, id: &str, admin: &str, members: &[(&str, &str)]) {
    let new = json!({"organization_id": id, "organization": {"display_name": id}, "admin": admin});
    membership(
        homeroom,
        "platform",
        "OrganizationService.CreateOrganization",
        new,
    )
    .await;
    for (user, role) in members {
        let new = json!({"parent": format!("organizations/{id}"), "member": {"user": user, "role": role}});
        membership(homeroom, admin, "MemberService.AddOrganizationMember", new).await;
    }
}

/// Settles a decided redemption now, before invitations learns of it from the feed.
async fn settled(homeroom: &Homeroom, user: &str, redemption: &Value) {
    let name = json!({ "name": redemption });
    let read = invitations(homeroom, user, "RedemptionService.GetRedemption", name).await;
    assert_eq!(read["state"], "RELEASED");
}

/// Creates a class of `owner`, and one resource of each kind that an RPC concerns.
async fn target(
    homeroom: &Homeroom,
    place: Place,
    admin: &str,
    owner: &str,
    student: &'static str,
    asker: &'static str,
) -> Target {
    let (what, organization_id, class_id) = match place {
        Place::Own => ("the own class", "hamilton", "biology"),
        Place::Sibling => ("the sibling class", "hamilton", "chemistry"),
        Place::Elsewhere => ("the other organization", "jefferson", "biology"),
    };
    let organization = format!("organizations/{organization_id}");
    let class = format!("{organization}/classes/{class_id}");
    let new =
        json!({"parent": organization, "class_id": class_id, "class": {"display_name": class_id}});
    membership(homeroom, owner, "ClassService.CreateClass", new).await;

    let invite_token = json!({"name": format!("{organization}/inviteToken")});
    invitations(homeroom, admin, "TokenService.GetInviteToken", invite_token).await;
    let class_code = json!({"name": format!("{class}/classCode")});
    let class_code =
        invitations(homeroom, owner, "ClassCodeService.GetClassCode", class_code).await;
    let join_url = json!({"name": format!("{class}/joinUrl")});
    let join_url = invitations(homeroom, owner, "JoinUrlService.GetJoinUrl", join_url).await;
    let new = json!({"parent": class, "token": {}});
    let token = invitations(homeroom, owner, "TokenService.CreateToken", new).await;
    let typed = format!("{class_id} 101");
    let new =
        json!({"parent": class, "enrollment_code": {"code": typed}, "acknowledge_weak": true});
    let code = invitations(
        homeroom,
        owner,
        "EnrollmentCodeService.CreateEnrollmentCode",
        new,
    )
    .await;
    let new = json!({"parent": organization, "enrollment_code": {"code": format!("whole {class_id}")}, "acknowledge_weak": true});
    let organization_code = invitations(
        homeroom,
        admin,
        "EnrollmentCodeService.CreateEnrollmentCode",
        new,
    )
    .await;

    // A person whom staff removed must wait for approval (R8), which creates a join request of the
    // organization.
    let leaver = format!("leaver-{organization_id}-{class_id}");
    let new = json!({"parent": organization, "member": {"user": leaver, "role": "STUDENT"}});
    membership(homeroom, admin, "MemberService.AddOrganizationMember", new).await;
    homeroom.advance(TimeDelta::seconds(1));
    let removed = json!({"name": format!("{organization}/members/{leaver}")});
    membership(
        homeroom,
        admin,
        "MemberService.RemoveOrganizationMember",
        removed,
    )
    .await;
    homeroom.advance(TimeDelta::seconds(1));
    let redeem = json!({"credential": organization_code["fullCode"]});
    let waiting = invitations(homeroom, &leaver, "RedemptionService.Redeem", redeem).await;
    let organization_request = text(&waiting["joinRequest"]["name"]);
    let deny = json!({"name": organization_request});
    membership(homeroom, admin, "JoinRequestService.DenyJoinRequest", deny).await;
    let left = waiting["redemption"].clone();
    settled(homeroom, admin, &left).await;

    let redeem = json!({"credential": class_code["code"]});
    let redeemed = invitations(homeroom, student, "RedemptionService.Redeem", redeem).await;
    let redeem = json!({"credential": join_url["url"]});
    let waiting = invitations(homeroom, asker, "RedemptionService.Redeem", redeem).await;
    let request = text(&waiting["joinRequest"]["name"]);
    let deny = json!({"name": request});
    membership(homeroom, owner, "JoinRequestService.DenyJoinRequest", deny).await;
    let waiting = waiting["redemption"].clone();
    settled(homeroom, owner, &waiting).await;

    Target {
        what,
        place,
        student,
        asker,
        // Longer names come first, because `$organization` is the beginning of some.
        values: vec![
            ("$organization_request", organization_request),
            ("$organization_code", text(&organization_code["name"])),
            ("$organization_id", organization_id.to_owned()),
            ("$organization", organization.clone()),
            ("$class_id", class_id.to_owned()),
            ("$class", class),
            ("$owner", owner.to_owned()),
            ("$student", student.to_owned()),
            ("$token", text(&token["name"])),
            ("$code", text(&code["name"])),
            ("$typed", typed),
            ("$redemption", text(&redeemed["redemption"])),
            ("$request", request),
        ],
    }
}

/// Builds both schools.
pub(super) async fn targets(homeroom: &Homeroom) -> [Target; 3] {
    let staff = [
        ("teacher", "TEACHER"),
        ("co-teacher", "TEACHER"),
        ("colleague", "TEACHER"),
        ("sibling", "TEACHER"),
        ("former", "TEACHER"),
        ("assistant", "STUDENT"),
    ];
    organization(homeroom, "hamilton", "admin", &staff).await;
    organization(homeroom, "jefferson", "principal", &[("head", "TEACHER")]).await;
    let targets = [
        target(homeroom, Place::Own, "admin", "teacher", "student", "asker").await,
        target(
            homeroom,
            Place::Sibling,
            "admin",
            "sibling",
            "chemist",
            "asker-2",
        )
        .await,
        target(
            homeroom,
            Place::Elsewhere,
            "principal",
            "head",
            "pupil",
            "asker-3",
        )
        .await,
    ];
    for user in ["co-teacher", "assistant", "former"] {
        let new = json!({"parent": "organizations/hamilton/classes/biology", "member": {"user": user, "role": "CO_TEACHER"}});
        membership(homeroom, "teacher", "MemberService.AddClassMember", new).await;
    }
    let removed = json!({"name": "organizations/hamilton/members/former"});
    membership(
        homeroom,
        "admin",
        "MemberService.RemoveOrganizationMember",
        removed,
    )
    .await;
    targets
}
