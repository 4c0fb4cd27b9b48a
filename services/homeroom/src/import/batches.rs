//! The rows of an import on their way: in batches that are planned and, if it is to be, committed.

use homeroom_api::common::v1::ErrorReason;
use homeroom_api::{
    common::v1::Role as ApiRole,
    membership::v1::{
        CommitImportRequest, PlanImportRequest, RosterResult, RosterRow, roster_result::Change,
    },
};
use prost::Message as _;
use tonic::Code;
use tonic_types::RpcStatusExt as _;

use super::{classes::Place, named::AffectedMember, removals::Absent};
use crate::{
    Failure,
    dynamic::reason_of,
    remote::{Remote, patiently, request_id},
    roster::{At, Left, Problem, Role, Roster, Row, What},
};

/// The most rows of a request.
const BATCH_ROWS_MAX: usize = 500;
/// The most bytes of a request's rows: the service takes messages of 1 MiB.
const BATCH_BYTES_MAX: usize = 900 * 1024;
/// The most people who are named as changed, and the most as removed.
pub(super) const NAMED_MAX: usize = 100_000;
/// The most times that a batch is planned, as other changes overtake it.
const PLANS_MAX: u32 = 5;

/// The rows that a plan or an import has gone through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Done {
    pub(super) added: u64,
    pub(super) unchanged: u64,
    pub(super) updated: u64,
    pub(super) removed: u64,
    /// The first of those who are changed.
    pub(super) updated_members: Vec<AffectedMember>,
    /// The first of those who are removed.
    pub(super) removed_members: Vec<AffectedMember>,
}

/// Returns the indexes of the rows to send, and the number of rows in classes that are still to be created. The rows of
/// each person are together: a person who comes new into several classes takes one seat, which only a plan that has all
/// of them can tell. The other rows are counted among the findings.
pub(super) fn order(
    roster: &mut Roster,
    places: &[Place],
    may_remove: bool,
    creates: bool,
) -> (Vec<u32>, u64) {
    let (mut order, mut in_new_classes) = (Vec::new(), 0);
    let mut findings = std::mem::take(&mut roster.findings);
    for (index, row) in (0..).zip(&roster.rows) {
        let class = row.class.map(|class| class as usize);
        let place = class.and_then(|class| places.get(class));
        let enrolls = matches!(row.what, What::Enroll(_));
        let (left, what, fix) = match place {
            _ if row.what == What::Keep => continue,
            // Its rows are counted already.
            Some(Place::Refused) => continue,
            Some(Place::Missing) if !enrolls => continue,
            Some(Place::Missing) if creates => {
                in_new_classes += 1;
                continue;
            }
            Some(Place::Missing) => {
                let fix = "give a class this external id, or add --create-classes";
                (Left::NoClass, "the organization has no class", fix)
            }
            Some(Place::Several) => {
                let what = "several classes have the external id";
                (Left::NoClass, what, "change all but one of them")
            }
            Some(Place::Known(_)) | None if enrolls || may_remove => {
                order.push(index);
                continue;
            }
            Some(Place::Known(_)) | None => {
                let fix = "allow a share: --removals-percent-max";
                (
                    Left::RemovalNotAllowed,
                    "the row asks for a removal from",
                    fix,
                )
            }
        };
        let class = class.and_then(|class| roster.classes.get(class));
        let class = class.map_or("", |class| &class.external_id);
        let problem = roster.problem(row.at, format!("{what} {class}"), fix);
        findings.leave_out(left, problem);
    }
    roster.findings = findings;
    let person = |index: &u32| roster.rows.get(*index as usize).map(|row| row.person);
    order.sort_by_key(person);
    (order, in_new_classes)
}

/// Returns the lengths of the batches: the rows of one person are in one batch, unless they are too many.
pub(super) fn lengths(people: impl Iterator<Item = u32>) -> Vec<usize> {
    let mut groups: Vec<(u32, usize)> = Vec::new();
    for person in people {
        match groups.last_mut() {
            Some((last, count)) if *last == person && *count < BATCH_ROWS_MAX => *count += 1,
            _ => groups.push((person, 1)),
        }
    }
    let mut lengths: Vec<usize> = Vec::new();
    for (_, count) in groups {
        match lengths.last_mut() {
            Some(last) if *last + count <= BATCH_ROWS_MAX => *last += count,
            _ => lengths.push(count),
        }
    }
    lengths
}

/// Returns a row in the form of the contract.
pub(super) fn row(roster: &Roster, places: &[Place], row: &Row) -> RosterRow {
    let class = row.class.and_then(|class| places.get(class as usize));
    let class = match class {
        Some(Place::Known(name)) => name.clone(),
        _ => String::new(),
    };
    let in_class = row.class.is_some();
    let role = match row.what {
        What::Remove | What::Keep | What::Enroll(Role::Unstated) => ApiRole::Unspecified,
        What::Enroll(Role::Student) => ApiRole::Student,
        What::Enroll(Role::Administrator) => ApiRole::Admin,
        What::Enroll(_) if in_class => ApiRole::CoTeacher,
        What::Enroll(_) => ApiRole::Teacher,
    };
    let person = roster
        .people
        .get(row.person as usize)
        .cloned()
        .unwrap_or_default();
    RosterRow {
        class,
        user: person.user.into(),
        role: role.into(),
        display_name: person.display_name.into(),
        email: person.email.into(),
        external_id: person.external_id.into(),
        remove: row.what == What::Remove,
    }
}

/// Returns the row that ends a membership.
pub(super) fn removal(absent: Absent) -> RosterRow {
    RosterRow {
        class: absent.class,
        user: absent.user,
        remove: true,
        ..RosterRow::default()
    }
}

/// Sends batches to the service.
pub(super) struct Sender<'a> {
    pub(super) remote: &'a Remote,
    pub(super) organization: &'a str,
    pub(super) removals_percent_max: i32,
    pub(super) commit: bool,
    /// The seats that the batches so far would take.
    pub(super) seats_planned: i64,
    pub(super) done: Done,
}

impl Sender<'_> {
    /// Sends at most [`BATCH_ROWS_MAX`] rows, which stand at these places of the files, if they do.
    pub(super) async fn send(
        &mut self,
        roster: &mut Roster,
        rows: Vec<(Option<At>, RosterRow)>,
    ) -> Result<(), Failure> {
        let mut pending = vec![rows];
        while let Some(mut rows) = pending.pop() {
            let bytes: usize = rows.iter().map(|(_, row)| row.encoded_len()).sum();
            if bytes > BATCH_BYTES_MAX && rows.len() > 1 {
                let second = rows.split_off(rows.len() / 2);
                pending.extend([second, rows]);
                continue;
            }
            let (places, rows): (Vec<Option<At>>, Vec<RosterRow>) = rows.into_iter().unzip();
            let users: Vec<String> = rows.iter().map(|row| row.user.clone()).collect();
            let results = self.results(rows).await?;
            for result in results {
                let index = usize::try_from(result.index).unwrap_or(usize::MAX);
                let at = places.get(index).copied().flatten();
                let user = users.get(index).map_or("", |user| user);
                self.take(roster, at, user, &result);
            }
        }
        Ok(())
    }

    /// Plans rows, and commits them if that is to be and they change something.
    async fn results(&mut self, rows: Vec<RosterRow>) -> Result<Vec<RosterResult>, Failure> {
        let mut request = PlanImportRequest {
            parent: self.organization.to_owned(),
            rows,
            removals_percent_max: self.removals_percent_max,
            seats_planned: self.seats_planned,
        };
        let mut plans = 1;
        loop {
            let mut client = self.remote.rosters();
            let plan = self.remote;
            let plan = plan.ask(async || client.plan_import(request.clone()).await);
            let plan = plan.await?;
            let results = plan.results;
            if !self.commit {
                self.seats_planned += plan.seats_taken.max(0);
                return Ok(results);
            }
            if !results.iter().any(changes) {
                return Ok(results);
            }
            let commit = CommitImportRequest {
                parent: request.parent.clone(),
                rows: std::mem::take(&mut request.rows),
                removals_percent_max: request.removals_percent_max,
                revision: plan.revision,
                request_id: request_id(),
            };
            match patiently(async || client.commit_import(commit.clone()).await).await {
                // They are those of the plan.
                Ok(_) => return Ok(results),
                Err(status) if is_stale(&status) && plans < PLANS_MAX => {
                    plans += 1;
                    request.rows = commit.rows;
                }
                Err(status) => return Err(self.remote.refused(&status)),
            }
        }
    }

    fn take(&mut self, roster: &mut Roster, at: Option<At>, user: &str, result: &RosterResult) {
        let findings = |what: String, fix: &str| match at {
            Some(at) => roster.problem(at, what, fix),
            None => Problem::of_file("", what, fix),
        };
        if let Some(status) = &result.status {
            let reason = status.get_details_error_info();
            let reason = reason.map(|info| info.reason).unwrap_or_default();
            let left = if reason == ErrorReason::NoSeats.as_str_name() {
                Left::NoSeats
            } else {
                Left::Refused
            };
            let problem = findings(format!("{user}: {reason}"), &status.message);
            roster.findings.leave_out(left, problem);
            return;
        }
        match result.change() {
            Change::Added => self.done.added += 1,
            Change::Unchanged => self.done.unchanged += 1,
            Change::Updated => {
                self.done.updated += 1;
                let updated = &mut self.done.updated_members;
                name(updated, user, result);
            }
            Change::Removed => {
                self.done.removed += 1;
                let removed = &mut self.done.removed_members;
                name(removed, user, result);
            }
            Change::Duplicate | Change::Unspecified => roster.findings.count(Left::Duplicate),
        }
    }
}

/// Adds the person of a row, unless enough are named.
fn name(named: &mut Vec<AffectedMember>, user: &str, result: &RosterResult) {
    if named.len() < NAMED_MAX {
        named.push(AffectedMember::of(user, result));
    }
}

fn changes(result: &RosterResult) -> bool {
    matches!(
        result.change(),
        Change::Added | Change::Updated | Change::Removed
    )
}

fn is_stale(status: &tonic::Status) -> bool {
    status.code() == Code::Aborted && reason_of(status) == ErrorReason::StalePlan.as_str_name()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{
        Class, Person,
        Role::{Administrator, Assistant, Owner, Student, Teacher, Unstated},
    };

    fn roster(whats: &[(u32, u32, What)]) -> Roster {
        let mut roster = Roster::default();
        for name in ["known", "missing", "several", "refused"] {
            roster.classes.push(Class {
                external_id: name.into(),
                ..Class::default()
            });
        }
        for (line, (class, person, what)) in (2..).zip(whats) {
            roster.rows.push(Row {
                at: At { file: 0, line },
                class: Some(*class),
                person: *person,
                what: *what,
            });
        }
        roster.people.push(Person {
            user: "ada".into(),
            ..Person::default()
        });
        roster
    }

    fn places() -> [Place; 4] {
        [
            Place::Known("c".to_owned()),
            Place::Missing,
            Place::Several,
            Place::Refused,
        ]
    }

    #[test]
    fn what_cannot_be_sent_is_told_with_what_to_do() {
        let enroll = What::Enroll(Role::Student);
        let rows = [
            (0, 0, enroll),
            (1, 0, enroll),
            (2, 0, enroll),
            (3, 0, enroll),
            (0, 1, What::Remove),
            (0, 2, What::Keep),
            (1, 1, What::Remove),
        ];
        let counts = |may_remove, creates| {
            let mut roster = roster(&rows);
            let (order, new) = order(&mut roster, &places(), may_remove, creates);
            let left = |left| roster.findings.left(left);
            (
                order,
                new,
                left(Left::NoClass),
                left(Left::RemovalNotAllowed),
            )
        };
        assert_eq!(counts(false, false), (vec![0], 0, 2, 1));
        assert_eq!(counts(true, true), (vec![0, 4], 1, 1, 0));
    }

    #[test]
    fn rows_of_one_person_are_sent_together() {
        let enroll = What::Enroll(Role::Student);
        let mut roster = roster(&[
            (0, 1, enroll),
            (0, 0, enroll),
            (0, 1, enroll),
            (0, 0, enroll),
        ]);
        let (order, _) = order(&mut roster, &places(), false, false);
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn bounds_a_batch_has_at_most_500_rows_and_does_not_part_a_person() {
        let of = |counts: &[usize]| {
            let people = (0..).zip(counts);
            lengths(people.flat_map(|(person, count)| std::iter::repeat_n(person, *count)))
        };
        assert_eq!(of(&[]), [0; 0]);
        assert_eq!(of(&[1; 500]), [500]);
        assert_eq!(of(&[1; 501]), [500, 1]);
        assert_eq!(of(&[300, 300]), [300, 300]);
        assert_eq!(of(&[300, 200, 1]), [500, 1]);
        assert_eq!(of(&[1_001]), [500, 500, 1]);
    }

    #[test]
    fn a_teacher_is_a_co_teacher_of_a_class_and_a_teacher_of_the_organization() {
        let roster = roster(&[]);
        let of = |class, role| {
            let what = What::Enroll(role);
            let at = At { file: 0, line: 2 };
            row(
                &roster,
                &places(),
                &Row {
                    at,
                    class,
                    person: 0,
                    what,
                },
            )
            .role()
        };
        for role in [Assistant, Teacher, Owner] {
            assert_eq!(of(Some(0), role), ApiRole::CoTeacher);
        }
        assert_eq!(of(None, Teacher), ApiRole::Teacher);
        assert_eq!(of(None, Administrator), ApiRole::Admin);
        assert_eq!(of(None, Unstated), ApiRole::Unspecified);
        assert_eq!(
            (of(None, Student), of(Some(0), Student)),
            (ApiRole::Student, ApiRole::Student)
        );
    }
}
