//! Runs each wrong variant, and the right protocol, under the one fault that reveals the variant:
//! the auditor finds violations in the first and none in the second.

use chrono::TimeDelta;
use homeroom_api::invitations::v1::{EnrollmentCode, RedeemResponse};
use homeroom_audit::{Invariant, Options, audit};
use homeroom_kit::failpoints::{WrongVariant, disarm, hits, set_wrong_variant};
use homeroom_tests::{Engine, Homeroom, School, reason};
use serde_json::json;
use tokio::{sync::Mutex, task::JoinHandle};
use tonic::Status;

#[path = "../src/command.rs"]
mod command;

use command::command;

/// Failpoints and variants belong to the process, so one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Both services, with a protocol that may be wrong.
struct Stage {
    homeroom: Homeroom,
    school: School,
}

impl Stage {
    async fn of(variant: Option<WrongVariant>, seat_limit: i64) -> Self {
        disarm();
        set_wrong_variant(variant);
        let homeroom = Homeroom::start(Engine::Sqlite).await;
        let school = homeroom.school_named("hamilton", seat_limit).await;
        Self { homeroom, school }
    }

    /// Redeems in a task, and returns once it has reached `point`.
    async fn redeem_up_to(
        &self,
        user: &str,
        credential: &str,
        point: &str,
    ) -> JoinHandle<Result<RedeemResponse, Status>> {
        let before = reached(point);
        let (caller, credential) = (self.homeroom.user(user), credential.to_owned());
        let redeeming = tokio::spawn(async move { caller.redeem(&credential).await });
        let arrived = async || reached(point) > before;
        self.homeroom.eventually(point, arrived).await;
        redeeming
    }

    /// Holds the first redemption at `point` until the second has reached `met`, then releases
    /// both: the first succeeds, and the second if `both` is true.
    async fn two_meet(&self, code: &str, point: &str, met: &str, both: bool) {
        command(&format!("arm {point} hold")).unwrap();
        let first = self.redeem_up_to("ann", code, point).await;
        let second = self.redeem_up_to("ben", code, met).await;
        assert!(!first.is_finished() && !second.is_finished());
        disarm();
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert!(first.is_ok(), "{first:?}");
        assert_eq!(second.is_ok(), both, "{second:?}");
    }

    /// Lets everything settle, and returns the invariants that the auditor finds broken. Waits for
    /// the rest of the feed, unless a violation is `expected`.
    async fn broken(self, expected: Option<Invariant>) -> Vec<Invariant> {
        disarm();
        let Self { homeroom, .. } = self;
        let mut broken = Vec::new();
        homeroom
            .eventually("everything is settled", async || {
                homeroom.advance(TimeDelta::seconds(2));
                let databases = homeroom.databases();
                let options = Options {
                    quiescent: true,
                    ..Options::at(homeroom.now())
                };
                let report = audit(&databases.membership, &databases.invitations, &options).await;
                broken = report.unwrap().broken();
                let settled = databases.reserved_redemptions().await == 0;
                settled && expected.map_or(broken.is_empty(), |expected| broken.contains(&expected))
            })
            .await;
        homeroom.stop().await;
        set_wrong_variant(None);
        broken
    }
}

/// Returns how often the point was reached so far.
fn reached(point: &str) -> u64 {
    hits().get(point).copied().unwrap_or(0)
}

/// Membership admits, and its answer is lost.
async fn an_answer_is_lost(variant: Option<WrongVariant>) -> Stage {
    let stage = Stage::of(variant, 0).await;
    let code = stage.school.class_code().await.code;
    command("arm invitations.BatchAdmit.answered fail").unwrap();
    let lost = stage.homeroom.user("ann").redeem(&code).await.unwrap_err();
    assert_eq!(reason(&lost), "MEMBERSHIP_UNAVAILABLE");
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_a_use_released_on_timeout_is_found() {
    let _alone = ALONE.lock().await;
    let wrong = an_answer_is_lost(Some(WrongVariant::ReleaseOnTimeout)).await;
    wrong.broken(Some(Invariant::I7)).await;
    an_answer_is_lost(None).await.broken(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_admissions_without_a_key_are_found() {
    let _alone = ALONE.lock().await;
    let wrong = an_answer_is_lost(Some(WrongVariant::NoAdmissionKey)).await;
    wrong.broken(Some(Invariant::I7)).await;
}

/// A code is reset while a redemption is under way, which continues once the reset is answered.
async fn a_code_is_reset_under_way(variant: Option<WrongVariant>) -> Stage {
    let stage = Stage::of(variant, 0).await;
    let code = stage.school.class_code().await.code;
    command("arm invitations.BatchAdmit.sending fail").unwrap();
    let lost = stage.homeroom.user("ann").redeem(&code).await.unwrap_err();
    assert_eq!(reason(&lost), "MEMBERSHIP_UNAVAILABLE");
    let name = json!({"name": format!("{}/classCode", stage.school.class)});
    let teacher = &stage.school.teacher;
    teacher.done("ClassCodeService.ResetClassCode", name).await;
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_an_admission_below_a_fence_is_found() {
    let _alone = ALONE.lock().await;
    let wrong = a_code_is_reset_under_way(Some(WrongVariant::NoFence)).await;
    wrong.broken(Some(Invariant::I5)).await;
    a_code_is_reset_under_way(None).await.broken(None).await;
}

/// Two students compete for the last seat: the second arrives while the first one's T2 is about to
/// commit.
async fn two_come_for_a_seat(variant: Option<WrongVariant>) -> Stage {
    let stage = Stage::of(variant, 1).await;
    let code = stage.school.class_code().await.code;
    let met = match variant {
        Some(_) => "membership.admit.looked",
        None => "membership.BatchAdmit.received",
    };
    let point = "membership.admit.before_commit";
    stage.two_meet(&code, point, met, variant.is_some()).await;
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_seats_judged_before_the_lock_are_found() {
    let _alone = ALONE.lock().await;
    let wrong = two_come_for_a_seat(Some(WrongVariant::CheckThenAct)).await;
    wrong.broken(Some(Invariant::I1)).await;
    two_come_for_a_seat(None).await.broken(None).await;
}

/// Two students compete for the last use: the second arrives while the first one's T1 is about to
/// commit.
async fn two_come_for_a_use(variant: Option<WrongVariant>) -> Stage {
    let stage = Stage::of(variant, 0).await;
    let code = EnrollmentCode {
        code: "violet-harbour-27".to_owned(),
        max_uses: Some(1),
        ..Default::default()
    };
    let code = stage.school.enrollment_code(code).await.full_code;
    let met = match variant {
        Some(_) => "invitations.reserve.looked",
        None => "invitations.Redeem.received",
    };
    let point = "invitations.reserve.before_commit";
    stage.two_meet(&code, point, met, variant.is_some()).await;
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_uses_judged_before_the_lock_are_found() {
    let _alone = ALONE.lock().await;
    let wrong = two_come_for_a_use(Some(WrongVariant::CheckThenAct)).await;
    wrong.broken(Some(Invariant::I3)).await;
    two_come_for_a_use(None).await.broken(None).await;
}

/// A request is denied, and the feed reports it, before T3 records that it was filed.
async fn t3_comes_late(variant: Option<WrongVariant>) -> Stage {
    let stage = Stage::of(variant, 0).await;
    let url = stage.school.join_url().await.url;
    let point = "invitations.settle.before_begin";
    command(&format!("arm {point} hold")).unwrap();
    let settled = || reached("invitations.settle.after_commit");
    let before = settled();
    let ann = stage.homeroom.user("ann");
    let redeem = json!({"credential": url});
    let queued = ann.done("RedemptionService.Redeem", redeem).await;
    let (deny, list) = (
        json!({"name": queued["joinRequest"]["name"]}),
        json!({"parent": stage.school.organization}),
    );
    let admin = &stage.school.admin;
    admin.done("JoinRequestService.DenyJoinRequest", deny).await;
    let released = async || {
        let listed = admin.done("RedemptionService.ListRedemptions", list.clone());
        let states = listed.await["redemptions"].clone();
        states[1].is_null() && states[0]["state"] == "RELEASED"
    };
    stage.homeroom.eventually("the feed tells", released).await;
    assert_eq!(settled(), before, "T3 came before the feed");
    disarm();
    let late = async || settled() > before;
    stage.homeroom.eventually("T3 comes late", late).await;
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t3_that_overwrites_a_settled_redemption_is_found() {
    let _alone = ALONE.lock().await;
    let wrong = t3_comes_late(Some(WrongVariant::SettleOverwrites)).await;
    wrong.broken(Some(Invariant::I4)).await;
    t3_comes_late(None).await.broken(None).await;
}
