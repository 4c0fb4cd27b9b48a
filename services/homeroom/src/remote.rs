//! A running service, called as one caller: once with JSON, or with the types of the contract and with patience.

use std::time::Duration;

use homeroom_api::membership::v1::{
    Class, GetClassRequest, GetOrganizationRequest, ListClassMembersRequest, ListClassesRequest,
    ListOrganizationMembersRequest, Member, Organization, class_service_client::ClassServiceClient,
    member_service_client::MemberServiceClient,
    organization_service_client::OrganizationServiceClient,
    roster_service_client::RosterServiceClient,
};
use homeroom_kit::{
    clock::SystemClock,
    random::{SystemRandomness, new_id},
};
use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

pub(crate) use crate::connect::Service;
use crate::{
    Failure,
    connect::{Credentials, connect},
    connection_arguments::CallerArguments,
    dynamic, refusal,
};

/// The time after which a call is abandoned: that of the services.
const CALL_MAX: Duration = Duration::from_mins(1);
/// The most times that a call is made.
const TRIES_MAX: u32 = 10;
/// The time before the first retry if the answer states none; it doubles each time.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest time before a retry.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The number of items of a page.
const PAGE_SIZE: i32 = 1_000;

/// A service at an address.
pub(crate) struct Remote {
    address: String,
    service: Service,
}

impl Remote {
    pub(crate) async fn connect(
        address: &str,
        caller: &CallerArguments,
        user: Option<&str>,
    ) -> Result<Self, Failure> {
        let credentials = Credentials::new(&caller.token, user)?;
        let channel = connect(address, &caller.tls, CALL_MAX).await?;
        Ok(Self {
            address: address.to_owned(),
            service: Service::new(channel, credentials),
        })
    }

    /// Returns the connection, for a client of the contract.
    pub(crate) fn service(&self) -> Service {
        self.service.clone()
    }

    pub(crate) fn rosters(&self) -> RosterServiceClient<Service> {
        RosterServiceClient::new(self.service())
    }

    pub(crate) fn class_service(&self) -> ClassServiceClient<Service> {
        ClassServiceClient::new(self.service())
    }

    pub(crate) fn member_service(&self) -> MemberServiceClient<Service> {
        MemberServiceClient::new(self.service())
    }

    /// Returns the error that tells a refusal.
    pub(crate) fn refused(&self, status: &Status) -> Failure {
        refusal::told(&self.address, status).into()
    }

    /// Returns the answer of a method as JSON; the error tells the whole refusal.
    pub(crate) async fn answer(
        &self,
        method: &MethodDescriptor,
        request: DynamicMessage,
    ) -> Result<Value, Failure> {
        let answered = dynamic::call(self.service(), method, request).await?;
        answered.map_err(|status| self.refused(&status))
    }

    /// Returns the answer to a request that is safe to repeat; the error tells the whole refusal.
    pub(crate) async fn ask<T>(
        &self,
        call: impl AsyncFnMut() -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let answered = patiently(call).await;
        answered.map_err(|status| self.refused(&status))
    }

    /// Returns the classes of an organization that the filter matches.
    pub(crate) async fn classes(&self, parent: &str, filter: &str) -> Result<Vec<Class>, Failure> {
        self.all(async |page_token| {
            let request = ListClassesRequest {
                parent: parent.to_owned(),
                page_size: PAGE_SIZE,
                filter: filter.to_owned(),
                page_token,
            };
            let page = self.class_service().list_classes(request).await?;
            Ok(page.map(|page| (page.classes, page.next_page_token)))
        })
        .await
    }

    /// Returns a class by its resource name.
    pub(crate) async fn class(&self, name: &str) -> Result<Class, Failure> {
        let request = GetClassRequest {
            name: name.to_owned(),
        };
        let mut client = self.class_service();
        self.ask(async || client.get_class(request.clone()).await)
            .await
    }

    /// Returns an organization by its resource name.
    pub(crate) async fn organization(&self, name: &str) -> Result<Organization, Failure> {
        let request = GetOrganizationRequest {
            name: name.to_owned(),
        };
        let mut client = OrganizationServiceClient::new(self.service());
        self.ask(async || client.get_organization(request.clone()).await)
            .await
    }

    /// Returns the members of a class.
    pub(crate) async fn class_members(&self, parent: &str) -> Result<Vec<Member>, Failure> {
        self.all(async |page_token| {
            let request = ListClassMembersRequest {
                parent: parent.to_owned(),
                page_size: PAGE_SIZE,
                page_token,
                ..Default::default()
            };
            let page = self.member_service().list_class_members(request).await?;
            Ok(page.map(|page| (page.members, page.next_page_token)))
        })
        .await
    }

    /// Returns the members of an organization.
    pub(crate) async fn organization_members(&self, parent: &str) -> Result<Vec<Member>, Failure> {
        self.all(async |page_token| {
            let request = ListOrganizationMembersRequest {
                parent: parent.to_owned(),
                page_size: PAGE_SIZE,
                page_token,
                ..Default::default()
            };
            let mut client = self.member_service();
            let page = client.list_organization_members(request).await?;
            Ok(page.map(|page| (page.members, page.next_page_token)))
        })
        .await
    }

    /// Returns the items of all pages; `page` asks for the one that a token names.
    async fn all<T>(
        &self,
        page: impl AsyncFn(String) -> Result<Response<(Vec<T>, String)>, Status>,
    ) -> Result<Vec<T>, Failure> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let (items, next) = self.ask(async || page(token.clone()).await).await?;
            all.extend(items);
            if next.is_empty() {
                return Ok(all);
            }
            token = next;
        }
    }
}

/// Makes a call until it is answered, with pauses between. Its request must be safe to repeat.
pub(crate) async fn patiently<T>(
    call: impl AsyncFnMut() -> Result<Response<T>, Status>,
) -> Result<T, Status> {
    with_pauses(PAUSE, call).await
}

async fn with_pauses<T>(
    mut pause: Duration,
    mut call: impl AsyncFnMut() -> Result<Response<T>, Status>,
) -> Result<T, Status> {
    let mut tries = 1;
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        if tries == TRIES_MAX || !may_be_repeated(&status) {
            return Err(status);
        }
        let retry = status.get_details_retry_info();
        let asked = retry.and_then(|retry| retry.retry_delay);
        tokio::time::sleep(asked.unwrap_or(pause).min(PAUSE_MAX)).await;
        pause = (pause * 2).min(PAUSE_MAX);
        tries += 1;
    }
}

/// Returns true for what passes by itself, and for a connection that was cut.
fn may_be_repeated(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
    )
}

/// Returns a new request id.
pub(crate) fn request_id() -> String {
    new_id(&SystemClock, &SystemRandomness).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of calls until the end, and its result, if the calls get these answers.
    async fn called(answers: &[Code]) -> (u32, Result<u32, Code>) {
        let mut calls = 0;
        let call = async || {
            calls += 1;
            match answers.get(calls as usize - 1) {
                None | Some(Code::Ok) => Ok(Response::new(calls)),
                Some(code) => Err(Status::new(*code, "")),
            }
        };
        let result = with_pauses(Duration::ZERO, call).await;
        (calls, result.map_err(|status| status.code()))
    }

    #[tokio::test]
    async fn a_call_is_repeated_until_the_service_is_back_and_not_for_ever() {
        let cut = [Code::Unavailable, Code::Unknown, Code::DeadlineExceeded];
        assert_eq!(called(&cut).await, (4, Ok(4)));
        let away = [Code::Unavailable; 20];
        assert_eq!(called(&away).await, (TRIES_MAX, Err(Code::Unavailable)));
    }

    #[tokio::test]
    async fn a_refusal_is_not_repeated() {
        for code in [
            Code::Aborted,
            Code::FailedPrecondition,
            Code::PermissionDenied,
        ] {
            assert_eq!(called(&[code]).await, (1, Err(code)));
        }
    }
}
