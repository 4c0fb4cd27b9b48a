//! The real services in operation, audited meanwhile and afterwards.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::Role,
    invitations::v1::{
        GetClassCodeRequest, GetJoinUrlRequest, RedeemRequest, ResetClassCodeRequest,
        class_code_service_client::ClassCodeServiceClient,
        join_url_service_client::JoinUrlServiceClient, redeem_response,
        redemption_service_client::RedemptionServiceClient,
    },
    membership::v1::{
        AddOrganizationMemberRequest, ApproveJoinRequestRequest, CreateClassRequest,
        CreateOrganizationRequest, DenyJoinRequestRequest, Member, Organization,
        class_service_client::ClassServiceClient,
        join_request_service_client::JoinRequestServiceClient,
        member_service_client::MemberServiceClient,
        organization_service_client::OrganizationServiceClient,
    },
};
use homeroom_audit::{Options, audit};
use homeroom_kit::{
    auth::{Claims, Scopes, Signer, Verifier},
    clock::{Clock as _, SharedClock, SystemClock},
    keys::KeyRing,
    random::{SharedRandomness, SystemRandomness},
    shutdown::Shutdown,
};
use tonic::{Request, transport::Channel};

use crate::databases::{Databases, Engine, In};

const ISSUER: &str = "https://platform.example";
const AUDIENCE: &str = "homeroom";
/// The number of students who redeem at the same time.
const CROWD: usize = 30;
/// The longest time that the services may take to settle everything.
const SETTLING_MAX: Duration = Duration::from_mins(1);

struct Running {
    signer: Arc<Signer>,
    membership: Channel,
    invitations: Channel,
    shutdown: Shutdown,
    services: (homeroom_membership::Service, homeroom_invitations::Service),
}

impl Running {
    async fn start(databases: &Databases) -> Self {
        let clock: SharedClock = Arc::new(SystemClock);
        let random: SharedRandomness = Arc::new(SystemRandomness);
        let signer = Arc::new(Signer::generate(&*random).unwrap());
        let own_signer = Arc::new(Signer::generate(&*random).unwrap());
        let keys = signer.keys(None).unwrap().merge(
            own_signer
                .keys(Some(Scopes::parse("homeroom.admit")))
                .unwrap(),
        );
        let verifier = Arc::new(Verifier::new(keys, ISSUER, AUDIENCE, clock.clone()));
        let ring = || Arc::new(KeyRing::generate(&SystemRandomness).unwrap());
        let shutdown = Shutdown::new();
        let membership = homeroom_membership::start(
            homeroom_membership::Config::local(
                databases.url(In::Membership),
                verifier.clone(),
                ring(),
            ),
            homeroom_membership::Dependencies {
                clock: clock.clone(),
                random: random.clone(),
            },
            shutdown.clone(),
        )
        .await
        .unwrap();
        let service =
            homeroom_membership::Config::local(databases.url(In::Invitations), verifier, ring());
        let address = format!("http://{}", membership.address());
        let invitations = homeroom_invitations::start(
            homeroom_invitations::Config::local(service, address, own_signer),
            homeroom_invitations::Dependencies { clock, random },
            shutdown.clone(),
        )
        .await
        .unwrap();
        let channel = |address| {
            Channel::from_shared(format!("http://{address}"))
                .unwrap()
                .connect_lazy()
        };
        Self {
            signer,
            membership: channel(membership.address()),
            invitations: channel(invitations.address()),
            shutdown,
            services: (membership, invitations),
        }
    }

    /// Returns the request as sent by this user.
    fn by<M>(&self, user: &str, message: M) -> Request<M> {
        let now = SystemClock.now();
        let claims = Claims::new(ISSUER, AUDIENCE, user, now, TimeDelta::hours(1));
        let scopes = if user == "platform" {
            "homeroom.platform"
        } else {
            ""
        };
        let token = self.signer.sign(&claims.with_scopes(Scopes::parse(scopes)));
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", token.unwrap().expose());
        request
            .metadata_mut()
            .insert("authorization", bearer.parse().unwrap());
        request
    }

    /// Redeems as the student; returns the join request's name, or an empty text.
    async fn redeem(&self, user: &str, credential: &str) -> Result<String, tonic::Status> {
        let request = RedeemRequest {
            credential: credential.to_owned(),
            ..RedeemRequest::default()
        };
        let redeemed = RedemptionServiceClient::new(self.invitations.clone())
            .redeem(self.by(user, request))
            .await?
            .into_inner();
        Ok(match redeemed.result {
            Some(redeem_response::Result::JoinRequest(request)) => request.name,
            _ => String::new(),
        })
    }

    /// Creates a school of 20 seats with the class `biology`.
    async fn make_school(&self) {
        let request = CreateOrganizationRequest {
            organization_id: "hamilton".to_owned(),
            organization: Some(Organization {
                display_name: "Hamilton".to_owned(),
                seat_limit: 20,
                ..Organization::default()
            }),
            admin: "ada".to_owned(),
            ..CreateOrganizationRequest::default()
        };
        OrganizationServiceClient::new(self.membership.clone())
            .create_organization(self.by("platform", request))
            .await
            .unwrap();
        let request = AddOrganizationMemberRequest {
            parent: "organizations/hamilton".to_owned(),
            member: Some(Member {
                user: "tim".to_owned(),
                role: Role::Teacher.into(),
                ..Member::default()
            }),
            ..AddOrganizationMemberRequest::default()
        };
        MemberServiceClient::new(self.membership.clone())
            .add_organization_member(self.by("ada", request))
            .await
            .unwrap();
        let request = CreateClassRequest {
            parent: "organizations/hamilton".to_owned(),
            class_id: "biology".to_owned(),
            class: Some(homeroom_api::membership::v1::Class {
                display_name: "Biology".to_owned(),
                ..Default::default()
            }),
            ..CreateClassRequest::default()
        };
        ClassServiceClient::new(self.membership.clone())
            .create_class(self.by("tim", request))
            .await
            .unwrap();
    }

    async fn class_code(&self) -> String {
        let request = GetClassCodeRequest {
            name: "organizations/hamilton/classes/biology/classCode".to_owned(),
        };
        let code = ClassCodeServiceClient::new(self.invitations.clone())
            .get_class_code(self.by("tim", request))
            .await;
        code.unwrap().into_inner().code
    }

    async fn join_url(&self) -> String {
        let request = GetJoinUrlRequest {
            name: "organizations/hamilton/classes/biology/joinUrl".to_owned(),
        };
        let url = JoinUrlServiceClient::new(self.invitations.clone())
            .get_join_url(self.by("tim", request))
            .await;
        url.unwrap().into_inner().url
    }

    async fn reset_class_code(&self) {
        let request = ResetClassCodeRequest {
            name: "organizations/hamilton/classes/biology/classCode".to_owned(),
            ..ResetClassCodeRequest::default()
        };
        ClassCodeServiceClient::new(self.invitations.clone())
            .reset_class_code(self.by("tim", request))
            .await
            .unwrap();
    }

    /// Redeems as all students at once, while the code is reset; returns the number of those admitted.
    async fn crowd(&self, code: &str) -> usize {
        let students = (0..CROWD).map(|number| async move {
            let student = format!("student-{number}");
            self.redeem(&student, code).await.is_ok()
        });
        let students = futures::future::join_all(students);
        let (admitted, ()) = tokio::join!(students, self.reset_class_code());
        admitted.into_iter().filter(|admitted| *admitted).count()
    }

    async fn decide(&self, join_request: &str, approved: bool) {
        let mut client = JoinRequestServiceClient::new(self.membership.clone());
        let name = join_request.to_owned();
        if approved {
            let request = ApproveJoinRequestRequest {
                name,
                ..ApproveJoinRequestRequest::default()
            };
            client
                .approve_join_request(self.by("tim", request))
                .await
                .unwrap();
        } else {
            let request = DenyJoinRequestRequest {
                name,
                ..DenyJoinRequestRequest::default()
            };
            client
                .deny_join_request(self.by("tim", request))
                .await
                .unwrap();
        }
    }
}

async fn the_services_audit_clean_meanwhile_and_afterwards(engine: Engine) {
    let databases = Databases::create(engine).await;
    let running = Running::start(&databases).await;
    running.make_school().await;
    let membership = databases.url(In::Membership);
    let invitations = databases.url(In::Invitations);
    let live = || async {
        let options = Options::at(SystemClock.now());
        let report = audit(&membership, &invitations, &options).await.unwrap();
        assert_eq!(report.broken(), [], "{:#}", report.to_json());
    };

    // More students than seats redeem while the code is reset, and the audit runs all the while.
    let code = running.class_code().await;
    let url = running.join_url().await;
    let admitted = {
        let mut crowd = std::pin::pin!(running.crowd(&code));
        loop {
            tokio::select! {
                biased;
                () = live() => {}
                admitted = &mut crowd => break admitted,
            }
        }
    };
    assert!(admitted <= 20, "{admitted}");
    let mut requests = Vec::new();
    for number in 0..3 {
        requests.push(
            running
                .redeem(&format!("asker-{number}"), &url)
                .await
                .unwrap(),
        );
    }
    running.decide(&requests[1], false).await;
    if admitted < 20 {
        running.decide(&requests[0], true).await;
    }
    live().await;

    // Once everything is settled, the strict audit finds nothing.
    let strict = Options {
        quiescent: true,
        ..Options::at(SystemClock.now())
    };
    let settled = async {
        loop {
            let report = audit(&membership, &invitations, &strict).await.unwrap();
            if report.broken().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(SETTLING_MAX, settled).await;
    running.shutdown.begin();
    running.services.1.stopped().await.unwrap();
    running.services.0.stopped().await.unwrap();
    let audited = databases.audit(&["--quiescent"]);
    assert_eq!(audited.status(), 0, "{}", audited.text());
    assert!(in_time.is_ok());
    databases.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_audit_clean_on_sqlite() {
    the_services_audit_clean_meanwhile_and_afterwards(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_audit_clean_on_postgres() {
    the_services_audit_clean_meanwhile_and_afterwards(Engine::Postgres).await;
}
