//! The classes of an import: which exist, and how the others are created.

use std::collections::{BTreeSet, HashMap};

use homeroom_api::{
    common::v1::Role as ApiRole,
    membership::v1::{
        AddOrganizationMemberRequest, Class, CreateClassRequest, GetOrganizationMemberRequest,
        Member, UpdateOrganizationMemberRequest, member_service_client::MemberServiceClient,
    },
};
use tonic::{Code, Status};

use crate::{
    Failure,
    dynamic::reason_of,
    remote::{Remote, Service, patiently, request_id},
    roster::{self, Left, Person, Problem, Role, Roster, What},
};

/// The longest display name of a class, in characters.
const CLASS_NAME_CHARS_MAX: usize = 200;

/// Says what Homeroom knows of a class of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The resource name of the class.
    Known(String),
    /// The organization has no such class.
    Missing,
    /// Several classes of the organization, or several that are missing, have this external id.
    Several,
    /// The class could not be created.
    Refused,
}

/// Returns what the organization's classes make of each class of the files: one that names its id is found by that, and
/// otherwise by its external id.
pub(super) fn resolve(of_files: &[roster::Class], known: &[Class]) -> Vec<Place> {
    let mut by_id = HashMap::new();
    let mut by_external_id: HashMap<&str, Vec<&str>> = HashMap::new();
    for class in known {
        let id = class.name.rsplit('/').next().unwrap_or_default();
        by_id.insert(id, class.name.as_str());
        if !class.external_id.is_empty() {
            let names = by_external_id.entry(&class.external_id).or_default();
            names.push(&class.name);
        }
    }
    let resolve = |class: &roster::Class| {
        let by_id = class.id.as_deref().and_then(|id| by_id.get(id));
        let external = by_external_id.get(&*class.external_id);
        match (by_id, external.map(Vec::as_slice)) {
            (Some(name), _) | (None, Some([name])) => Place::Known((*name).to_owned()),
            (None, Some(_)) => Place::Several,
            (None, None) => Place::Missing,
        }
    };
    of_files.iter().map(resolve).collect()
}

/// Makes one class of those in the files that are one in the organization, as its id and its external id name it or a
/// Canvas course and section of one id: so they are created once, and nobody of one is absent from the other.
pub(super) fn unite(roster: &mut Roster, places: &mut [Place]) {
    let used: BTreeSet<u32> = roster.rows.iter().filter_map(|row| row.class).collect();
    let mut same: HashMap<(bool, &str), Vec<u32>> = HashMap::new();
    for class in used {
        let index = class as usize;
        let key = match (places.get(index), roster.classes.get(index)) {
            (Some(Place::Known(name)), _) => (true, name.as_str()),
            (Some(Place::Missing), Some(class)) => (false, &*class.external_id),
            _ => continue,
        };
        same.entry(key).or_default().push(class);
    }
    let (mut into, mut several, mut notes) = (HashMap::new(), Vec::new(), Vec::new());
    for classes in same.into_values().filter(|classes| classes.len() > 1) {
        let of_files = |class: &u32| roster.classes.get(*class as usize);
        // Exported classes have ids of their own beside their external ids.
        let own =
            |class: &roster::Class| class.id.as_ref().is_some_and(|id| *id != class.external_id);
        if classes
            .iter()
            .filter_map(of_files)
            .filter(|class| own(class))
            .count()
            > 1
        {
            several.extend(classes);
            continue;
        }
        let [first, others @ ..] = &*classes else {
            continue;
        };
        into.extend(others.iter().map(|other| (*other, *first)));
        let names = classes.iter().filter_map(of_files);
        let mut names: Vec<&str> = names.map(|class| &*class.external_id).collect();
        names.dedup();
        notes.push(format!(
            "the rows of {} classes are read as one class: {}",
            classes.len(),
            names.join(", ")
        ));
    }
    for class in several {
        if let Some(place) = places.get_mut(class as usize) {
            *place = Place::Several;
        }
    }
    notes.sort();
    for what in notes {
        let file = roster.files.first().map_or("", |file| file);
        let note = Problem::of_file(file, what, "");
        roster.findings.note(note);
    }
    roster.unite_classes(&into);
}

/// Returns for each class of the files the number of its people, and the owner if the import creates it: the first of
/// the strongest teachers.
pub(super) fn enrolled(roster: &Roster) -> Vec<(u64, Option<u32>)> {
    let mut of_classes = vec![(0, None::<(Role, u32)>); roster.classes.len()];
    for row in &roster.rows {
        let class = row
            .class
            .and_then(|class| of_classes.get_mut(class as usize));
        if let (Some((count, owner)), What::Enroll(role)) = (class, row.what) {
            *count += 1;
            if role >= Role::Teacher && owner.is_none_or(|(strongest, _)| role > strongest) {
                *owner = Some((role, row.person));
            }
        }
    }
    let owner_alone =
        |(count, owner): (u64, Option<(Role, u32)>)| (count, owner.map(|(_, person)| person));
    of_classes.into_iter().map(owner_alone).collect()
}

/// Creates the missing classes that have people, and returns their number. A class that is refused is a problem of its
/// rows.
pub(super) async fn create(
    remote: &Remote,
    organization: &str,
    roster: &mut Roster,
    places: &mut [Place],
) -> Result<u64, Failure> {
    let enrolled = enrolled(roster);
    let mut created = 0;
    for (index, place) in places.iter_mut().enumerate() {
        let Some((class, (people @ 1.., owner))) =
            roster.classes.get(index).zip(enrolled.get(index).copied())
        else {
            continue;
        };
        if *place != Place::Missing {
            continue;
        }
        let owner = owner.and_then(|owner| roster.people.get(owner as usize));
        match create_one(remote, organization, class, owner).await {
            Ok(made) => {
                created += 1;
                *place = Place::Known(made.name);
            }
            Err(status) if is_of_the_class(&status) => {
                *place = Place::Refused;
                let row = roster
                    .rows
                    .iter()
                    .find(|row| row.class.is_some_and(|of| of as usize == index));
                let what = format!(
                    "the class {} cannot be created: {} {}",
                    class.external_id,
                    reason_of(&status),
                    status.message(),
                );
                let problem = row.map(|row| roster.problem(row.at, what, "create it by hand"));
                if let Some(problem) = problem {
                    roster.findings.leave_out(Left::NoClass, problem);
                }
                for _ in 1..people {
                    roster.findings.count(Left::NoClass);
                }
            }
            Err(status) => return Err(remote.refused(&status)),
        }
    }
    Ok(created)
}

/// Returns true if other classes may succeed.
fn is_of_the_class(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition
    )
}

async fn create_one(
    remote: &Remote,
    organization: &str,
    class: &roster::Class,
    owner: Option<&Person>,
) -> Result<Class, Status> {
    if let Some(owner) = owner {
        let request = AddOrganizationMemberRequest {
            parent: organization.to_owned(),
            member: Some(Member {
                user: owner.user.to_string(),
                display_name: owner.display_name.to_string(),
                email: owner.email.to_string(),
                external_id: owner.external_id.to_string(),
                role: ApiRole::Teacher.into(),
                ..Member::default()
            }),
            request_id: request_id(),
        };
        let mut client = remote.member_service();
        let add = async || client.add_organization_member(request.clone()).await;
        match patiently(add).await {
            Err(status) if status.code() == Code::AlreadyExists => {
                let name = format!("{organization}/members/{}", owner.user);
                make_teacher(&mut client, name).await?;
            }
            added => drop(added?),
        }
    }
    let title = if class.title.is_empty() {
        &class.external_id
    } else {
        &class.title
    };
    let request = CreateClassRequest {
        parent: organization.to_owned(),
        class_id: String::new(),
        class: Some(Class {
            display_name: title.chars().take(CLASS_NAME_CHARS_MAX).collect(),
            owner: owner
                .map(|owner| owner.user.to_string())
                .unwrap_or_default(),
            external_id: class.external_id.to_string(),
            ..Class::default()
        }),
        request_id: request_id(),
    };
    patiently(async || remote.class_service().create_class(request.clone()).await).await
}

/// Makes a Student of the organization its TEACHER, as a co-teacher of a class becomes too: only staff own classes.
async fn make_teacher(
    client: &mut MemberServiceClient<Service>,
    name: String,
) -> Result<(), Status> {
    let get = GetOrganizationMemberRequest { name };
    let found = patiently(async || client.get_organization_member(get.clone()).await).await?;
    if found.role() != ApiRole::Student {
        return Ok(());
    }
    let request = UpdateOrganizationMemberRequest {
        member: Some(Member {
            name: found.name,
            etag: found.etag,
            role: ApiRole::Teacher.into(),
            ..Member::default()
        }),
        request_id: request_id(),
        ..UpdateOrganizationMemberRequest::default()
    };
    let update = async || client.update_organization_member(request.clone()).await;
    patiently(update).await.map(drop)
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
