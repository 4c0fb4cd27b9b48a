//! Removals, approvals and admissions of one organization at once (P6).

use std::sync::Arc;

use homeroom_api::{
    common::v1::ErrorReason,
    names::{JoinRequestName, MemberName, Place},
};
use homeroom_kit::Result;
use homeroom_membership::{
    app::{class_members, organization_members},
    domain::{admission::Outcome, join_request::State},
};

use crate::{
    harness::{ADMINISTRATOR, OWNER, School, caller, class, organization, reason, user},
    support::{Database, on_both_engines},
};

on_both_engines!(
    p6_a_member_removed_by_twenty_at_once_is_removed_once,
    p6_removals_approvals_and_admissions_that_race_oversell_no_seat,
);

async fn remove(school: &School, place: &Place, id: &str) -> Result<()> {
    let name = MemberName {
        place: place.clone(),
        user: user(id),
    };
    let by = caller(ADMINISTRATOR);
    let removal = school.change(&by, |change| {
        Box::pin(async move {
            match &name.place {
                Place::Organization(_) => {
                    organization_members::remove(change, name, String::new()).await
                }
                Place::Class(_) => class_members::remove(change, name, String::new()).await,
            }
        })
    });
    removal.await
}

async fn p6_a_member_removed_by_twenty_at_once_is_removed_once(database: &Database) {
    let school = Arc::new(School::with_seats(database, 3).await);
    for id in ["eve", "bob"] {
        school.admit(&school.redemption(id)).await;
    }
    // When half of them remove her from the class and half from the organization
    let removals = (0..20).map(|number| {
        let school = school.clone();
        let place = [class(), organization()][number % 2].clone();
        tokio::spawn(async move {
            let removed = remove(&school, &place, "eve").await;
            (place, removed)
        })
    });
    let mut removed = Vec::new();
    for ended in futures::future::join_all(removals).await {
        match ended.unwrap() {
            (place, Ok(())) => removed.push(place),
            (_, refused) => assert_eq!(reason(refused), ErrorReason::MemberNotFound),
        }
    }
    // Then at most one of each succeeds, and the seat is freed once.
    let of = |place: &Place| removed.iter().filter(|removed| *removed == place).count();
    assert_eq!(of(&organization()), 1);
    assert!(of(&class()) <= 1);
    school.assert_counts(1, 0).await;
    let left = school.count("member.removed").await;
    assert_eq!(left, 2, "of the organization and of the class");
}

/// A step of the race, with its allowed outcomes.
enum Step {
    Admit(&'static str),
    Approve(JoinRequestName),
    Remove(&'static str),
}

async fn p6_removals_approvals_and_admissions_that_race_oversell_no_seat(database: &Database) {
    const SEATS: i64 = 4;
    let school = Arc::new(School::with_seats(database, SEATS).await);
    school.make_fence().await;
    // Given a full organization and a queue
    let seated = ["a", "b", "c", "d"];
    for id in seated {
        school.admit(&school.redemption(id)).await;
    }
    let mut waiting = Vec::new();
    for id in ["e", "f", "g", "h"] {
        waiting.push(school.queue(id).await.name());
    }
    school.assert_counts(SEATS, 4).await;
    // When two leave while all waiting requests are approved, each twice, and four more people redeem
    let mut steps: Vec<Step> = Vec::new();
    for (index, name) in waiting.iter().enumerate() {
        steps.push(Step::Approve(name.clone()));
        steps.push(Step::Admit(["i", "j", "k", "l"][index]));
        steps.push(Step::Approve(name.clone()));
        if index % 2 == 0 {
            steps.push(Step::Remove(seated[index]));
        }
    }
    let racing = steps.into_iter().map(|step| {
        let school = school.clone();
        tokio::spawn(async move {
            match step {
                Step::Admit(id) => match school.admit(&school.redemption(id)).await.outcome {
                    Outcome::Admitted => 1,
                    other => {
                        assert_eq!(other, Outcome::Refused(ErrorReason::NoSeats));
                        0
                    }
                },
                Step::Approve(name) => match school.approve(OWNER, &name).await {
                    Ok(()) => 1,
                    refused => {
                        let expected = [ErrorReason::NoSeats, ErrorReason::AlreadyDecided];
                        assert!(expected.contains(&reason(refused)));
                        0
                    }
                },
                Step::Remove(id) => {
                    remove(&school, &organization(), id).await.unwrap();
                    -1
                }
            }
        })
    });
    let mut moved = 0;
    for change in futures::future::join_all(racing).await {
        moved += change.unwrap();
    }
    // Then the counters equal the sum of the answers, and never exceed the limit.
    let mut still_waiting = 0;
    for name in &waiting {
        match school.request(name).await.state {
            State::Pending => still_waiting += 1,
            state => assert_eq!(state, State::Approved),
        }
    }
    assert!(SEATS + moved <= SEATS);
    school.assert_counts(SEATS + moved, still_waiting).await;
}

/// The number of concurrent redemptions.
const COME_TOGETHER: usize = 32;

#[tokio::test]
async fn single_redemptions_of_one_organization_share_transactions() {
    let database = Database::postgres().await;
    let school = Arc::new(School::on(&database).await);
    school.make_fence().await;
    // Given an organization whose lock somebody holds
    let mut holder = school.app.store.write().await.unwrap();
    let organization = organization();
    let held = holder.lock_organization(organization.organization()).await;
    assert!(held.unwrap().is_some());
    // When many redemptions arrive for it, each in its own call
    let calls = (0..COME_TOGETHER).map(|number| school.redemption(&format!("student-{number}")));
    let calls: Vec<_> = calls
        .map(|redemption| school.admitting(redemption))
        .collect();
    database.until_a_session_waits().await;
    holder.rollback().await;
    for call in calls {
        assert_eq!(call.await.unwrap(), Outcome::Admitted);
    }
    // Then all but the first are in one transaction.
    let transactions = "SELECT DISTINCT xmin::text FROM admissions";
    let transactions = database.select::<String>(transactions).await;
    assert!(transactions.len() <= 2, "{transactions:?}");
}
