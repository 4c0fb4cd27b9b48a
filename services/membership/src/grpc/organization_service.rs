//! `OrganizationService`.

use homeroom_api::{
    ids::{CodePrefix, InvalidId, OrganizationId, UserId},
    membership::v1::{self as api, organization_service_server::OrganizationService},
    names::{OrganizationName, SeatUsageName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    clock::to_timestamp,
    filter::Filter,
    rpc::etag,
    validation::{Mask, Violations},
};

use crate::{
    app::{
        App,
        organizations::{self, NewOrganization, SeatUsage},
    },
    domain::organization::{
        DISPLAY_NAME_CHARS_MAX, Organization, OrganizationFields, SEAT_LIMIT_MAX,
    },
};

homeroom_kit::rpcs! {
    OrganizationService for pub(crate) struct OrganizationApi(pub(crate) App) {
        create_organization: api::CreateOrganizationRequest => api::Organization
            = change(create, organizations::create);
        get_organization: api::GetOrganizationRequest => api::Organization
            = get(OrganizationName::parse, App::organization);
        list_organizations: api::ListOrganizationsRequest => api::ListOrganizationsResponse;
        update_organization: api::UpdateOrganizationRequest => api::Organization
            = change(update, organizations::update);
        delete_organization: api::DeleteOrganizationRequest => () = change(delete, organizations::delete);
        get_seat_usage: api::GetSeatUsageRequest => api::SeatUsage = get(seat_usage, App::seat_usage);
    }
}

impl OrganizationApi {
    async fn list_organizations(
        &self,
        caller: &Caller,
        request: api::ListOrganizationsRequest,
    ) -> Result<api::ListOrganizationsResponse> {
        Filter::parse(&request.filter, &[])?;
        let (size, token) = (request.page_size, &request.page_token);
        let page = self.0.paging.parse(size, token, "ListOrganizations")?;
        let page = self.0.organizations(caller, &page).await?;
        Ok(api::ListOrganizationsResponse {
            organizations: page.items.into_iter().map(Into::into).collect(),
            next_page_token: page.next_page_token,
        })
    }
}

/// Parses the name of a seat usage, for which that of its organization will do.
fn seat_usage(name: &str) -> std::result::Result<SeatUsageName, InvalidId> {
    let of_organization = OrganizationName::parse(name).map(|name| SeatUsageName(name.0));
    of_organization.or_else(|_| SeatUsageName::parse(name))
}

fn create(
    v: &mut Violations,
    request: &api::CreateOrganizationRequest,
) -> Option<(Option<OrganizationId>, NewOrganization)> {
    let id = v.optional(
        "organization_id",
        &request.organization_id,
        OrganizationId::parse_chosen,
    );
    let admin = v.optional("admin", &request.admin, UserId::parse_person);
    let organization = v.required("organization", request.organization.as_ref())?;
    let fields = fields(v, &Mask::all(), organization);
    let code_prefix = code_prefix(v, &organization.code_prefix);
    let new = NewOrganization {
        code_prefix,
        admin,
        fields,
    };
    Some((id, new))
}

type Update = (OrganizationFields, Option<CodePrefix>, String);

fn update(
    v: &mut Violations,
    request: &api::UpdateOrganizationRequest,
) -> Option<(OrganizationName, Update)> {
    let allowed = ["display_name", "code_prefix", "seat_limit", "labels"];
    let mask = v.mask(request.update_mask.as_ref(), &allowed);
    let organization = v.required("organization", request.organization.as_ref())?;
    let name = OrganizationName::parse(&organization.name);
    let name = v.take("organization.name", name);
    let fields = fields(v, &mask, organization);
    let prefix = &organization.code_prefix;
    if mask.touches("code_prefix", false) {
        let field = "organization.code_prefix";
        v.check(!prefix.is_empty(), field, "cannot be taken away");
    }
    let prefix = mask
        .touches("code_prefix", true)
        .then(|| code_prefix(v, prefix));
    let etag = organization.etag.clone();
    Some((name?, (fields, prefix.flatten(), etag)))
}

fn fields(v: &mut Violations, mask: &Mask, organization: &api::Organization) -> OrganizationFields {
    let (name, seats) = (&organization.display_name, organization.seat_limit);
    OrganizationFields {
        display_name: mask.patch("display_name", !name.is_empty(), || {
            v.required_display_name("organization.display_name", name, DISPLAY_NAME_CHARS_MAX)
        }),
        seat_limit: mask.patch("seat_limit", seats != 0, || {
            v.check(
                (0..=SEAT_LIMIT_MAX).contains(&seats),
                "organization.seat_limit",
                format!("must be 0, for no limit, to {SEAT_LIMIT_MAX}"),
            );
            seats
        }),
        labels: mask.patch("labels", !organization.labels.is_empty(), || {
            v.labels("organization.labels", &organization.labels)
        }),
    }
}

fn delete(
    v: &mut Violations,
    request: &api::DeleteOrganizationRequest,
) -> Option<(OrganizationName, (bool, String))> {
    let name = v.take("name", OrganizationName::parse(&request.name));
    Some((name?, (request.force, request.etag.clone())))
}

fn code_prefix(v: &mut Violations, text: &str) -> Option<CodePrefix> {
    v.optional("organization.code_prefix", text, CodePrefix::parse)
}

impl From<Organization> for api::Organization {
    fn from(organization: Organization) -> Self {
        Self {
            name: OrganizationName(organization.id).to_string(),
            display_name: organization.display_name,
            code_prefix: organization.code_prefix.as_str().to_owned(),
            seat_limit: organization.seat_limit,
            labels: organization.labels,
            state: api::organization::State::Active.into(),
            etag: etag(organization.revision),
            create_time: Some(to_timestamp(organization.create_time)),
            update_time: Some(to_timestamp(organization.update_time)),
        }
    }
}

impl From<SeatUsage> for api::SeatUsage {
    fn from(SeatUsage(name, seats): SeatUsage) -> Self {
        Self {
            name: name.to_string(),
            seat_limit: seats.limit,
            seats_used: seats.used,
            requests_waiting: seats.waiting,
            seats_available: seats.available(),
        }
    }
}
