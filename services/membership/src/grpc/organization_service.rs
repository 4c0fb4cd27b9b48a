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
use homeroom_kit::{Result, auth::Caller, filter::Filter, rpc, validation::Violations};
use uuid::Uuid;

use super::{convert, parse};
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

homeroom_kit::rpcs! {
    OrganizationService for OrganizationApi {
        create_organization: CreateOrganizationRequest => Organization;
        get_organization: GetOrganizationRequest => Organization;
        list_organizations: ListOrganizationsRequest => ListOrganizationsResponse;
        update_organization: UpdateOrganizationRequest => Organization;
        delete_organization: DeleteOrganizationRequest => ();
        get_seat_usage: GetSeatUsageRequest => SeatUsage;
    }
}

impl OrganizationApi {
    async fn create_organization(
        &self,
        caller: &Caller,
        request: CreateOrganizationRequest,
    ) -> Result<Organization> {
        let (request_id, new) = create(&request)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { organizations::create(change, new).await })
            })
            .await
    }

    async fn get_organization(
        &self,
        caller: &Caller,
        request: GetOrganizationRequest,
    ) -> Result<Organization> {
        let id = rpc::name(OrganizationName::parse(&request.name))?.0;
        let found = self.0.organization(caller, id).await?;
        Ok(found.into())
    }

    async fn list_organizations(
        &self,
        caller: &Caller,
        request: ListOrganizationsRequest,
    ) -> Result<ListOrganizationsResponse> {
        Filter::parse(&request.filter, &[])?;
        let list = "ListOrganizations";
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let page = self.0.organizations(caller, &page).await?;
        Ok(ListOrganizationsResponse {
            organizations: page.items.into_iter().map(Organization::from).collect(),
            next_page_token: page.next_page_token,
        })
    }

    async fn update_organization(
        &self,
        caller: &Caller,
        request: UpdateOrganizationRequest,
    ) -> Result<Organization> {
        let (request_id, id, patch, etag) = update(&request)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { organizations::update(change, id, patch, &etag).await })
            })
            .await
    }

    async fn delete_organization(
        &self,
        caller: &Caller,
        request: DeleteOrganizationRequest,
    ) -> Result<()> {
        let mut violations = Violations::new();
        let id = parse::organization(&mut violations, "name", &request.name);
        let etag = parse::etag(&mut violations, "etag", &request.etag);
        let request_id = violations.request_id(&request.request_id);
        let id = violations.finish_with(id)?;
        let force = request.force;
        self.0
            .write(caller, request_id, &request, move |change| {
                Box::pin(async move { organizations::delete(change, id, force, &etag).await })
            })
            .await
    }

    async fn get_seat_usage(
        &self,
        caller: &Caller,
        request: GetSeatUsageRequest,
    ) -> Result<SeatUsage> {
        let name = &request.name;
        let parsed = OrganizationName::parse(name).map(|name| SeatUsageName(name.0));
        let name = rpc::name(parsed.or_else(|_| SeatUsageName::parse(name)))?;
        let seats = self.0.seat_usage(caller, name.0.clone()).await?;
        Ok(convert::seat_usage(&name, seats))
    }
}

fn create(request: &CreateOrganizationRequest) -> Result<(Option<Uuid>, NewOrganization)> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let id = v.optional(
        "organization_id",
        &request.organization_id,
        OrganizationId::parse_chosen,
    );
    let admin = v.optional("admin", &request.admin, UserId::parse_person);
    let organization = v.required("organization", request.organization.as_ref());
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
    Ok((request_id, violations.finish_with(new)?))
}

type Update = (Option<Uuid>, OrganizationId, OrganizationPatch, String);

fn update(request: &UpdateOrganizationRequest) -> Result<Update> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let fields = ["display_name", "code_prefix", "seat_limit", "labels"];
    let mask = v.mask(request.update_mask.as_ref(), &fields);
    let organization = v.required("organization", request.organization.as_ref());
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
    violations.finish_with(update)
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
    violations.optional("organization.code_prefix", text, CodePrefix::parse)
}
