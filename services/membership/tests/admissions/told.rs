//! The particulars that redemptions state of a person: the roster follows them, except for what staff set.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::membership::v1 as api;
use homeroom_kit::{
    auth::Scope,
    erasure::{Replacement, pseudonym},
};
use homeroom_membership::{
    admission::admit::AdmitRequest,
    app::{members::NewMember, organization_members},
    domain::{
        admission::Outcome,
        member::{Particulars, Role},
    },
};
use uuid::Uuid;

use crate::{
    harness::{ADMINISTRATOR, OWNER, School, caller, class, organization, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    u14_a_later_redemption_refreshes_the_roster,
    u14_whom_staff_added_keeps_what_they_typed,
    u14_the_queue_follows_too,
    u14_the_latest_of_one_batch_stands,
    u14_who_is_shut_out_or_only_asks_changes_nothing,
    u14_an_erased_persons_data_never_comes_back,
);

fn particulars([display_name, email, external_id]: [&str; 3]) -> Particulars {
    Particulars {
        display_name: display_name.to_owned(),
        email: email.to_owned(),
        external_id: external_id.to_owned(),
    }
}

fn saying(
    redemption: AdmitRequest,
    told: [&str; 3],
    vouch_time: Option<DateTime<Utc>>,
) -> AdmitRequest {
    AdmitRequest {
        particulars: particulars(told),
        vouch_time,
        ..redemption
    }
}

/// Checks the particulars of a person that staff see, and their revision, in the organization and in the class.
async fn assert_shown(school: &School, id: &str, expected: [&str; 3], revision: i64) {
    for (place, revision) in [(organization(), revision), (class(), revision + 1)] {
        let member = school.member(&place, id).await.unwrap();
        assert_eq!(member.particulars, particulars(expected), "{id} in {place}");
        assert_eq!(member.revision, revision, "{id} in {place}");
    }
}

async fn u14_a_later_redemption_refreshes_the_roster(database: &Database) {
    let school = School::on(database).await;
    let first = school.now();
    let later = |seconds| Some(first + TimeDelta::seconds(seconds));
    let joins = saying(school.redemption("eve"), ["Eve", "e@x.org", ""], later(0));
    assert_eq!(school.admit(&joins).await.outcome, Outcome::Admitted);
    assert_shown(&school, "eve", ["Eve", "e@x.org", ""], 1).await;
    let cases = [
        // The same particulars again, or none, change nothing,
        (["Eve", "e@x.org", ""], later(1), ["Eve", "e@x.org", ""], 1),
        (["", "", ""], later(1), ["Eve", "e@x.org", ""], 1),
        // particulars that nobody vouches for change nothing either,
        (["Teacher", "t@x.org", "t"], None, ["Eve", "e@x.org", ""], 1),
        // and new ones replace the earlier ones, field by field,
        (["Eva", "", ""], later(2), ["Eva", "e@x.org", ""], 2),
        (
            ["", "a@x.org", "s-1"],
            later(3),
            ["Eva", "a@x.org", "s-1"],
            3,
        ),
        // unless later ones were stated: a redemption may be late.
        (
            ["Eve", "e@x.org", "s-0"],
            later(2),
            ["Eva", "a@x.org", "s-1"],
            3,
        ),
        (["Ewa", "", ""], later(3), ["Ewa", "a@x.org", "s-1"], 4),
    ];
    for (number, (told, time, expected, revision)) in cases.into_iter().enumerate() {
        // Alternates the class's code and the organization's token.
        let place = [class(), organization()][number % 2].clone();
        let redemption = school.redemption_at(&place, "eve");
        let answer = school.admit(&saying(redemption, told, time)).await;
        assert_eq!(answer.outcome, Outcome::AlreadyMember);
        let member = answer.member.unwrap();
        let in_class = i64::from(place.class().is_some());
        assert_eq!(member.particulars, particulars(expected), "{told:?}");
        assert_eq!(member.revision, revision + in_class, "{told:?}");
        assert_shown(&school, "eve", expected, revision).await;
    }
    // Each change is one event, with the person as the actor.
    let mut events = school.events().await;
    events.retain(|event| event.event_type == "member.updated");
    assert_eq!(events.len(), 3);
    for event in &events {
        assert_eq!(event.subject, "organizations/hamilton/members/eve");
        let (actor, role) = (event.actor.as_str(), event.data["role"].as_str());
        assert_eq!((actor, role), ("eve", "STUDENT"));
        assert!(!event.data.contains_key("previous_role"));
    }
    // A redemption that is sent again states nothing new.
    assert!(school.admit(&joins).await.answered_before);
    assert_shown(&school, "eve", ["Ewa", "a@x.org", "s-1"], 4).await;
}

async fn u14_whom_staff_added_keeps_what_they_typed(database: &Database) {
    let school = School::on(database).await;
    let new = NewMember {
        user: user("eve"),
        particulars: particulars(["Eve from the list", "", ""]),
        role: Role::Student,
    };
    let administrator = caller(ADMINISTRATOR);
    let add = school.change(&administrator, |change| {
        let organization = organization().organization().clone();
        Box::pin(async move {
            let added = organization_members::add(change, organization.into(), new);
            added.await.map(drop)
        })
    });
    add.await.unwrap();
    let time = Some(school.now());
    let joins = saying(school.redemption("eve"), ["Eve", "e@x.org", "s-1"], time);
    assert_eq!(school.admit(&joins).await.outcome, Outcome::Admitted);
    assert_shown(&school, "eve", ["Eve from the list", "e@x.org", "s-1"], 2).await;
    // Nobody typed the particulars of the staff who came with the organization.
    let own = saying(school.redemption(OWNER), ["Tom", "tom@x.org", ""], time);
    assert_eq!(school.admit(&own).await.outcome, Outcome::AlreadyMember);
    assert_shown(&school, OWNER, ["Tom", "tom@x.org", ""], 2).await;
}

async fn u14_the_queue_follows_too(database: &Database) {
    let school = School::on(database).await;
    let time = |seconds| Some(school.now() + TimeDelta::seconds(seconds));
    let asks = saying(school.joining("eve"), ["Eve", "", ""], time(0));
    let filed = school.admit(&asks).await.join_request.unwrap();
    #[rustfmt::skip]
    let cases = [
        // The redemption that asked, sent once more; and another one.
        (asks.clone(), ["Eva", "", ""], time(1), ["Eva", "", ""]),
        (school.joining("eve"), ["", "e@x.org", ""], time(2), ["Eva", "e@x.org", ""]),
        (school.joining("eve"), ["Old", "", ""], time(-1), ["Eva", "e@x.org", ""]),
        (school.joining("eve"), ["Anyone", "", ""], None, ["Eva", "e@x.org", ""]),
    ];
    for (redemption, told, at, expected) in cases {
        let answer = school.admit(&saying(redemption, told, at)).await;
        let shown = answer.join_request.unwrap();
        assert_eq!(shown.particulars, particulars(expected), "{told:?}");
        assert_eq!(school.request(&filed.name()).await, shown);
    }
    let updated = "join_request.updated";
    assert_eq!(
        school.event_types().await,
        ["join_request.created", updated, updated]
    );
    school.assert_counts(0, 1).await;
    // A person who is let in is on the roster with the particulars of their request,
    school.advance(TimeDelta::minutes(1));
    school.approve(OWNER, &filed.name()).await.unwrap();
    assert_shown(&school, "eve", ["Eva", "e@x.org", ""], 1).await;
    // and those that the redemption states again reach the roster.
    school.admit(&saying(asks, ["Ewa", "", ""], time(0))).await;
    assert_shown(&school, "eve", ["Ewa", "e@x.org", ""], 2).await;
    school.assert_counts(1, 0).await;
}

async fn u14_the_latest_of_one_batch_stands(database: &Database) {
    let school = School::on(database).await;
    let time = |seconds| Some(school.now() + TimeDelta::seconds(seconds));
    for (id, [first, second]) in [("eve", [1, 2]), ("bob", [2, 1])] {
        let to_organization = school.redemption_at(&organization(), id);
        let batch = [
            saying(to_organization, ["First", "", ""], time(first)),
            saying(school.redemption(id), ["Second", "", ""], time(second)),
        ];
        assert_eq!(school.outcomes(&batch).await, [Outcome::Admitted; 2]);
        let latest = ["First", "Second"][usize::from(first < second)];
        let revision = 1 + i64::from(first < second);
        assert_shown(&school, id, [latest, "", ""], revision).await;
    }
    school.assert_counts(2, 0).await;
}

async fn u14_who_is_shut_out_or_only_asks_changes_nothing(database: &Database) {
    let school = School::on(database).await;
    let time = |seconds| Some(school.now() + TimeDelta::seconds(seconds));
    let joins = school.redemption_at(&organization(), "eve");
    school.admit(&saying(joins, ["Eve", "", ""], time(0))).await;
    // Nothing is shown after a preview,
    let asks = saying(school.redemption("eve"), ["Eva", "", ""], time(1));
    school.app.preview(&[asks]).await.unwrap();
    // an invitation that was reset since,
    let fence = school.redemption("eve").invitation;
    school.app.raise_fence(fence, 1).await.unwrap();
    let stale = saying(school.redemption("eve"), ["Eva", "", ""], time(1));
    assert_eq!(school.admit(&stale).await.outcome, Outcome::StaleEpoch);
    // or a class that is archived.
    school.archive().await;
    let mut refused = saying(school.redemption("eve"), ["Eva", "", ""], time(1));
    refused.attempt.epoch = 1;
    for _ in 0..2 {
        let answer = school.admit(&refused).await;
        assert!(matches!(answer.outcome, Outcome::Refused(_)));
    }
    let member = school.member(&organization(), "eve").await.unwrap();
    assert_eq!(member.particulars.display_name, "Eve");
    assert_eq!(school.event_types().await, ["member.joined"]);
}

async fn u14_an_erased_persons_data_never_comes_back(database: &Database) {
    let school = School::on(database).await;
    let before = school.now();
    let eve = || {
        saying(
            school.redemption("eve"),
            ["Eve", "e@x.org", "s-1"],
            Some(before),
        )
    };
    let (joins, late) = (eve(), eve());
    school.admit(&joins).await;
    school.advance(TimeDelta::seconds(1));
    // Given she is erased, and somebody without particulars joins under her former id,
    let replacement = Replacement {
        user: user("eve"),
        by: pseudonym(Uuid::from_u128(1)).unwrap(),
    };
    let service = caller("invitations").with_scopes([Scope::Admit]);
    let request = api::EraseUserRequest::default();
    let erased = school.app.erase_user(&service, &request, replacement);
    erased.await.unwrap();
    let new = saying(school.redemption("eve"), ["", "", ""], None);
    assert_eq!(school.admit(&new).await.outcome, Outcome::Admitted);
    // when requests sent before arrive late or again, then nothing of hers is shown.
    assert_eq!(school.admit(&late).await.outcome, Outcome::AlreadyMember);
    let again = school.admit_all(std::slice::from_ref(&joins)).await;
    assert!(again[0].is_err());
    assert_shown(&school, "eve", ["", "", ""], 1).await;
}
