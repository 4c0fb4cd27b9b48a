//! Calls every RPC of the contract as every kind of person, in their own class, the sibling class
//! and another organization, with every scope, and compares the answers with the table.

mod invitations_rows;
mod membership_rows;
mod row;
mod school;

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use homeroom_tests::{Claims, Engine, Homeroom, raw, reason};
use serde_json::Value;
use tonic::{Code, Status};

pub(crate) use invitations_rows::INVITATIONS;
pub(crate) use membership_rows::MEMBERSHIP;
use row::{About, Bound, Concerned};
pub(crate) use row::{Opens, Row};
use school::{PEOPLE, Person, Target, targets};

/// The number of concurrent calls.
const AT_ONCE: usize = 16;

/// A way in which a person calls.
#[derive(Debug, Clone, Copy)]
struct Mode {
    what: &'static str,
    scopes: &'static [&'static str],
    organizations: Option<&'static [&'static str]>,
    /// True if the token is a service's, which names the person in `x-homeroom-user`.
    acted_for: bool,
}

impl Mode {
    fn may_not_act(self) -> bool {
        self.acted_for && !self.scopes.contains(&"homeroom.act_as")
    }
}

const fn mode(what: &'static str, scopes: &'static [&'static str]) -> Mode {
    Mode {
        what,
        scopes,
        organizations: None,
        acted_for: false,
    }
}

#[rustfmt::skip]
const EVERY_SCOPE: &[&str] = &["homeroom.platform", "homeroom.act_as", "homeroom.vouch", "homeroom.forward_ip", "homeroom.admit"];

const NO_SCOPE: Mode = mode("without a scope", &[]);

#[rustfmt::skip]
const MODES: [Mode; 10] = [
    NO_SCOPE,
    mode("with platform", &["homeroom.platform"]),
    mode("with act_as", &["homeroom.act_as"]),
    // Neither scope grants access: they determine which claims are believed.
    mode("with vouch and forward_ip", &["homeroom.vouch", "homeroom.forward_ip"]),
    mode("with admit", &["homeroom.admit"]),
    Mode { acted_for: true, ..mode("by a service that may act for them", &["homeroom.act_as"]) },
    Mode { acted_for: true, ..mode("by a service that may not act for them", &["homeroom.vouch"]) },
    Mode { organizations: Some(&["hamilton"]), ..mode("bound to hamilton", &[]) },
    Mode { organizations: Some(&["hamilton"]), ..mode("with every scope, bound to hamilton", EVERY_SCOPE) },
    Mode { organizations: Some(&["elsewhere"]), ..mode("bound to elsewhere", &[]) },
];

/// The table's answer to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The caller is allowed; the answer may be anything else.
    Allowed,
    /// The resource is hidden, as if absent.
    Hidden,
    RoleRequired,
    ScopeMissing,
}

const HIDDEN: [&str; 7] = [
    "ORGANIZATION_NOT_FOUND",
    "CLASS_NOT_FOUND",
    "MEMBER_NOT_FOUND",
    "JOIN_REQUEST_NOT_FOUND",
    "TOKEN_NOT_FOUND",
    "CODE_NOT_FOUND",
    "REDEMPTION_NOT_FOUND",
];

/// The reasons with which an allowed call may still fail: the resource has changed, exists or is
/// decided, or the invitation does not exist or was guessed at too often.
const LET_THROUGH: [&str; 9] = [
    "ETAG_MISMATCH",
    "STALE_PLAN",
    "ORGANIZATION_EXISTS",
    "CLASS_EXISTS",
    "MEMBER_EXISTS",
    "CODE_TAKEN",
    "ALREADY_DECIDED",
    "CODE_NOT_USABLE",
    "TOO_MANY_ATTEMPTS",
];

fn expected(package: &str, row: &Row, target: &Target, person: Person, mode: Mode) -> Answer {
    if mode.may_not_act() {
        return Answer::ScopeMissing;
    }
    let by_scope = mode.scopes.iter().any(|scope| row.scopes.contains(scope));
    let out_of_bounds = mode
        .organizations
        .is_some_and(|bound| !bound.contains(&target.organization()));
    if row.opens == Opens::Scope && !by_scope {
        return Answer::ScopeMissing;
    }
    if row.bound == Bound::RefusesAny && mode.organizations.is_some() {
        return Answer::ScopeMissing;
    }
    if out_of_bounds {
        match row.bound {
            Bound::Hides => return Answer::Hidden,
            Bound::Refuses | Bound::RefusesAny => return Answer::ScopeMissing,
            Bound::Answers => {}
        }
    }
    // The platform creates and licenses organizations, so membership shows them to it.
    let platform_sees = package == "homeroom.membership.v1"
        && row.about == About::Organization
        && mode.scopes.contains(&"homeroom.platform");
    let concerned = person.is(target, row.concerned);
    let sees = platform_sees || concerned || person.sees(target, row.about);
    let allowed = by_scope
        || (row.own && concerned)
        || match row.opens {
            Opens::Anyone | Opens::Scope => true,
            Opens::Sight => sees,
            Opens::Role(least) => person.has(target, row.about, least),
            Opens::Nothing | Opens::Person | Opens::License => false,
        };
    if allowed {
        Answer::Allowed
    } else if !sees || row.hides || row.opens == Opens::Nothing {
        Answer::Hidden
    } else if row.opens == Opens::License && person.administers(target) {
        Answer::ScopeMissing
    } else {
        Answer::RoleRequired
    }
}

/// Returns the reason of the one result of a batch, if it is an error.
fn row_reason(answer: &Value) -> Option<&str> {
    let details = answer["results"][0]["status"]["details"].as_array()?;
    details.iter().find_map(|detail| detail["reason"].as_str())
}

/// Returns true if the answer must show data that only some callers see, or `None` if the row has
/// no such data.
fn expected_to_show(row: &Row, target: &Target, person: Person, mode: Mode) -> Option<bool> {
    let shows = row.shows?;
    let by_scope = mode.scopes.iter().any(|scope| row.scopes.contains(scope));
    let within = mode
        .organizations
        .is_none_or(|bound| bound.contains(&target.organization()));
    let concerned = row.own && person.is(target, row.concerned);
    let by_role = person.has(target, shows.about, shows.least);
    Some(within && (by_scope || concerned || by_role))
}

/// Returns the kind of the answer, and its text.
fn told(answer: &Result<Value, Status>) -> (Option<Answer>, String) {
    let (code, reason) = match answer {
        Ok(answer) => match row_reason(answer) {
            Some(reason) => (Code::Ok, reason.to_owned()),
            None => return (Some(Answer::Allowed), "OK".to_owned()),
        },
        Err(status) => (status.code(), reason(status)),
    };
    let in_row = code == Code::Ok;
    let known = match reason.as_str() {
        "ROLE_REQUIRED" if in_row || code == Code::PermissionDenied => Some(Answer::RoleRequired),
        "SCOPE_MISSING" if in_row || code == Code::PermissionDenied => Some(Answer::ScopeMissing),
        reason if HIDDEN.contains(&reason) && (in_row || code == Code::NotFound) => {
            Some(Answer::Hidden)
        }
        reason if LET_THROUGH.contains(&reason) => Some(Answer::Allowed),
        _ => None,
    };
    (known, format!("{code:?} {reason}"))
}

/// One call of the matrix.
struct Call<'a> {
    method: String,
    row: &'a Row,
    target: &'a Target,
    person: Person,
    mode: Mode,
    expected: Answer,
}

impl Call<'_> {
    /// Returns what is wrong with the answer, if anything.
    async fn wrong(&self, homeroom: &Homeroom) -> Option<String> {
        let claims = Claims {
            scopes: self.mode.scopes,
            organizations: self.mode.organizations,
            acting_user: if self.mode.acted_for {
                self.person.user
            } else {
                ""
            },
            ..Claims::of(if self.mode.acted_for {
                "lms"
            } else {
                self.person.user
            })
        };
        let body = self.target.fill(self.row.body);
        let answer = homeroom.call(claims, &self.method, &body).await;
        let (answered, words) = told(&answer);
        let wrong = if answered != Some(self.expected) {
            format!("{words}, not {:?}", self.expected)
        } else if let (Ok(answer), Some(shows)) = (answer, self.row.shows) {
            let what = self.target.named(shows.what);
            let shown = answer.to_string().contains(&format!("\"{what}\""));
            let expected = expected_to_show(self.row, self.target, self.person, self.mode);
            if Some(shown) == expected {
                return None;
            }
            format!("{} {what}", if shown { "shows" } else { "does not show" })
        } else {
            return None;
        };
        Some(format!(
            "{} about {:?} of {} by {} {}: {wrong}",
            self.method, self.row.about, self.target.what, self.person.user, self.mode.what,
        ))
    }
}

fn calls<'a>(targets: &'a [Target], modes: &[Mode]) -> Vec<Call<'a>> {
    let mut calls = Vec::new();
    for (package, rows) in [
        ("homeroom.membership.v1", MEMBERSHIP),
        ("homeroom.invitations.v1", INVITATIONS),
    ] {
        for row in rows {
            for target in targets {
                // The sibling class is in the same organization.
                if row.about != About::Class && target.is_sibling() {
                    continue;
                }
                for person in PEOPLE {
                    // A person who has asked to join is a stranger to everything else.
                    if person.user == "asker" && row.concerned != Concerned::Asker {
                        continue;
                    }
                    for mode in modes {
                        // A service that is refused for the administrator is refused for everyone.
                        if mode.may_not_act() && person.user != "admin" {
                            continue;
                        }
                        calls.push(Call {
                            method: format!("{package}.{}", row.method),
                            row,
                            target,
                            person,
                            mode: *mode,
                            expected: expected(package, row, target, person, *mode),
                        });
                    }
                }
            }
        }
    }
    calls
}

async fn try_all<'a, 'b: 'a>(
    homeroom: &Homeroom,
    calls: impl Iterator<Item = &'a Call<'b>>,
) -> (usize, Vec<String>) {
    let tried = stream::iter(calls)
        .map(|call| call.wrong(homeroom))
        .buffer_unordered(AT_ONCE);
    let results: Vec<Option<String>> = tried.collect().await;
    (results.len(), results.into_iter().flatten().collect())
}

async fn every_call_is_answered_as_the_table_says(engine: Engine, modes: &[Mode]) {
    let homeroom = Homeroom::start(engine).await;
    let targets = targets(&homeroom).await;
    let calls = calls(&targets, modes);
    let is_allowed = |call: &&Call<'_>| call.expected == Answer::Allowed;

    let before = homeroom.settled_row_counts().await;
    let (refused, mut wrong) =
        try_all(&homeroom, calls.iter().filter(|call| !is_allowed(call))).await;
    let after = homeroom.settled_row_counts().await;
    let written = after
        .iter()
        .filter(|(table, count)| before[*table] != **count);
    wrong.extend(written.map(|(table, _)| format!("a refused call writes {table}")));
    let (allowed, more) = try_all(&homeroom, calls.iter().filter(is_allowed)).await;
    wrong.extend(more);
    println!("{allowed} calls allowed, {refused} refused");
    let shown: Vec<&str> = wrong.iter().map(String::as_str).take(60).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        calls.len(),
        shown.join("\n")
    );
    homeroom.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_asks_for_the_role_and_the_scope_that_the_table_names() {
    every_call_is_answered_as_the_table_says(Engine::Sqlite, &MODES).await;
}

/// The engines share the deciding code, so one mode suffices to show that both find the roles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_asks_for_the_same_role_on_postgres() {
    every_call_is_answered_as_the_table_says(Engine::Postgres, &[NO_SCOPE]).await;
}

#[test]
fn the_table_knows_every_rpc_of_the_contract_and_no_other() {
    let known: BTreeSet<String> = [
        ("homeroom.membership.v1", MEMBERSHIP),
        ("homeroom.invitations.v1", INVITATIONS),
    ]
    .into_iter()
    .flat_map(|(package, rows)| {
        rows.iter()
            .map(move |row| format!("{package}.{}", row.method))
    })
    .collect();
    let contract: BTreeSet<String> = raw::methods()
        .iter()
        .map(|method| method.full_name().to_owned())
        .collect();
    assert_eq!(known, contract);
}
