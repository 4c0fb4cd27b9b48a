//! A database that takes no writes for a while. Both services say so meanwhile, and serve again by
//! themselves when it is over.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::Role,
    invitations::v1::{RedeemRequest, RedemptionOutcome},
    membership::v1::AddOrganizationMemberRequest,
};
use homeroom_audit::{Options, audit};
use homeroom_faults::surroundings::SmallDisk;
use homeroom_kit::database::Url;
use homeroom_tests::{Homeroom, School, databases::Databases, details, member, probes, reason};
use tonic::{Code, Status};

/// How soon both services serve again once the fault is over.
const BACK_SECONDS: u64 = 5;
/// Writes that may still find room on a full disk.
const WRITES_MAX: usize = 2_000;
/// Writes that must all succeed once the services are back.
const WRITES_AFTER: usize = 20;
const DISK_BYTES: u64 = 32 << 20;

/// Both services, and people who come in.
struct Stage {
    homeroom: Homeroom,
    school: School,
    code: String,
    /// Students and the request ids of those whose redemption was not answered.
    unanswered: BTreeMap<String, String>,
    came: usize,
}

impl Stage {
    async fn on(databases: Databases) -> Self {
        let homeroom = Homeroom::start_on(databases, |_| {}).await;
        let school = homeroom.school().await;
        let code = school.class_code().await.code;
        let mut stage = Self {
            homeroom,
            school,
            code,
            unanswered: BTreeMap::new(),
            came: 0,
        };
        stage.until_ready(true).await;
        stage.add().await.unwrap();
        stage.redeem().await.unwrap();
        stage
    }

    fn next(&mut self) -> String {
        self.came += 1;
        format!("student-{}", self.came)
    }

    /// Has membership write.
    async fn add(&mut self) -> Result<(), Status> {
        let request = AddOrganizationMemberRequest {
            parent: self.school.organization.clone(),
            member: Some(member(&self.next(), Role::Student)),
            ..Default::default()
        };
        let mut members = self.school.admin.members.clone();
        members.add_organization_member(request).await.map(drop)
    }

    /// Has both services write.
    async fn redeem(&mut self) -> Result<(), Status> {
        let (student, request_id) = (self.next(), self.homeroom.new_id().to_string());
        let redeemed = self.redeem_as(&student, &request_id).await;
        if redeemed.is_err() {
            self.unanswered.insert(student, request_id);
        }
        redeemed
    }

    async fn redeem_as(&self, student: &str, request_id: &str) -> Result<(), Status> {
        let request = RedeemRequest {
            credential: self.code.clone(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        let redeemed = self.homeroom.user(student).redeem_with(request).await?;
        assert_eq!(redeemed.outcome(), RedemptionOutcome::Admitted);
        Ok(())
    }

    async fn are_ready(&self) -> [bool; 2] {
        [
            probes::is_ready(self.homeroom.membership_address).await,
            probes::is_ready(self.homeroom.invitations_address).await,
        ]
    }

    async fn until_ready(&self, ready: bool) {
        self.homeroom
            .eventually("both services say whether they are ready", async || {
                self.are_ready().await == [ready; 2]
            })
            .await;
    }

    /// While nothing can be written callers are told so, and nothing definite, and both services are
    /// not ready.
    async fn takes_no_writes(&mut self) {
        let unavailable = |status: &Status, reasons: &[&str]| {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!(reasons.contains(&reason(status).as_str()), "{status:?}");
            assert!(details(status).retry_info().is_some(), "{status:?}");
        };
        let mut writes = 0;
        loop {
            let (added, redeemed) = (self.add().await, self.redeem().await);
            if let Err(failed) = &added {
                unavailable(failed, &["DATABASE_UNAVAILABLE"]);
            }
            if let Err(failed) = &redeemed {
                unavailable(failed, &["DATABASE_UNAVAILABLE", "MEMBERSHIP_UNAVAILABLE"]);
            }
            if added.is_err() && redeemed.is_err() {
                break;
            }
            writes += 1;
            assert!(writes < WRITES_MAX, "everything can be written");
        }
        self.until_ready(false).await;
    }

    /// Both services are back, without a restart, and who was not answered asks again and is let in.
    async fn serves_again(mut self) {
        let ended = Instant::now();
        while !(self.are_ready().await == [true; 2]
            && self.add().await.is_ok()
            && self.redeem().await.is_ok())
        {
            let waited = ended.elapsed();
            assert!(waited < Duration::from_secs(BACK_SECONDS), "{waited:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("back after {:.1?}", ended.elapsed());
        // On every connection that the services have.
        for _ in 0..WRITES_AFTER {
            self.add().await.unwrap();
            self.redeem().await.unwrap();
        }
        for (student, request_id) in std::mem::take(&mut self.unanswered) {
            self.redeem_as(&student, &request_id).await.unwrap();
        }
        self.homeroom
            .eventually("everything is settled", async || {
                self.homeroom.advance(TimeDelta::seconds(2));
                self.homeroom.databases().reserved_redemptions().await == 0
            })
            .await;
        let databases = self.homeroom.databases();
        let options = Options::at(self.homeroom.now());
        let report = audit(&databases.membership, &databases.invitations, &options).await;
        assert_eq!(report.unwrap().broken(), []);
        self.homeroom.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "mounts a file system: as root, with `--include-ignored`"]
async fn a_full_disk_of_sqlite() {
    let disk = SmallDisk::mount(DISK_BYTES).unwrap();
    let url = |name: &str| Url::Sqlite(disk.folder().join(name));
    let databases = Databases::of(url("membership.db"), url("invitations.db"), None);
    let mut stage = Stage::on(databases).await;

    disk.fill();
    stage.takes_no_writes().await;

    disk.free();
    stage.serves_again().await;
}
