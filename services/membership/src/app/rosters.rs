//! Imports of the rosters of other systems: planned without a change, and carried out as planned. The server stores no
//! plan; a digest of it tells if it would still be the same.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{Context, SHA256};
use homeroom_api::{
    ids::{OrganizationId, UserId},
    names::{OrganizationName, Place},
};
use homeroom_kit::{Result, auth::Caller, store::hex};

use super::{App, Change, access, decisions, refusals, rules};
use crate::{
    admission::{plan::Plan, roster},
    domain::{
        member::Role,
        roster::{Change as Kind, Outcome, RosterRow, Stated, may_remove},
    },
    store::{Known, PersonAt, Repository, Wanted},
};

/// The rows of an import.
#[derive(Debug, Clone)]
pub struct Import {
    /// The rows. One that could not be parsed stands as its error.
    pub rows: Vec<Result<RosterRow>>,
    /// The rows as they were sent, by which their plan is recognized.
    pub sent: Vec<u8>,
    /// The largest share of a place's members that may be removed, in percent.
    pub removals_percent_max: i64,
}

/// A plan.
#[derive(Debug)]
pub struct Planned {
    /// What would become of each row, in the order given.
    pub outcomes: Vec<Result<Outcome>>,
    /// The digest of the rows and of what was planned for each.
    pub revision: String,
    /// The seats that the rows take, less those that they free.
    pub seats_taken: i64,
}

/// What became of each row, in the order given.
#[derive(Debug)]
pub struct Committed(pub Vec<Result<Outcome>>);

impl App {
    /// `PlanImport`: decides without the organization's lock, and writes nothing. `seats_planned` seats count as taken.
    pub async fn plan_import(
        &self,
        caller: &Caller,
        OrganizationName(organization): OrganizationName,
        import: &Import,
        seats_planned: i64,
    ) -> Result<Planned> {
        let place = Place::Organization(organization.clone());
        let mut repository = self.store.read().await?;
        access::authorize(&mut repository, caller, &place, &rules::PLAN_IMPORT, None).await?;
        let removals = Removals::read(&mut repository, &organization, import).await?;
        let mut known = facts(&mut repository, &organization, &import.rows).await?;
        if let Some(organization) = known.organizations.get_mut(&organization) {
            organization.seats.used += seats_planned;
        }
        let mut plan = Plan::new(known, self.clock.now());
        let outcomes = roster::decide(&mut plan, import.rows.clone(), &caller.user);
        removals.check(&outcomes)?;
        Ok(Planned {
            revision: revision(&import.sent, &outcomes),
            seats_taken: plan.seats_taken(&organization),
            outcomes,
        })
    }
}

/// `CommitImport`: carries out the plan of this revision. Fails with `STALE_PLAN` if the rows would now be planned
/// otherwise.
pub async fn commit(
    change: &mut Change,
    OrganizationName(organization): OrganizationName,
    (import, planned): (Import, String),
) -> Result<Committed> {
    let place = Place::Organization(organization.clone());
    let rule = &rules::COMMIT_IMPORT;
    change.authorize(&place, rule, None).await?;
    // Before the lock, since counting a large organization takes longer than others are to wait.
    let removals = Removals::read(&mut change.repository, &organization, &import).await?;
    change.enter(&place, rule, None).await?;
    let known = facts(&mut change.repository, &organization, &import.rows).await?;
    let mut plan = Plan::new(known, change.now);
    let outcomes = roster::decide(&mut plan, import.rows, &change.user());
    if revision(&import.sent, &outcomes) != planned {
        return Err(refusals::stale_plan());
    }
    removals.check(&outcomes)?;
    decisions::save(change, plan).await?;
    Ok(Committed(outcomes))
}

/// Returns the facts that decide the rows, read in at most three statements.
async fn facts(
    repository: &mut Repository,
    organization: &OrganizationId,
    rows: &[Result<RosterRow>],
) -> Result<Known> {
    let parsed = || rows.iter().flatten();
    let persons: BTreeSet<PersonAt> = parsed()
        .map(|row| (row.place.clone(), row.user.clone()))
        .collect();
    let wanted: Vec<Wanted> = persons.into_iter().map(Wanted::person).collect();
    let mut known = repository.facts(&wanted).await?;
    // Those who may leave the organization, or become its Students: that changes their classes too.
    let reached = parsed().filter(|row| {
        let leaves = matches!(
            row.stated,
            Stated::Absent | Stated::Member(Some(Role::Student), _)
        );
        row.place.class().is_none() && leaves
    });
    let reached: BTreeSet<UserId> = reached.map(|row| row.user.clone()).collect();
    if !reached.is_empty() {
        let at = |place: &Place, user: &UserId| (place.clone(), user.clone());
        let members = repository.class_memberships(organization, &reached).await?;
        let members = members.into_iter();
        known
            .members
            .extend(members.map(|member| (at(&member.place, &member.user), member)));
        let requests = repository.open_requests_of(organization, &reached).await?;
        let requests = requests.into_iter();
        known
            .open_requests
            .extend(requests.map(|request| (at(&request.place, &request.user), request)));
    }
    Ok(known)
}

/// The places of an import's rows, with their members before it.
struct Removals {
    places: Vec<Option<Place>>,
    members: BTreeMap<Place, i64>,
    percent_max: i64,
}

impl Removals {
    /// Counts the members of each place from which rows remove.
    async fn read(
        repository: &mut Repository,
        organization: &OrganizationId,
        import: &Import,
    ) -> Result<Self> {
        let removing = import.rows.iter().flatten();
        let removing = removing.filter(|row| row.stated == Stated::Absent);
        let counted = removing.map(|row| row.place.clone()).collect();
        let place = |row: &Result<RosterRow>| row.as_ref().ok().map(|row| row.place.clone());
        Ok(Self {
            places: import.rows.iter().map(place).collect(),
            members: repository.member_counts(organization, &counted).await?,
            percent_max: import.removals_percent_max,
        })
    }

    /// Returns `TOO_MANY_REMOVALS` if a place would lose more of its members than the import may remove.
    fn check(&self, outcomes: &[Result<Outcome>]) -> Result<()> {
        let mut removed: BTreeMap<&Place, usize> = BTreeMap::new();
        for (place, outcome) in self.places.iter().zip(outcomes) {
            if let (Some(place), Ok(outcome)) = (place, outcome)
                && outcome.change == Kind::Removed
            {
                *removed.entry(place).or_default() += 1;
            }
        }
        let counted = removed.into_iter().map(|(place, removed)| {
            let members = self.members.get(place).copied().unwrap_or_default();
            (place, removed, members)
        });
        let too_many: Vec<(&Place, usize, i64)> = counted
            .filter(|(_, removed, members)| !may_remove(*removed, *members, self.percent_max))
            .collect();
        if too_many.is_empty() {
            Ok(())
        } else {
            Err(refusals::too_many_removals(self.percent_max, &too_many))
        }
    }
}

/// Returns the digest of the rows and of what becomes of each. It is the same as long as each row would do the same,
/// whatever else has changed.
fn revision(sent: &[u8], outcomes: &[Result<Outcome>]) -> String {
    let mut digest = Context::new(&SHA256);
    // The length separates each text from the next.
    let mut add = |text: &[u8]| {
        digest.update(&(text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    add(sent);
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => {
                add(outcome.change.as_str().as_bytes());
                add(&outcome.replaced.len().to_be_bytes());
                for replaced in &outcome.replaced {
                    add(replaced.place.to_string().as_bytes());
                    add(replaced.field.as_bytes());
                    add(replaced.from.as_bytes());
                }
            }
            Err(error) => add(error.reason().as_str_name().as_bytes()),
        }
    }
    hex(digest.finish())
}
