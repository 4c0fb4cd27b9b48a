//! The decision on an import: rows of another system's roster become results and planned changes. Plan makes it and
//! drops the changes, Commit makes it under the organization's lock and saves them.

use std::collections::BTreeSet;

use homeroom_api::{
    ids::UserId,
    names::{ClassName, Place},
};
use homeroom_kit::{Error, Result, rpc::place_not_found};

use super::plan::{Plan, at_organization};
use crate::{
    app::{
        classes::OWNED_CLASSES_NAMED_MAX,
        new_events::{member_ended, member_updated},
        refusals,
    },
    domain::{
        class::ClassState,
        join_request::SYSTEM,
        member::{Member, Particulars, Provenance, Role},
        roster::{Change, Outcome, Replaced, RosterRow, Stated},
        seat::{NoSeats, Seats, holds_seat},
    },
    store::PersonAt,
};

/// Plans what the rows state, in their order, as changes by `actor`. Returns what becomes of each; a row that fails
/// plans nothing.
pub(crate) fn decide(
    plan: &mut Plan,
    rows: Vec<Result<RosterRow>>,
    actor: &UserId,
) -> Vec<Result<Outcome>> {
    let mut seen = BTreeSet::new();
    let rows = rows.into_iter().map(|row| {
        let row = row?;
        let person = (row.place, row.user);
        if !seen.insert(person.clone()) {
            return Ok(Outcome::new(Change::Duplicate));
        }
        match row.stated {
            Stated::Member(role, particulars) => state(plan, &person, (role, &particulars), actor),
            Stated::Absent => remove(plan, &person, actor),
        }
    });
    rows.collect()
}

/// Plans a row that states a membership.
fn state(
    plan: &mut Plan,
    person: &PersonAt,
    (role, particulars): (Option<Role>, &Particulars),
    actor: &UserId,
) -> Result<Outcome> {
    let (place, _) = person;
    let class = class_of(plan, place)?;
    let at_organization = at_organization(person);
    let in_organization = plan.known.members.get(&at_organization).cloned();
    let in_class = plan.known.members.get(person).cloned();
    let kept = || in_class.as_ref().map(|member| member.role);
    let role = role.or_else(kept).unwrap_or(Role::Student);
    if let (Some((name, ClassState::Archived)), None) = (class, &in_class) {
        return Err(refusals::class_archived(name));
    }
    if let (Some((name, _)), Some(Role::Owner), Role::Student) =
        (class, in_class.as_ref().map(|member| member.role), role)
    {
        return Err(refusals::last_owner(std::slice::from_ref(name)));
    }
    let Some(before) = in_organization else {
        return add(plan, person, (role, particulars), actor);
    };
    let after = Member {
        role: match (class, role) {
            (None, role) => role,
            (Some(_), Role::CoTeacher) if before.role == Role::Student => Role::Teacher,
            (Some(_), _) => before.role,
        },
        ..before.clone()
    };
    let mut replaced = plan.update(&before, after, particulars, actor)?;
    let change = match in_class {
        None => {
            enrol(plan, person, (role, particulars), actor)?;
            Change::Added
        }
        Some(member) if class.is_some() && !matches!(member.role, Role::Owner) => {
            replaced.extend(plan.change_class_role(&member, role, actor));
            changed(&replaced)
        }
        Some(_) => changed(&replaced),
    };
    Ok(Outcome {
        change,
        display_name: before.particulars.display_name,
        replaced,
    })
}

fn changed(replaced: &[Replaced]) -> Change {
    if replaced.is_empty() {
        Change::Unchanged
    } else {
        Change::Updated
    }
}

/// Plans a membership of a person whom the organization lacks.
fn add(
    plan: &mut Plan,
    person: &PersonAt,
    (role, particulars): (Role, &Particulars),
    actor: &UserId,
) -> Result<Outcome> {
    let role_in_organization = match role {
        Role::CoTeacher => Role::Teacher,
        role => role,
    };
    let at_organization = at_organization(person);
    enrol(
        plan,
        &at_organization,
        (role_in_organization, particulars),
        actor,
    )?;
    if at_organization != *person {
        enrol(plan, person, (role, particulars), actor)?;
    }
    Ok(Outcome::new(Change::Added))
}

/// Plans one new membership as if staff added the person.
fn enrol(
    plan: &mut Plan,
    person: &PersonAt,
    (role, particulars): (Role, &Particulars),
    actor: &UserId,
) -> Result<()> {
    let told = (particulars, plan.now);
    let provenance = Provenance::added(actor);
    plan.enrol(person, role, told, &provenance, actor.as_str())
        .map_err(|NoSeats| plan.no_seats(&person.0))?;
    plan.lift_removals(person);
    Ok(())
}

/// Plans a row that states that there is no membership.
fn remove(plan: &mut Plan, person: &PersonAt, actor: &UserId) -> Result<Outcome> {
    let (place, _) = person;
    class_of(plan, place)?;
    let Some(member) = plan.known.members.get(person).cloned() else {
        return Ok(Outcome::new(Change::Unchanged));
    };
    let classes = match place {
        Place::Organization(_) => plan.in_classes(person),
        Place::Class(_) => Vec::new(),
    };
    refuse_owner(classes.iter().chain([&member]))?;
    let ended = std::iter::once(&member).chain(&classes);
    let replaced = ended.map(|member| Replaced::role(member, None)).collect();
    for in_class in &classes {
        plan.end_membership(in_class, actor);
    }
    plan.close_requests(person);
    plan.end_membership(&member, actor);
    if member.user != *actor {
        plan.known.removals.insert(person.clone(), plan.now);
        plan.effects.removed.insert(person.clone(), plan.now);
    }
    Ok(Outcome {
        change: Change::Removed,
        display_name: member.particulars.display_name,
        replaced,
    })
}

/// Returns the class of a place with its state, or `CLASS_NOT_FOUND`.
fn class_of<'place>(
    plan: &Plan,
    place: &'place Place,
) -> Result<Option<(&'place ClassName, ClassState)>> {
    let Place::Class(name) = place else {
        return Ok(None);
    };
    let class = plan.known.classes.get(name);
    let class = class.ok_or_else(|| place_not_found(place))?;
    Ok(Some((name, class.state)))
}

/// Returns `LAST_OWNER` if any of these memberships is that of a class's owner.
fn refuse_owner<'members>(members: impl Iterator<Item = &'members Member>) -> Result<()> {
    let owned = members.filter(|member| member.role == Role::Owner);
    let owned = owned.filter_map(|member| match &member.place {
        Place::Class(name) => Some(name.clone()),
        Place::Organization(_) => None,
    });
    let owned: Vec<ClassName> = owned.take(OWNED_CLASSES_NAMED_MAX as usize).collect();
    if owned.is_empty() {
        Ok(())
    } else {
        Err(refusals::last_owner(&owned))
    }
}

impl Plan {
    /// Returns `NO_SEATS` for the organization of a place.
    fn no_seats(&self, place: &Place) -> Error {
        let organization = self.known.organizations.get(place.organization());
        let seats = organization.map_or_else(Seats::default, |known| known.seats);
        refusals::no_seats(&Place::Organization(place.organization().clone()), &seats)
    }

    /// Returns the person's memberships of the organization's classes.
    fn in_classes(&self, (place, user): &PersonAt) -> Vec<Member> {
        let members = self.known.members.iter();
        let in_classes = members.filter(|((at, who), _)| {
            who == user && at.class().is_some() && at.organization() == place.organization()
        });
        in_classes.map(|(_, member)| member.clone()).collect()
    }

    /// Gives a member of an organization the role of `after` and the particulars that are stated, as staff do who update
    /// the member. Returns the values that this replaces.
    fn update(
        &mut self,
        before: &Member,
        mut after: Member,
        stated: &Particulars,
        actor: &UserId,
    ) -> Result<Vec<Replaced>> {
        after.particulars = before.particulars.stated(stated);
        after.set_by_hand = before
            .set_by_hand
            .and_changed(&before.particulars, &after.particulars);
        if after == *before {
            return Ok(Vec::new());
        }
        let person = (before.place.clone(), before.user.clone());
        let mut demoted = Vec::new();
        if after.role == Role::Student && before.role != Role::Student {
            demoted = self.in_classes(&person);
            refuse_owner(demoted.iter())?;
            demoted.retain(|member| member.role == Role::CoTeacher);
        }
        self.move_seat(before, Some(after.role))
            .map_err(|NoSeats| self.no_seats(&before.place))?;
        let mut replaced = Vec::new();
        if after.role != before.role {
            replaced.push(Replaced::role(before, Some(after.role)));
        }
        let (was, is) = (&before.particulars, &after.particulars);
        for (field, was, is) in [
            ("display_name", &was.display_name, &is.display_name),
            ("email", &was.email, &is.email),
            ("external_id", &was.external_id, &is.external_id),
        ] {
            if was != is {
                replaced.push(Replaced {
                    place: before.place.clone(),
                    field,
                    from: was.clone(),
                    to: is.clone(),
                });
            }
        }
        after.revision += 1;
        let event = member_updated(&after, before.role, actor.as_str());
        self.events.push(event);
        self.show(after);
        for member in demoted {
            replaced.extend(self.change_class_role(&member, Role::Student, actor));
        }
        Ok(replaced)
    }

    /// Gives a member of a class another role. Returns the role that this replaces.
    fn change_class_role(
        &mut self,
        member: &Member,
        role: Role,
        actor: &UserId,
    ) -> Option<Replaced> {
        if member.role == role {
            return None;
        }
        let person = (member.place.clone(), member.user.clone());
        // The particulars and the revision as an update of the organization's member left them.
        let known = self.known.members.get_mut(&person)?;
        known.role = role;
        known.revision += 1;
        let after = known.clone();
        self.events
            .push(member_updated(&after, member.role, actor.as_str()));
        self.effects.roles.insert(person, after);
        Some(Replaced::role(member, Some(role)))
    }

    /// Moves the seats of an organization as one of its members changes to another role, or ends the membership.
    fn move_seat(
        &mut self,
        before: &Member,
        after: Option<Role>,
    ) -> std::result::Result<(), NoSeats> {
        let organization = before.place.organization();
        if let Some(known) = self.known.organizations.get_mut(organization) {
            known.seats = known.seats.change(Some(before.role), after)?;
        }
        let (held, holds) = (holds_seat(Some(before.role)), holds_seat(after));
        if held != holds {
            let seats = &mut self.effects.seats;
            seats.entry(organization.clone()).or_default().used += if holds { 1 } else { -1 };
        }
        Ok(())
    }

    /// Closes the person's waiting request at a class, or those at an organization and all its classes.
    fn close_requests(&mut self, (place, user): &PersonAt) {
        let everywhere = place.class().is_none();
        let open = self.known.open_requests.values().filter(|request| {
            let here = request.place == *place
                || (everywhere && request.place.organization() == place.organization());
            here && request.user == *user
        });
        let open: Vec<_> = open.cloned().collect();
        for request in open {
            self.end(request.close(self.now), SYSTEM);
        }
    }

    /// Ends one membership.
    fn end_membership(&mut self, member: &Member, actor: &UserId) {
        let person = (member.place.clone(), member.user.clone());
        self.known.members.remove(&person);
        self.events.push(member_ended(member, actor.as_str()));
        self.effects.updated.remove(&person);
        self.effects.roles.remove(&person);
        let joined = &mut self.effects.members;
        let before = joined.len();
        joined.retain(|joined| joined.place != person.0 || joined.user != person.1);
        // A membership that an earlier row planned was never written.
        if joined.len() == before {
            self.effects.ended.insert(person);
        }
        if member.place.class().is_none() {
            // Ending a membership takes no seat.
            let _ = self.move_seat(member, None);
        }
    }
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
