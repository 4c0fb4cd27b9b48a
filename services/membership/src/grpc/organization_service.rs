//! `OrganizationService`.

use homeroom_api::{
    ids::{OrganizationId, UserId},
    membership::v1::{
        CreateOrganizationRequest, DeleteOrganizationRequest, GetOrganizationRequest,
        GetSeatUsageRequest, ListOrganizationsRequest, ListOrganizationsResponse, Organization,
        SeatUsage, UpdateOrganizationRequest, organization_service_server::OrganizationService,
    },
    names::{OrganizationName, SeatUsageName},
};
use homeroom_kit::{auth::Caller, filter::Filter, validation::Violations};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    convert,
    parse::{self, Parsed},
};
use crate::{
    app::{
        App,
        organizations::{self, NewOrganization, OrganizationPatch},
    },
    domain::organization::{CodePrefix, DISPLAY_NAME_CHARS_MAX, SEAT_LIMIT_MAX},
};

/// The service over the use cases.
#[derive(Debug, Clone)]
pub(crate) struct OrganizationApi(pub(crate) App);

#[async_trait]
impl OrganizationService for OrganizationApi {
    async fn create_organization(
        &self,
        request: Request<CreateOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, new) = create(&request)?;
        let created = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                Ok(convert::organization(
                    organizations::create(change, new).await?,
                ))
            })
        });
        Ok(Response::new(created.await?))
    }

    async fn get_organization(
        &self,
        request: Request<GetOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let id = parse::organization(&mut violations, "name", &request.get_ref().name);
        let id = parse::finish(violations, id)?;
        let found = self.0.organization(&caller, id).await?;
        Ok(Response::new(convert::organization(found)))
    }

    async fn list_organizations(
        &self,
        request: Request<ListOrganizationsRequest>,
    ) -> Result<Response<ListOrganizationsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        Filter::parse(&request.filter, &[])?;
        let list = "ListOrganizations";
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let found = self.0.organizations(&caller, &page).await?;
        Ok(Response::new(ListOrganizationsResponse {
            next_page_token: self.0.next_page_token(list, found.next.as_deref()),
            organizations: found.items.into_iter().map(convert::organization).collect(),
        }))
    }

    async fn update_organization(
        &self,
        request: Request<UpdateOrganizationRequest>,
    ) -> Result<Response<Organization>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, id, patch, etag) = update(&request)?;
        let updated = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let updated = organizations::update(change, id, patch, &etag).await?;
                Ok(convert::organization(updated))
            })
        });
        Ok(Response::new(updated.await?))
    }

    async fn delete_organization(
        &self,
        request: Request<DeleteOrganizationRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let id = parse::organization(&mut violations, "name", &request.name);
        let etag = parse::etag(&mut violations, "etag", &request.etag);
        let request_id = violations.request_id(&request.request_id);
        let id = parse::finish(violations, id)?;
        let force = request.force;
        let deleted = self.0.write(&caller, request_id, &request, move |change| {
            Box::pin(async move { organizations::delete(change, id, force, &etag).await })
        });
        Ok(Response::new(deleted.await?))
    }

    async fn get_seat_usage(
        &self,
        request: Request<GetSeatUsageRequest>,
    ) -> Result<Response<SeatUsage>, Status> {
        let caller = Caller::of(&request)?;
        let name = &request.get_ref().name;
        let mut violations = Violations::new();
        let parsed = OrganizationName::parse(name)
            .map(|name| SeatUsageName(name.0))
            .or_else(|_| SeatUsageName::parse(name));
        let name = violations.take("name", parsed);
        let name = parse::finish(violations, name)?;
        let seats = self.0.seat_usage(&caller, name.0.clone()).await?;
        Ok(Response::new(convert::seat_usage(&name, seats)))
    }
}

fn create(request: &CreateOrganizationRequest) -> Parsed<(Option<Uuid>, NewOrganization)> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let id = parse::optional(
        v,
        "organization_id",
        &request.organization_id,
        OrganizationId::parse_chosen,
    );
    let admin = parse::optional(v, "admin", &request.admin, UserId::parse_person);
    let organization = parse::message(v, "organization", request.organization.as_ref());
    let new = organization.map(|organization| {
        let display_name = display_name(v, &organization.display_name);
        seat_limit(v, organization.seat_limit);
        v.labels("organization.labels", &organization.labels);
        NewOrganization {
            id,
            display_name,
            code_prefix: code_prefix(v, &organization.code_prefix),
            seat_limit: organization.seat_limit,
            labels: organization.labels.clone(),
            admin,
        }
    });
    Ok((request_id, parse::finish(violations, new)?))
}

type Update = (Option<Uuid>, OrganizationId, OrganizationPatch, String);

fn update(request: &UpdateOrganizationRequest) -> Parsed<Update> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let fields = ["display_name", "code_prefix", "seat_limit", "labels"];
    let mask = parse::Mask::parse(v, request.update_mask.as_ref(), &fields);
    let organization = parse::message(v, "organization", request.organization.as_ref());
    let update = organization.and_then(|organization| {
        let id = parse::organization(v, "organization.name", &organization.name);
        let etag = parse::etag(v, "organization.etag", &organization.etag);
        let mut patch = OrganizationPatch::default();
        if mask.touches("display_name", !organization.display_name.is_empty()) {
            patch.display_name = Some(display_name(v, &organization.display_name));
        }
        if mask.touches("code_prefix", !organization.code_prefix.is_empty()) {
            v.check(
                !organization.code_prefix.is_empty(),
                "organization.code_prefix",
                "cannot be taken away",
            );
            patch.code_prefix = code_prefix(v, &organization.code_prefix);
        }
        if mask.touches("seat_limit", organization.seat_limit != 0) {
            seat_limit(v, organization.seat_limit);
            patch.seat_limit = Some(organization.seat_limit);
        }
        if mask.touches("labels", !organization.labels.is_empty()) {
            v.labels("organization.labels", &organization.labels);
            patch.labels = Some(organization.labels.clone());
        }
        Some((request_id, id?, patch, etag))
    });
    parse::finish(violations, update)
}

fn display_name(violations: &mut Violations, text: &str) -> String {
    let field = "organization.display_name";
    violations.required_display_name(field, text, DISPLAY_NAME_CHARS_MAX)
}

fn seat_limit(violations: &mut Violations, seats: i64) {
    violations.check(
        (0..=SEAT_LIMIT_MAX).contains(&seats),
        "organization.seat_limit",
        format!("must be 0, for no limit, to {SEAT_LIMIT_MAX}"),
    );
}

fn code_prefix(violations: &mut Violations, text: &str) -> Option<CodePrefix> {
    parse::optional(
        violations,
        "organization.code_prefix",
        text,
        CodePrefix::parse,
    )
}
