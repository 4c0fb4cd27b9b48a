//! A running service and callers of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{
    common::v1::{ErrorReason, Role, User},
    membership::v1::{
        AddClassMemberRequest, AddOrganizationMemberRequest, Admission, AdmitRequest, Class,
        CreateClassRequest, CreateOrganizationRequest, GetSeatUsageRequest, JoinRequest, Member,
        Organization, SeatUsage, admission_service_client::AdmissionServiceClient, admit_request,
        class_service_client::ClassServiceClient, event_service_client::EventServiceClient,
        member::provenance::Method, member_service_client::MemberServiceClient,
        organization_service_client::OrganizationServiceClient,
    },
};
use homeroom_kit::{
    Clock as _, Error,
    auth::{Claims, Scope, Scopes, Signer, Verifier},
    clock::{ManualClock, to_timestamp},
    keys::KeyRing,
    random::SystemRandomness,
    shutdown::Shutdown,
};
use homeroom_membership::{Config, Dependencies, Service, start};
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::support::Database;

const ISSUER: &str = "https://platform.example";
const AUDIENCE: &str = "homeroom";
pub(crate) const HAMILTON: &str = "organizations/hamilton";
pub(crate) const BIO: &str = "organizations/hamilton/classes/bio";

/// A running service.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) service: Service,
    shutdown: Shutdown,
    signer: Signer,
    channel: Channel,
}

/// Adds a caller's token to each request.
#[derive(Clone)]
pub(crate) struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = format!("Bearer {}", self.0).parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
}

type Authenticated = InterceptedService<Channel, Bearer>;

/// The clients of one caller.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) organizations: OrganizationServiceClient<Authenticated>,
    pub(crate) classes: ClassServiceClient<Authenticated>,
    pub(crate) members: MemberServiceClient<Authenticated>,
    pub(crate) admissions: AdmissionServiceClient<Authenticated>,
    pub(crate) events: EventServiceClient<Authenticated>,
}

impl World {
    pub(crate) async fn start(database: &Database) -> Self {
        Self::start_with(database, |_| {}).await
    }

    /// Starts the service with settings that differ from the tests' defaults.
    pub(crate) async fn start_with(database: &Database, change: impl FnOnce(&mut Config)) -> Self {
        let start_time: DateTime<Utc> = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let clock = Arc::new(ManualClock::new(start_time));
        let random = Arc::new(SystemRandomness);
        let signer = Signer::generate(random.as_ref()).unwrap();
        let keys = signer.keys(None).unwrap();
        let verifier = Verifier::new(keys, ISSUER, AUDIENCE, clock.clone());
        let ring = KeyRing::generate(random.as_ref()).unwrap();
        let mut config =
            Config::for_tests(database.url.clone(), Arc::new(verifier), Arc::new(ring));
        change(&mut config);
        let dependencies = Dependencies {
            clock: clock.clone(),
            random,
        };
        let shutdown = Shutdown::new();
        let service = start(config, dependencies, shutdown.clone()).await.unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{}", service.address())).unwrap();
        Self {
            clock,
            service,
            shutdown,
            signer,
            channel: endpoint.connect_lazy(),
        }
    }

    pub(crate) async fn end(self) {
        self.shutdown.begin();
        self.service.stopped().await.unwrap();
    }

    pub(crate) fn caller(
        &self,
        user: &str,
        scopes: &[Scope],
        organizations: Option<&[&str]>,
    ) -> Caller {
        let mut claims = Claims::new(
            ISSUER,
            AUDIENCE,
            user,
            self.clock.now(),
            TimeDelta::days(1_000),
        );
        claims.scope = scopes.iter().copied().collect::<Scopes>().to_string();
        claims.organizations =
            organizations.map(|ids| ids.iter().map(ToString::to_string).collect());
        let bearer = Bearer(self.signer.sign(&claims).unwrap().expose().to_owned());
        let channel = InterceptedService::new(self.channel.clone(), bearer);
        Caller {
            organizations: OrganizationServiceClient::new(channel.clone()),
            classes: ClassServiceClient::new(channel.clone()),
            members: MemberServiceClient::new(channel.clone()),
            admissions: AdmissionServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel),
        }
    }

    pub(crate) fn user(&self, user: &str) -> Caller {
        self.caller(user, &[], None)
    }

    pub(crate) fn platform(&self) -> Caller {
        self.caller("platform", &[Scope::Platform], None)
    }

    pub(crate) fn invitations(&self) -> Caller {
        self.caller("invitations", &[Scope::Admit], None)
    }

    /// Creates `hamilton` with the administrator `ada`, the teacher `tess`, and her class `bio`.
    pub(crate) async fn hamilton(&self, seat_limit: i64) {
        create_organization(&mut self.platform(), "hamilton", seat_limit)
            .await
            .unwrap();
        let mut ada = self.user("ada");
        add(&mut ada, HAMILTON, "tess", Role::Teacher)
            .await
            .unwrap();
        create_class(&mut self.user("tess"), "bio", "")
            .await
            .unwrap();
    }

    pub(crate) async fn seats(&self) -> SeatUsage {
        let name = format!("{HAMILTON}/seatUsage");
        let usage = self
            .user("ada")
            .organizations
            .get_seat_usage(GetSeatUsageRequest { name })
            .await;
        usage.unwrap().into_inner()
    }

    /// Admits or queues a person to a place by an enrollment code made an hour ago.
    pub(crate) async fn admit(
        &self,
        parent: &str,
        user: &str,
        route: admit_request::Route,
        redemption: u128,
    ) -> Admission {
        let redemption = uuid::Uuid::from_u128(redemption);
        let issued = self.clock.now() - TimeDelta::hours(1);
        let request = AdmitRequest {
            redemption: format!("{HAMILTON}/redemptions/{redemption}"),
            invitation: format!("{parent}/enrollmentCodes/{}", uuid::Uuid::nil()),
            epoch: 1,
            parent: parent.to_owned(),
            user: Some(User {
                user: user.to_owned(),
                ..User::default()
            }),
            route: route.into(),
            queue_cause: match route {
                admit_request::Route::Queue => {
                    homeroom_api::membership::v1::join_request::Cause::CodeLocked.into()
                }
                _ => 0,
            },
            method: Method::EnrollmentCode.into(),
            invitation_issue_time: Some(to_timestamp(issued)),
            ..AdmitRequest::default()
        };
        let answer = self.invitations().admissions.admit(request).await.unwrap();
        answer.into_inner().admission.unwrap()
    }

    /// Files a join request.
    pub(crate) async fn queue(&self, parent: &str, user: &str, redemption: u128) -> JoinRequest {
        let route = admit_request::Route::Queue;
        let queued = self.admit(parent, user, route, redemption).await;
        queued.join_request.unwrap()
    }

    /// Returns the types of the events so far, oldest first.
    pub(crate) async fn event_types(&self, parent: &str) -> Vec<String> {
        let request = homeroom_api::common::v1::ListEventsRequest {
            parent: parent.to_owned(),
            page_size: 1_000,
            page_token: String::new(),
        };
        let listed = self
            .invitations()
            .events
            .list_events(request)
            .await
            .unwrap();
        let events = listed.into_inner().events;
        events.into_iter().map(|event| event.r#type).collect()
    }
}

pub(crate) async fn create_organization(
    caller: &mut Caller,
    id: &str,
    seat_limit: i64,
) -> Result<Organization, ErrorReason> {
    let request = CreateOrganizationRequest {
        organization_id: id.to_owned(),
        organization: Some(Organization {
            display_name: format!("The {id} school"),
            seat_limit,
            ..Organization::default()
        }),
        admin: "ada".to_owned(),
        request_id: String::new(),
    };
    answer(caller.organizations.create_organization(request).await)
}

pub(crate) async fn create_class(
    caller: &mut Caller,
    id: &str,
    owner: &str,
) -> Result<Class, ErrorReason> {
    let request = CreateClassRequest {
        parent: HAMILTON.to_owned(),
        class_id: id.to_owned(),
        class: Some(Class {
            display_name: "Biology".to_owned(),
            owner: owner.to_owned(),
            ..Class::default()
        }),
        request_id: String::new(),
    };
    answer(caller.classes.create_class(request).await)
}

/// Adds a member to an organization or a class.
pub(crate) async fn add(
    caller: &mut Caller,
    parent: &str,
    user: &str,
    role: Role,
) -> Result<Member, ErrorReason> {
    let member = Some(Member {
        user: user.to_owned(),
        role: role.into(),
        email: format!("{user}@School.example"),
        ..Member::default()
    });
    let (parent, request_id) = (parent.to_owned(), String::new());
    if parent.contains("/classes/") {
        let request = AddClassMemberRequest {
            parent,
            member,
            request_id,
        };
        return answer(caller.members.add_class_member(request).await);
    }
    let request = AddOrganizationMemberRequest {
        parent,
        member,
        request_id,
    };
    answer(caller.members.add_organization_member(request).await)
}

/// Returns the response, or the reason of the refusal.
pub(crate) fn answer<T>(response: Result<tonic::Response<T>, Status>) -> Result<T, ErrorReason> {
    match response {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => match Error::from_status(&status) {
            Some(error) => Err(error.reason()),
            None => panic!("an answer without a reason: {status:?}"),
        },
    }
}
