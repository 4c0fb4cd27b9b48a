//! The two schools of the authorization table, and the role of each person in them.

use chrono::TimeDelta;
use homeroom_tests::Homeroom;
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

/// Every person who calls. The target class is biology at hamilton; the assistant is a student of the organization who
/// helps to teach it.
#[rustfmt::skip]
pub(super) const PEOPLE: [Person; 11] = [
    person("stranger", None, None),
    person("former", None, None),
    person("asker", None, None),
    person("student", Some(("hamilton", InOrganization::Student)), Some((Place::Own, InClass::Student))),
    person("assistant", Some(("hamilton", InOrganization::Student)), Some((Place::Own, InClass::CoTeacher))),
    person("co-teacher", Some(("hamilton", InOrganization::Teacher)), Some((Place::Own, InClass::CoTeacher))),
    person("teacher", Some(("hamilton", InOrganization::Teacher)), Some((Place::Own, InClass::Owner))),
    person("colleague", Some(("hamilton", InOrganization::Teacher)), None),
    person("sibling", Some(("hamilton", InOrganization::Teacher)), Some((Place::Sibling, InClass::Owner))),
    person("admin", Some(("hamilton", InOrganization::Admin)), None),
    person("principal", Some(("jefferson", InOrganization::Admin)), None),
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

/// Calls a method of either service as a user. Returns the answer.
async fn made(homeroom: &Homeroom, user: &str, method: &str, body: Value) -> Value {
    let caller = match user {
        "platform" => homeroom.platform(),
        user => homeroom.user(user),
    };
    caller.done(method, body).await
}

fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

async fn organization(homeroom: &Homeroom, id: &str, admin: &str, members: &[(&str, &str)]) {
    let new = json!({"organization_id": id, "organization": {"display_name": id}, "admin": admin});
    let method = "OrganizationService.CreateOrganization";
    made(homeroom, "platform", method, new).await;
    for (user, role) in members {
        let new = json!({"parent": format!("organizations/{id}"), "member": {"user": user, "role": role}});
        made(homeroom, admin, "MemberService.AddOrganizationMember", new).await;
    }
}

/// Redeems for a person who then waits, and denies the request; settles the redemption before invitations learns of it
/// from the feed. Returns the request.
async fn denied(homeroom: &Homeroom, user: &str, credential: &Value, by: &str) -> String {
    let redeem = json!({ "credential": credential });
    let waiting = made(homeroom, user, "RedemptionService.Redeem", redeem).await;
    let request = text(&waiting["joinRequest"]["name"]);
    let deny = json!({"name": request});
    made(homeroom, by, "JoinRequestService.DenyJoinRequest", deny).await;
    let name = json!({ "name": waiting["redemption"] });
    let read = made(homeroom, by, "RedemptionService.GetRedemption", name).await;
    assert_eq!(read["state"], "RELEASED");
    request
}

/// Creates a class of `owner`, and one resource of each kind that an RPC concerns.
async fn target(
    homeroom: &Homeroom,
    place: Place,
    [admin, owner]: [&str; 2],
    [student, asker]: [&'static str; 2],
) -> Target {
    let (what, organization_id, class_id) = match place {
        Place::Own => ("the own class", "hamilton", "biology"),
        Place::Sibling => ("the sibling class", "hamilton", "chemistry"),
        Place::Elsewhere => ("the other organization", "jefferson", "biology"),
    };
    let organization = format!("organizations/{organization_id}");
    let class = format!("{organization}/classes/{class_id}");
    let by_admin = async |method, body| made(homeroom, admin, method, body).await;
    let by_owner = async |method, body| made(homeroom, owner, method, body).await;
    let code = |parent: &str, text: &str| json!({"parent": parent, "enrollment_code": {"code": text}, "acknowledge_weak": true});
    let named = |name: String| json!({ "name": name });
    let new =
        json!({"parent": organization, "class_id": class_id, "class": {"display_name": class_id}});
    by_owner("ClassService.CreateClass", new).await;

    let invite_token = named(format!("{organization}/inviteToken"));
    by_admin("TokenService.GetInviteToken", invite_token).await;
    let class_code = named(format!("{class}/classCode"));
    let class_code = by_owner("ClassCodeService.GetClassCode", class_code).await;
    let join_url = named(format!("{class}/joinUrl"));
    let join_url = by_owner("JoinUrlService.GetJoinUrl", join_url).await;
    let token = json!({"parent": class, "token": {}});
    let token = by_owner("TokenService.CreateToken", token).await;
    let typed = format!("{class_id} 101");
    let create = "EnrollmentCodeService.CreateEnrollmentCode";
    let class_wide = by_owner(create, code(&class, &typed)).await;
    let whole = format!("whole {class_id}");
    let organization_code = by_admin(create, code(&organization, &whole)).await;

    // A person whom staff removed must wait for approval (R8), which creates a join request of the
    // organization.
    let leaver = format!("leaver-{organization_id}-{class_id}");
    let new = json!({"parent": organization, "member": {"user": leaver, "role": "STUDENT"}});
    by_admin("MemberService.AddOrganizationMember", new).await;
    homeroom.advance(TimeDelta::seconds(1));
    let removed = named(format!("{organization}/members/{leaver}"));
    by_admin("MemberService.RemoveOrganizationMember", removed).await;
    homeroom.advance(TimeDelta::seconds(1));
    let credential = &organization_code["fullCode"];
    let organization_request = denied(homeroom, &leaver, credential, admin).await;

    let redeem = json!({"credential": class_code["code"]});
    let redeemed = made(homeroom, student, "RedemptionService.Redeem", redeem).await;
    let request = denied(homeroom, asker, &join_url["url"], owner).await;

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
            ("$organization", organization),
            ("$class_id", class_id.to_owned()),
            ("$class", class),
            ("$owner", owner.to_owned()),
            ("$student", student.to_owned()),
            ("$token", text(&token["name"])),
            ("$code", text(&class_wide["name"])),
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
    let own = ["admin", "teacher"];
    let own = target(homeroom, Place::Own, own, ["student", "asker"]).await;
    let sibling = ["admin", "sibling"];
    let sibling = target(homeroom, Place::Sibling, sibling, ["chemist", "asker-2"]).await;
    let elsewhere = ["principal", "head"];
    let elsewhere = target(homeroom, Place::Elsewhere, elsewhere, ["pupil", "asker-3"]).await;
    for user in ["co-teacher", "assistant", "former"] {
        let new = json!({"parent": "organizations/hamilton/classes/biology", "member": {"user": user, "role": "CO_TEACHER"}});
        made(homeroom, "teacher", "MemberService.AddClassMember", new).await;
    }
    let removed = json!({"name": "organizations/hamilton/members/former"});
    let method = "MemberService.RemoveOrganizationMember";
    made(homeroom, "admin", method, removed).await;
    [own, sibling, elsewhere]
}
