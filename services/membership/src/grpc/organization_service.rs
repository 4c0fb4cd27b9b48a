//! `OrganizationService`.

use homeroom_api::{
    ids::{InvalidId, OrganizationId, UserId},
    membership::v1::{
        CreateOrganizationRequest, DeleteOrganizationRequest, GetOrganizationRequest,
        GetSeatUsageRequest, ListOrganizationsRequest, ListOrganizationsResponse, Organization,
        SeatUsage, UpdateOrganizationRequest, organization_service_server::OrganizationService,
    },
    names::{OrganizationName, SeatUsageName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::Filter,
    validation::{Mask, Violations},
};

use crate::{
    app::{
        App,
        organizations::{self, NewOrganization, OrganizationFields},
    },
    domain::organization::{CodePrefix, DISPLAY_NAME_CHARS_MAX, SEAT_LIMIT_MAX},
};

/// The service over the use cases.
#[derive(Debug, Clone)]
pub(crate) struct OrganizationApi(pub(crate) App);

homeroom_kit::rpcs! {
    OrganizationService for OrganizationApi {
        create_organization: CreateOrganizationRequest => Organization
            = change(create, organizations::create);
        get_organization: GetOrganizationRequest => Organization
            = get(OrganizationName::parse, App::organization);
        list_organizations: ListOrganizationsRequest => ListOrganizationsResponse;
        update_organization: UpdateOrganizationRequest => Organization
            = change(update, organizations::update);
        delete_organization: DeleteOrganizationRequest => () = change(delete, organizations::delete);
        get_seat_usage: GetSeatUsageRequest => SeatUsage = get(seat_usage, App::seat_usage);
    }
}

impl OrganizationApi {
    async fn list_organizations(
        &self,
        caller: &Caller,
        request: ListOrganizationsRequest,
    ) -> Result<ListOrganizationsResponse> {
        Filter::parse(&request.filter, &[])?;
        let (size, token) = (request.page_size, &request.page_token);
        let page = self.0.paging.parse(size, token, "ListOrganizations")?;
        let page = self.0.organizations(caller, &page).await?;
        Ok(ListOrganizationsResponse {
            organizations: page.items.into_iter().map(Organization::from).collect(),
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
    request: &CreateOrganizationRequest,
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
        fields,
        admin,
    };
    Some((id, new))
}

type Update = (OrganizationFields, Option<CodePrefix>, String);

fn update(
    v: &mut Violations,
    request: &UpdateOrganizationRequest,
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

fn fields(v: &mut Violations, mask: &Mask, organization: &Organization) -> OrganizationFields {
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
    request: &DeleteOrganizationRequest,
) -> Option<(OrganizationName, (bool, String))> {
    let name = v.take("name", OrganizationName::parse(&request.name));
    Some((name?, (request.force, request.etag.clone())))
}

fn code_prefix(v: &mut Violations, text: &str) -> Option<CodePrefix> {
    v.optional("organization.code_prefix", text, CodePrefix::parse)
}
