//! The guarantees of the store to the protocol, on PostgreSQL and on SQLite alike.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use homeroom_api::{common::v1::ErrorReason, invitations::v1::RedeemRequest};
use homeroom_invitations::{
    domain::{
        self,
        invitation::{Epoch, InvitationKind, Uses},
        redemption::{MembershipAnswer, Outcome, RedemptionState, RequestEnd},
    },
    redemption::{
        ledger::{
            Ledger, MatchedInvitation, MembershipReply, Redemption, RedemptionRequest,
            ReserveRequest, Reserved, Resolved, Route, Settlement, UseKey, UsesChange,
        },
        request::Attempt,
    },
    store::{InvitationRow, LookUp, Repository, SkippedEvent, Store},
};
use homeroom_kit::{
    Result,
    clock::ManualClock,
    keys::KeyRing,
    random::SystemRandomness,
    request_ids::{BodyMac, RequestKey},
};
use uuid::Uuid;

use crate::{
    databases::on_both_engines,
    world::{CODE, caller, keys, organization, public_url, row, start, user, uses},
};

on_both_engines!(
    p2_one_living_redemption_for_each_invitation_epoch_and_user,
    p2_u2_who_would_be_let_in_by_now_takes_over_the_use_of_the_one_that_waits,
    p2_u2_a_use_that_was_taken_over_comes_back_whatever_its_taker_fails_by,
    p2_u2_the_one_that_waits_may_end_while_its_use_is_taken_over,
    p2_u2_the_end_of_one_that_waits_gives_back_the_use_that_it_has_by_then,
    p4_u8_a_person_spends_one_use_however_often_they_come_back,
    p4_r13_who_was_erased_since_the_look_up_takes_a_use_of_their_own,
    p4_u8_a_reset_counts_every_person_anew,
    p4_no_more_uses_are_taken_than_there_are,
    p4_a_count_is_never_raised_above_max_uses,
    p4_concurrent_reservations_take_the_last_use_once,
    p1_p5_p9_the_first_settlement_and_the_first_outcome_stay,
    p7_uses_of_an_older_epoch_are_not_counted,
    p7_a_secret_that_was_reset_after_the_look_up_is_seen,
    p9_request_ids_are_noted_once_and_re_pointed_from_the_stale,
    p9_a_request_that_is_known_by_now_is_named_before_anything_refuses_it,
    p13_due_redemptions_are_taken_by_one_and_leased,
    p13_a_try_farther_ahead_than_any_is_due,
    p13_stuck_redemptions_are_counted_and_hastened,
    what_is_stored_is_read_again,
    look_ups_find_many_by_their_macs_in_one_statement,
    profiles_are_found_by_organization_and_by_prefix,
    p5_a_feed_moves_on_from_where_it_stood,
);

const ADMITTED: MembershipReply = MembershipReply::Answer(MembershipAnswer::Admitted);
const QUEUED: MembershipReply = MembershipReply::Answer(MembershipAnswer::Queued);
const NO_SEATS: MembershipReply =
    MembershipReply::Answer(MembershipAnswer::Refused(ErrorReason::NoSeats));

/// The attempt and the invitation of a request to reserve.
struct Wanted {
    attempt: Attempt,
    matched: MatchedInvitation,
}

struct Fixture {
    store: Arc<Store>,
    keys: KeyRing,
}

impl Fixture {
    fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            keys: keys(),
        }
    }

    async fn invitation(&self, max_uses: Option<u32>) -> InvitationRow {
        let mut row = row(InvitationKind::EnrollmentCode, CODE, &self.keys, start());
        row.invitation.max_uses = max_uses;
        let mut repository = self.store.write().await.unwrap();
        repository
            .insert_invitations(std::slice::from_ref(&row))
            .await
            .unwrap();
        repository.commit("test").await.unwrap();
        row
    }

    fn wanted(&self, row: &InvitationRow, name: &str, request: Option<u128>) -> Wanted {
        let lookup_mac = row.secret.as_ref().unwrap().lookup_mac.clone();
        let asked = RedeemRequest {
            credential: CODE.to_owned(),
            ..RedeemRequest::default()
        };
        let attempt = Attempt::of_redeem(&caller(name), &asked, "", &public_url(), &self.keys);
        let mut attempt = attempt.unwrap();
        "Ann \u{1F331} O'Hara".clone_into(&mut attempt.person.display_name);
        attempt.request = request.map(|id| self.request(name, id, b"body"));
        Wanted {
            matched: MatchedInvitation {
                row: row.clone(),
                lookup_macs: vec![lookup_mac.try_into().unwrap()],
                has_use: false,
            },
            attempt,
        }
    }

    /// Returns an attempt of this person while somebody guesses, which leads to the queue.
    fn guarded(&self, row: &InvitationRow, name: &str) -> Wanted {
        let mut guarded = self.wanted(row, name, None);
        guarded.attempt.facts.guess_guarded = true;
        guarded
    }

    fn ledger(&self) -> Ledger {
        Ledger {
            store: Arc::clone(&self.store),
            clock: Arc::new(ManualClock::new(start())),
            random: Arc::new(SystemRandomness),
        }
    }

    fn request(&self, name: &str, id: u128, body: &[u8]) -> RedemptionRequest {
        RedemptionRequest {
            key: RequestKey::new(&caller(name), Uuid::from_u128(id)),
            body: BodyMac::of_bytes(&self.keys, body),
        }
    }

    async fn reserve(&self, wanted: &[Wanted]) -> Result<Vec<Reserved>> {
        let wanted: Vec<ReserveRequest<'_>> = wanted
            .iter()
            .map(|wanted| ReserveRequest {
                attempt: &wanted.attempt,
                matched: &wanted.matched,
            })
            .collect();
        self.ledger().reserve(&wanted).await
    }

    async fn reserve_one(
        &self,
        row: &InvitationRow,
        name: &str,
        request: Option<u128>,
    ) -> Redemption {
        let wanted = [self.wanted(row, name, request)];
        match self.reserve(&wanted).await.unwrap().remove(0) {
            Reserved::New(redemption) => redemption,
            other => panic!("not reserved: {other:?}"),
        }
    }

    /// Reserves, and settles with this reply.
    async fn redeem(&self, row: &InvitationRow, name: &str, reply: MembershipReply) -> Redemption {
        let redemption = self.reserve_one(row, name, None).await;
        assert_eq!(self.settle(&redemption, &[reply]).await, 1);
        redemption
    }

    /// Stores an invitation that staff have changed.
    async fn update(&self, row: &mut InvitationRow) {
        row.revision += 1;
        let mut repository = self.store.write().await.unwrap();
        assert!(repository.update_invitation(row).await.unwrap());
        repository.commit("test").await.unwrap();
    }

    async fn settle(&self, redemption: &Redemption, replies: &[MembershipReply]) -> usize {
        let settlement = Settlement {
            redemption: redemption.clone(),
            replies: replies.to_vec(),
            join_request: String::new(),
            actor: "system".to_owned(),
        };
        let clock = Arc::new(ManualClock::new(start() + TimeDelta::seconds(1)));
        let ledger = Ledger {
            clock,
            ..self.ledger()
        };
        ledger.settle(&[settlement]).await.unwrap().len()
    }

    async fn answer(&self, redemption: &Redemption, answer: MembershipAnswer) -> usize {
        let answer = MembershipReply::Answer(answer);
        self.settle(redemption, &[answer]).await
    }

    async fn end(&self, redemption: &Redemption, end: RequestEnd) -> usize {
        self.settle(redemption, &[MembershipReply::End(end)]).await
    }

    async fn read(&self, id: Uuid) -> Redemption {
        let mut repository = self.store.read().await.unwrap();
        let found = repository.get_redemptions(&[id]).await;
        found.unwrap().remove(0)
    }

    async fn uses(&self, row: &InvitationRow) -> Uses {
        let mut repository = self.store.read().await.unwrap();
        let found = repository.get_invitation(row.invitation.id).await;
        found.unwrap().unwrap().invitation.uses
    }
}

async fn p2_one_living_redemption_for_each_invitation_epoch_and_user(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(None).await;
    let first = fixture.reserve_one(&row, "ann", Some(1)).await;
    let second = [fixture.wanted(&row, "ann", Some(2))];
    let second = fixture.reserve(&second).await.unwrap();
    assert_eq!(second, [Reserved::Attached(first.clone())]);
    // The index enforces it too, whoever inserts.
    let mut rival = [first.clone()];
    rival[0].id = Uuid::from_u128(7);
    let mut repository = fixture.store.write().await.unwrap();
    let whole = repository.write_reservations(&rival, &[], &[], start());
    assert!(!whole.await.unwrap());
    let request = [&fixture.request("ann", 2, b"body")];
    let standing = repository.standing(&request, &[], start()).await;
    let (known, living) = standing.unwrap();
    assert_eq!(living, []);
    // The redemption that was met may be over: the request id names it only once it answers.
    assert_eq!(known, [Resolved::Unknown]);
    repository.rollback().await;
    assert_eq!(fixture.uses(&row).await, uses(0, 1, 0));
    // A redemption that waits is joined while the invitation leads to the queue.
    fixture.answer(&first, MembershipAnswer::Queued).await;
    let guarded = fixture.guarded(&row, "ann");
    let third = fixture.reserve(&[guarded]).await.unwrap();
    assert!(matches!(&third[0], Reserved::Attached(living) if living.id == first.id));
}

/// Returns a redemption that waits, and one that has taken its use over since.
async fn taken_over(fixture: &Fixture, row: &InvitationRow) -> (Redemption, Redemption) {
    let waiting = fixture.redeem(row, "ann", QUEUED).await;
    let taker = fixture.reserve_one(row, "ann", None).await;
    (waiting, taker)
}

async fn p2_u2_who_would_be_let_in_by_now_takes_over_the_use_of_the_one_that_waits(
    store: Arc<Store>,
) {
    // Given the only use, held by a redemption that waits,
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(1)).await;
    // when the person comes again and would be let in,
    let (waiting, taker) = taken_over(&fixture, &row).await;
    // then the newer one has the use and a third attempt joins it, and nobody else has a use.
    assert!(taker.holds_use && !fixture.read(waiting.id).await.holds_use);
    assert_eq!(fixture.uses(&row).await, uses(0, 1, 0));
    let third = fixture.reserve(&[fixture.wanted(&row, "ann", None)]).await;
    assert_eq!(third.unwrap(), [Reserved::Attached(taker.clone())]);
    let other = fixture.reserve(&[fixture.wanted(&row, "bob", None)]).await;
    let refused = Reserved::Refused(ErrorReason::UseInProgress);
    assert_eq!(other.unwrap(), [refused]);
    // And the end of the older one's request gives nothing back, before and after.
    assert_eq!(fixture.end(&waiting, RequestEnd::Closed).await, 1);
    assert_eq!(fixture.uses(&row).await, uses(0, 1, 0));
    assert_eq!(fixture.answer(&taker, MembershipAnswer::Admitted).await, 1);
    assert_eq!(fixture.uses(&row).await, uses(1, 0, 0));
}

async fn p2_u2_a_use_that_was_taken_over_comes_back_whatever_its_taker_fails_by(store: Arc<Store>) {
    let no_seats = MembershipAnswer::Refused(ErrorReason::NoSeats);
    for answer in [
        no_seats,
        MembershipAnswer::AlreadyPending,
        MembershipAnswer::AlreadyMember,
        MembershipAnswer::StaleEpoch,
    ] {
        let fixture = Fixture::new(Arc::clone(&store));
        let row = fixture.invitation(Some(1)).await;
        let (waiting, taker) = taken_over(&fixture, &row).await;
        assert_eq!(fixture.answer(&taker, answer).await, 1);
        assert!(fixture.read(waiting.id).await.holds_use, "{answer:?}");
        assert_eq!(fixture.uses(&row).await, uses(0, 0, 1), "{answer:?}");
        // The use may be taken over again, and is spent once.
        fixture.redeem(&row, "ann", ADMITTED).await;
        assert_eq!(fixture.end(&waiting, RequestEnd::Closed).await, 1);
        assert_eq!(fixture.uses(&row).await, uses(1, 0, 0), "{answer:?}");
    }
}

async fn p2_u2_the_one_that_waits_may_end_while_its_use_is_taken_over(store: Arc<Store>) {
    let member = MembershipReply::Answer(MembershipAnswer::AlreadyMember);
    for (end, reply, expected) in [
        (RequestEnd::Approved, member, 1),
        (RequestEnd::Approved, ADMITTED, 1),
        (RequestEnd::Denied, ADMITTED, 1),
        (RequestEnd::Withdrawn, NO_SEATS, 0),
    ] {
        let fixture = Fixture::new(Arc::clone(&store));
        let row = fixture.invitation(Some(1)).await;
        let (waiting, taker) = taken_over(&fixture, &row).await;
        assert_eq!(fixture.end(&waiting, end).await, 1);
        assert_eq!(fixture.uses(&row).await, uses(0, 1, 0), "{end:?}");
        assert_eq!(fixture.settle(&taker, &[reply]).await, 1);
        assert_eq!(fixture.uses(&row).await, uses(expected, 0, 0), "{end:?}");
    }
}

async fn p2_u2_the_end_of_one_that_waits_gives_back_the_use_that_it_has_by_then(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(1)).await;
    // It is read while it holds none, and ended when it has the use back; and the other way round.
    let (waiting, taker) = taken_over(&fixture, &row).await;
    let without_use = fixture.read(waiting.id).await;
    fixture.settle(&taker, &[NO_SEATS]).await;
    assert_eq!(fixture.end(&without_use, RequestEnd::Denied).await, 1);
    assert_eq!(fixture.uses(&row).await, uses(0, 0, 0));
    let waiting = fixture.redeem(&row, "ann", QUEUED).await;
    let with_use = fixture.read(waiting.id).await;
    let taker = fixture.reserve_one(&row, "ann", None).await;
    assert_eq!(fixture.end(&with_use, RequestEnd::Denied).await, 1);
    assert_eq!(fixture.uses(&row).await, uses(0, 1, 0));
    fixture.settle(&taker, &[NO_SEATS]).await;
    assert_eq!(fixture.uses(&row).await, uses(0, 0, 0));
}

async fn p4_u8_a_person_spends_one_use_however_often_they_come_back(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(2)).await;
    fixture.redeem(&row, "ann", ADMITTED).await;
    // The first time it is judged by what was read before the use was spent; then alone, with others, and to wait.
    let again = fixture.reserve_one(&row, "ann", None).await;
    assert!(!again.holds_use);
    assert_eq!(fixture.uses(&row).await, uses(1, 0, 0));
    fixture.answer(&again, MembershipAnswer::Admitted).await;
    let wanted = ["ann", "bob", "cid"].map(|name| fixture.wanted(&row, name, None));
    let reserved = fixture.reserve(&wanted).await.unwrap();
    let Reserved::New(with_others) = &reserved[0] else {
        panic!("{reserved:?}")
    };
    assert!(!with_others.holds_use);
    assert!(matches!(&reserved[1], Reserved::New(bob) if bob.holds_use));
    assert_eq!(reserved[2], Reserved::Refused(ErrorReason::UseInProgress));
    fixture.settle(with_others, &[NO_SEATS]).await;
    assert_eq!(fixture.uses(&row).await, uses(1, 1, 0));
    let guarded = [fixture.guarded(&row, "ann")];
    let reserved = fixture.reserve(&guarded).await.unwrap();
    let [Reserved::New(waiting)] = reserved.as_slice() else {
        panic!("{reserved:?}")
    };
    let approved = MembershipReply::End(RequestEnd::Approved);
    for reply in [QUEUED, approved] {
        assert_eq!(fixture.settle(waiting, &[reply]).await, 1);
        assert_eq!(fixture.uses(&row).await, uses(1, 1, 0));
    }
}

async fn p4_r13_who_was_erased_since_the_look_up_takes_a_use_of_their_own(store: Arc<Store>) {
    // Given a person who comes back, was looked up while one of their uses was spent, and was erased since.
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(2)).await;
    for number in [1, 2] {
        let mut again = fixture.wanted(&row, "ann", None);
        again.attempt.facts.has_use = true;
        // When they redeem alone, or are among others.
        let others = (number == 2).then(|| fixture.wanted(&row, "bob", None));
        let wanted: Vec<_> = others.into_iter().chain([again]).collect();
        let reserved = fixture.reserve(&wanted).await.unwrap();
        // Then they take a use, as a new person.
        match reserved.last() {
            Some(Reserved::New(new)) if number == 1 => assert!(new.holds_use),
            Some(Reserved::Attached(living)) => assert!(living.holds_use),
            other => panic!("{other:?}"),
        }
        assert_eq!(fixture.uses(&row).await, uses(0, number, 0));
    }
}

async fn p4_u8_a_reset_counts_every_person_anew(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let mut row = fixture.invitation(Some(1)).await;
    fixture.redeem(&row, "ann", ADMITTED).await;
    // A switch-off ends an epoch but not the count; a reset ends both.
    for (since, holds_use) in [(row.uses_since_epoch, false), (Epoch::new(3), true)] {
        row.invitation.epoch = row.invitation.epoch.next();
        row.uses_since_epoch = since;
        fixture.update(&mut row).await;
        let again = fixture.redeem(&row, "ann", ADMITTED).await;
        assert_eq!(again.holds_use, holds_use, "since {since:?}");
        assert_eq!(fixture.uses(&row).await, uses(1, 0, 0), "since {since:?}");
    }
}

async fn p9_a_request_that_is_known_by_now_is_named_before_anything_refuses_it(store: Arc<Store>) {
    // Given a request whose first attempt took the last use,
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(1)).await;
    let first = fixture.reserve_one(&row, "ann", Some(1)).await;
    assert_eq!(fixture.answer(&first, MembershipAnswer::Admitted).await, 1);
    // when a second attempt of it, which does not know of the first, comes alone: after the use is gone, and after the
    // secret was reset since its look-up
    let hedged = fixture.wanted(&row, "ann", Some(1));
    let mut after_a_reset = fixture.wanted(&row, "ann", Some(1));
    after_a_reset.matched.lookup_macs = vec![[7; 32]];
    for hedged in [hedged, after_a_reset] {
        // then it gets the first one's redemption.
        let reserved = fixture.reserve(&[hedged]).await.unwrap();
        assert!(matches!(&reserved[0], Reserved::Named(named) if named.id == first.id));
    }
}

async fn p4_no_more_uses_are_taken_than_there_are(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(2)).await;
    let wanted: Vec<Wanted> = ["ann", "ann", "bob", "cid"]
        .map(|name| fixture.wanted(&row, name, None))
        .into();
    let reserved = fixture.reserve(&wanted).await.unwrap();
    assert!(matches!(reserved[0], Reserved::New(_)));
    assert!(matches!(reserved[1], Reserved::Attached(_)));
    assert!(matches!(reserved[2], Reserved::New(_)));
    assert_eq!(reserved[3], Reserved::Refused(ErrorReason::UseInProgress));
    assert_eq!(fixture.uses(&row).await, uses(0, 2, 0));
}

async fn p4_a_count_is_never_raised_above_max_uses(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(2)).await;
    let mut repository = fixture.store.write().await.unwrap();
    for (reserved, committed, whole) in [(3, 0, false), (2, 0, true), (1, 0, false), (-1, 1, true)]
    {
        let change = UsesChange {
            reserved,
            queued: 0,
            committed,
        };
        let changes = [(row.invitation.id, change)];
        let written = repository.write_reservations(&[], &[], &changes, start());
        assert_eq!(written.await.unwrap(), whole, "{reserved}, {committed}");
    }
    repository.commit("test").await.unwrap();
    assert_eq!(fixture.uses(&row).await, uses(1, 1, 0));
}

async fn p4_concurrent_reservations_take_the_last_use_once(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(Some(1)).await;
    let reservations = join_all((0..20).map(|number| {
        let wanted = [fixture.wanted(&row, &format!("user-{number}"), None)];
        let fixture = &fixture;
        async move { fixture.reserve(&wanted).await.unwrap().remove(0) }
    }))
    .await;
    let taken = reservations.iter();
    let taken = taken.filter(|reserved| matches!(reserved, Reserved::New(_)));
    assert_eq!(taken.count(), 1);
    assert_eq!(fixture.uses(&row).await, uses(0, 1, 0));
}

async fn p1_p5_p9_the_first_settlement_and_the_first_outcome_stay(store: Arc<Store>) {
    use RedemptionState::{Committed, Refused, Released};
    let stale = MembershipReply::Answer(MembershipAnswer::StaleEpoch);
    let [approved, denied] = [RequestEnd::Approved, RequestEnd::Denied].map(MembershipReply::End);
    let (waits, no_seats) = (
        Outcome::PendingApproval,
        Outcome::Refused(ErrorReason::NoSeats),
    );
    for (replies, moved, state, outcome, used) in [
        // What comes late overwrites nothing.
        (
            vec![&[ADMITTED][..], &[NO_SEATS], &[stale], &[denied]],
            1,
            Committed,
            Outcome::Admitted,
            1,
        ),
        // A request may end before T3, or with it.
        (vec![&[approved][..], &[QUEUED]], 1, Committed, waits, 1),
        (vec![&[QUEUED, denied][..]], 1, Released, waits, 0),
        (vec![&[QUEUED][..], &[approved]], 2, Committed, waits, 1),
        (vec![&[NO_SEATS][..]], 1, Refused, no_seats, 0),
    ] {
        let fixture = Fixture::new(Arc::clone(&store));
        let row = fixture.invitation(Some(1)).await;
        let redemption = fixture.reserve_one(&row, "ann", None).await;
        let mut moves = 0;
        for replies in &replies {
            moves += fixture.settle(&redemption, replies).await;
        }
        assert_eq!(moves, moved, "{replies:?}");
        let stored = fixture.read(redemption.id).await;
        assert_eq!((stored.state, stored.outcome), (state, Some(outcome)));
        assert_eq!(stored.settle_time, Some(start() + TimeDelta::seconds(1)));
        assert_eq!(fixture.uses(&row).await, uses(used, 0, 0), "{replies:?}");
    }
}

async fn p7_uses_of_an_older_epoch_are_not_counted(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let mut row = fixture.invitation(Some(1)).await;
    let old = fixture.reserve_one(&row, "ann", None).await;
    row.invitation.epoch = row.invitation.epoch.next();
    row.uses_since_epoch = row.invitation.epoch;
    fixture.update(&mut row).await;
    assert_eq!(fixture.uses(&row).await, uses(0, 0, 0));
    let new = fixture.reserve_one(&row, "ann", None).await;
    fixture.answer(&old, MembershipAnswer::StaleEpoch).await;
    assert_eq!(fixture.uses(&row).await, uses(0, 1, 0));
    fixture.answer(&new, MembershipAnswer::Admitted).await;
    assert_eq!(fixture.uses(&row).await, uses(1, 0, 0));
}

async fn p7_a_secret_that_was_reset_after_the_look_up_is_seen(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(None).await;
    let mut wanted = fixture.wanted(&row, "ann", None);
    wanted.matched.lookup_macs = vec![[0; 32]];
    let reserved = fixture.reserve(&[wanted]).await;
    assert_eq!(reserved.unwrap(), [Reserved::Changed]);
}

async fn p9_request_ids_are_noted_once_and_re_pointed_from_the_stale(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(None).await;
    let redemption = fixture.reserve_one(&row, "ann", Some(1)).await;
    let request = fixture.request("ann", 1, b"body");
    let other_body = fixture.request("ann", 1, b"another");
    let unknown = fixture.request("ann", 2, b"body");
    let mut repository = fixture.store.write().await.unwrap();
    let asked = [&unknown, &request, &other_body];
    let first = Resolved::Names(Box::new(redemption.clone()));
    let expected = [Resolved::Unknown, first, Resolved::Conflict];
    assert_eq!(known(&mut repository, &asked, start()).await, expected);
    let elsewhere = [(&request, Uuid::from_u128(9))];
    let noted = repository.insert_redemption_requests(&elsewhere, start());
    assert_eq!(noted.await.unwrap(), 0);
    repository.rollback().await;

    fixture
        .answer(&redemption, MembershipAnswer::StaleEpoch)
        .await;
    let again = fixture.reserve_one(&row, "ann", Some(1)).await;
    let mut repository = fixture.store.write().await.unwrap();
    let again = [Resolved::Names(Box::new(again))];
    assert_eq!(known(&mut repository, &[&request], start()).await, again);
    // The ids are forgotten after 24 hours, then claimed anew or pruned.
    let later = start() + TimeDelta::hours(24) + TimeDelta::microseconds(1);
    let forgotten = known(&mut repository, &[&request], later).await;
    assert_eq!(forgotten, [Resolved::Unknown]);
    let noted = repository.insert_redemption_requests(&elsewhere, later);
    assert_eq!(noted.await.unwrap(), 1);
    for (before, pruned) in [(later, 0), (later + TimeDelta::microseconds(1), 1)] {
        let count = repository.prune_redemption_requests(before, 10).await;
        assert_eq!(count.unwrap(), pruned);
    }
    repository.rollback().await;
}

/// Returns what these requests are known as.
async fn known(
    repository: &mut Repository,
    requests: &[&RedemptionRequest],
    at: DateTime<Utc>,
) -> Vec<Resolved> {
    repository.standing(requests, &[], at).await.unwrap().0
}

async fn p13_due_redemptions_are_taken_by_one_and_leased(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(None).await;
    for name in ["ann", "bob", "cid"] {
        fixture.reserve_one(&row, name, None).await;
    }
    let due = start() + TimeDelta::seconds(5);
    let lease = due + TimeDelta::seconds(5);
    let mut first = fixture.store.write().await.unwrap();
    let early = due - TimeDelta::microseconds(1);
    let state = RedemptionState::Reserved;
    assert!(!first.is_any_due(state, early).await.unwrap());
    assert!(first.is_any_due(state, due).await.unwrap());
    assert_eq!(first.take_due(state, early, lease, 10).await.unwrap(), []);
    let taken = first.take_due(state, due, lease, 2).await.unwrap();
    assert_eq!(taken.len(), 2);
    for one in &taken {
        assert_eq!((one.tries, one.next_try_time), (1, lease));
    }
    first.commit("test").await.unwrap();
    let mut second = fixture.store.write().await.unwrap();
    let rest = second.take_due(state, due, lease, 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert!(taken.iter().all(|taken| taken.id != rest[0].id));
    let queued = second.take_due(RedemptionState::Queued, lease, lease, 10);
    assert_eq!(queued.await.unwrap(), []);
    second.commit("test").await.unwrap();
}

/// Checks a next try that was set by a clock that was ahead and has been set back.
async fn p13_a_try_farther_ahead_than_any_is_due(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(None).await;
    let redemption = fixture.reserve_one(&row, "ann", None).await;
    let mut repository = fixture.store.write().await.unwrap();
    let state = RedemptionState::Reserved;
    let farthest = start() + TimeDelta::seconds(state.try_ahead_seconds_max());
    let lease = start() + TimeDelta::seconds(5);
    for (next_try, due) in [(farthest, 0), (farthest + TimeDelta::microseconds(1), 1)] {
        let times = [(redemption.id, next_try)];
        repository.set_next_tries(&times).await.unwrap();
        let any = repository.is_any_due(state, start()).await.unwrap();
        assert_eq!(any, due > 0, "{next_try}");
        let taken = repository.take_due(state, start(), lease, 10).await;
        assert_eq!(taken.unwrap().len(), due, "{next_try}");
    }
    repository.commit("test").await.unwrap();
}

async fn p13_stuck_redemptions_are_counted_and_hastened(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(None).await;
    let redemption = fixture.reserve_one(&row, "ann", None).await;
    fixture.reserve_one(&row, "bob", None).await;
    let mut repository = fixture.store.write().await.unwrap();
    let far = start() + TimeDelta::seconds(60);
    assert_eq!(repository.hasten_tries(start()).await.unwrap(), 0);
    let taken = repository.take_due(RedemptionState::Reserved, far, far, 1);
    assert_eq!(taken.await.unwrap().len(), 1);
    let times = [(redemption.id, far)];
    repository.set_next_tries(&times).await.unwrap();
    assert_eq!(repository.count_stuck(1).await.unwrap(), 1);
    assert_eq!(repository.count_stuck(2).await.unwrap(), 0);
    assert_eq!(repository.hasten_tries(start()).await.unwrap(), 1);
    repository.commit("test").await.unwrap();
}

async fn what_is_stored_is_read_again(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let mut row = fixture.invitation(Some(0)).await;
    let only_if_known = fixture.reserve_one(&row, "ann", None).await;
    assert!(!only_if_known.holds_use);
    row.invitation.max_uses = None;
    assert_eq!(fixture.read(only_if_known.id).await, only_if_known);
    let mut queued = only_if_known.clone();
    queued.id = Uuid::from_u128(3);
    queued.person.user = user("bob");
    queued.route = Route::Queue(domain::decide::QueueCause::JoinUrl);
    queued.state = RedemptionState::Released;
    queued.outcome = Some(Outcome::AlreadyMember);
    "a/b".clone_into(&mut queued.join_request);
    queued.allow_rejoin = true;
    queued.holds_use = true;
    queued.settle_time = Some(start());
    queued.place = homeroom_api::names::Place::Organization(organization());
    let mut repository = fixture.store.write().await.unwrap();
    let queued_only = std::slice::from_ref(&queued);
    let whole = repository.write_reservations(queued_only, &[], &[], start());
    assert!(whole.await.unwrap());
    repository.commit("test").await.unwrap();
    assert_eq!(fixture.read(queued.id).await, queued);
}

async fn look_ups_find_many_by_their_macs_in_one_statement(store: Arc<Store>) {
    let fixture = Fixture::new(store);
    let row = fixture.invitation(None).await;
    let secret = row.secret.clone().unwrap();
    let mac: [u8; 32] = secret.lookup_mac.try_into().unwrap();
    let folded: [u8; 32] = secret.folded_mac.unwrap().try_into().unwrap();
    let mut repository = fixture.store.read().await.unwrap();
    let macs = [[1; 32], mac, [2; 32]];
    let found = repository.find_all_by_lookup_macs(&macs).await.unwrap();
    assert_eq!(found, [row]);
    let exactly = |mac: [u8; 32]| LookUp {
        macs: vec![mac],
        folded_macs: Vec::new(),
    };
    let look_ups = [exactly([1; 32]), exactly(mac)];
    let living = repository.find_living(&look_ups, None).await;
    assert_eq!(living.unwrap(), [(1, found[0].clone(), false)]);
    // It is found by its folded form, but not if another code has exactly that form.
    let alike = |mac: [u8; 32]| LookUp {
        macs: vec![mac],
        folded_macs: vec![folded],
    };
    let look_ups = [alike([1; 32]), exactly([2; 32]), alike(mac)];
    let mut living = repository.find_living(&look_ups, None).await.unwrap();
    living.sort_by_key(|(index, _, _)| *index);
    let expected = [0, 2].map(|index| (index, found[0].clone(), false));
    assert_eq!(living, expected);
    let nothing = repository.find_all_by_lookup_macs(&[[1; 32]]).await;
    assert_eq!(nothing.unwrap(), []);
}

async fn profiles_are_found_by_organization_and_by_prefix(store: Arc<Store>) {
    let profile = homeroom_invitations::store::OrganizationProfile {
        organization: organization(),
        code_prefix: "HAMILTON".to_owned(),
        display_name: "Hamilton".to_owned(),
        seat_limit: 9,
    };
    let mut repository = store.write().await.unwrap();
    repository.save_profile(&profile, start()).await.unwrap();
    let both = repository
        .find_profiles(&[organization()], &["HAMILTON".to_owned()])
        .await;
    assert_eq!(both.unwrap(), std::slice::from_ref(&profile));
    let prefixes = ["HA".to_owned(), "HAMILTON".to_owned()];
    let found = repository.find_profiles(&[], &prefixes).await;
    assert_eq!(found.unwrap(), [profile]);
    for (prefix, count) in [("HA", 0), ("HAM1LT0N", 1), ("HAMlLTON", 0), ("HAMLLTON", 1)] {
        let found = repository.find_profiles(&[], &[prefix.to_owned()]).await;
        assert_eq!(found.unwrap().len(), count, "{prefix}");
    }
    repository.rollback().await;
}

async fn p5_a_feed_moves_on_from_where_it_stood(store: Arc<Store>) {
    let feed = "membership";
    let mut repository = store.write().await.unwrap();
    assert_eq!(repository.get_feed_position(feed).await.unwrap(), None);
    for (from, to, moves) in [
        (None, "one", true),
        (None, "two", false),
        (Some("two"), "three", false),
        (Some("one"), "two", true),
    ] {
        let moved = repository.move_feed_position(feed, from, to, start()).await;
        assert_eq!(moved.unwrap(), moves, "from {from:?} to {to}");
    }
    let position = repository.get_feed_position(feed).await.unwrap();
    assert_eq!(position.as_deref(), Some("two"));
    let skipped = SkippedEvent {
        event_id: "1".to_owned(),
        event_type: "join_request.denied".to_owned(),
        subject: "x".to_owned(),
        cause: "it names no redemption".to_owned(),
    };
    for _ in 0..2 {
        let recorded = repository.record_skipped_event(feed, &skipped, start());
        recorded.await.unwrap();
    }
    assert_eq!(repository.count_skipped_events(feed).await.unwrap(), 1);
    let key = UseKey {
        invitation_id: Uuid::from_u128(1),
        user: user("ann"),
    };
    let (_, living) = repository.standing(&[], &[key], start()).await.unwrap();
    assert_eq!(living, []);
    repository.rollback().await;
}
