//! `MemberService`.

use homeroom_api::{
    ids::UserId,
    membership::v1::{
        AddClassMemberRequest, AddOrganizationMemberRequest, GetClassMemberRequest,
        GetOrganizationMemberRequest, ListClassMembersRequest, ListClassMembersResponse,
        ListMembershipsRequest, ListMembershipsResponse, ListOrganizationMembersRequest,
        ListOrganizationMembersResponse, Member, RemoveClassMemberRequest,
        RemoveOrganizationMemberRequest, UpdateClassMemberRequest, UpdateOrganizationMemberRequest,
        member_service_server::MemberService,
    },
    names::{MemberName, Place, UserName},
};
use homeroom_kit::{
    Error,
    auth::Caller,
    email::EmailAddress,
    filter::{FieldKind, Filter},
    validation::Violations,
};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{
    convert,
    parse::{self, Parsed},
};
use crate::{
    app::{
        App, class_members,
        members::{MemberFilter, NewMember},
        organization_members::{self, MemberPatch},
    },
    domain::member::Role,
};

/// The name of the acting user in `users/me`.
const ME: &str = "users/me";
const IN_ORGANIZATION: [Role; 3] = [Role::Admin, Role::Teacher, Role::Student];
const IN_CLASS_BUT_OWNER: [Role; 2] = [Role::CoTeacher, Role::Student];

/// The service over the use cases.
#[derive(Debug, Clone)]
pub(crate) struct MemberApi(pub(crate) App);

#[async_trait]
impl MemberService for MemberApi {
    async fn add_organization_member(
        &self,
        request: Request<AddOrganizationMemberRequest>,
    ) -> Result<Response<Member>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let organization = parse::organization(v, "parent", &request.parent);
        let new = new_member(v, request.member.as_ref(), &IN_ORGANIZATION);
        let (organization, new) = parse::finish(violations, organization.zip(new))?;
        let added = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let added = organization_members::add(change, organization, new).await?;
                Ok(convert::member(added))
            })
        });
        Ok(Response::new(added.await?))
    }

    async fn get_organization_member(
        &self,
        request: Request<GetOrganizationMemberRequest>,
    ) -> Result<Response<Member>, Status> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = parse::organization_member(&mut violations, "name", &request.get_ref().name);
        let name = parse::finish(violations, name)?;
        let found = self.0.member(&caller, name).await?;
        Ok(Response::new(convert::member(found)))
    }

    async fn list_organization_members(
        &self,
        request: Request<ListOrganizationMembersRequest>,
    ) -> Result<Response<ListOrganizationMembersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let organization = parse::organization(&mut violations, "parent", &request.parent);
        violations.page_size(request.page_size);
        let organization = parse::finish(violations, organization)?;
        let filter = filter(&request.filter, &["ADMIN", "TEACHER", "STUDENT"])?;
        let list = format!(
            "ListOrganizationMembers {} {}",
            request.parent, request.filter
        );
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, &list)?;
        let place = Place::Organization(organization);
        let found = self.0.members(&caller, place, filter, &page).await?;
        Ok(Response::new(ListOrganizationMembersResponse {
            next_page_token: self.0.next_page_token(&list, found.next.as_deref()),
            members: found.items.into_iter().map(convert::member).collect(),
        }))
    }

    async fn update_organization_member(
        &self,
        request: Request<UpdateOrganizationMemberRequest>,
    ) -> Result<Response<Member>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, name, patch, etag) = update_organization_member(&request)?;
        let updated = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let updated = organization_members::update(change, name, patch, &etag).await?;
                Ok(convert::member(updated))
            })
        });
        Ok(Response::new(updated.await?))
    }

    async fn remove_organization_member(
        &self,
        request: Request<RemoveOrganizationMemberRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let name = parse::organization_member(v, "name", &request.name);
        let etag = parse::etag(v, "etag", &request.etag);
        let name = parse::finish(violations, name)?;
        let removed = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move { organization_members::remove(change, name, &etag).await })
        });
        Ok(Response::new(removed.await?))
    }

    async fn add_class_member(
        &self,
        request: Request<AddClassMemberRequest>,
    ) -> Result<Response<Member>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let class = parse::class(v, "parent", &request.parent);
        let new = new_member(v, request.member.as_ref(), &IN_CLASS_BUT_OWNER);
        let (class, new) = parse::finish(violations, class.zip(new))?;
        let added = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let added = class_members::add(change, class, new).await?;
                Ok(convert::member(added))
            })
        });
        Ok(Response::new(added.await?))
    }

    async fn get_class_member(
        &self,
        request: Request<GetClassMemberRequest>,
    ) -> Result<Response<Member>, Status> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = parse::class_member(&mut violations, "name", &request.get_ref().name);
        let name = parse::finish(violations, name)?;
        let found = self.0.member(&caller, name).await?;
        Ok(Response::new(convert::member(found)))
    }

    async fn list_class_members(
        &self,
        request: Request<ListClassMembersRequest>,
    ) -> Result<Response<ListClassMembersResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let class = parse::class(&mut violations, "parent", &request.parent);
        violations.page_size(request.page_size);
        let class = parse::finish(violations, class)?;
        let filter = filter(&request.filter, &["OWNER", "CO_TEACHER", "STUDENT"])?;
        let list = format!("ListClassMembers {} {}", request.parent, request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, &list)?;
        let place = Place::Class(class);
        let found = self.0.members(&caller, place, filter, &page).await?;
        Ok(Response::new(ListClassMembersResponse {
            next_page_token: self.0.next_page_token(&list, found.next.as_deref()),
            members: found.items.into_iter().map(convert::member).collect(),
        }))
    }

    async fn update_class_member(
        &self,
        request: Request<UpdateClassMemberRequest>,
    ) -> Result<Response<Member>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, name, role, etag) = update_class_member(&request)?;
        let updated = self.0.write(&caller, request_id, &request, move |change| {
            Box::pin(async move {
                let updated = class_members::update(change, name, role, &etag).await?;
                Ok(convert::member(updated))
            })
        });
        Ok(Response::new(updated.await?))
    }

    async fn remove_class_member(
        &self,
        request: Request<RemoveClassMemberRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let name = parse::class_member(v, "name", &request.name);
        let etag = parse::etag(v, "etag", &request.etag);
        let name = parse::finish(violations, name)?;
        let removed = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move { class_members::remove(change, name, &etag).await })
        });
        Ok(Response::new(removed.await?))
    }

    async fn list_memberships(
        &self,
        request: Request<ListMembershipsRequest>,
    ) -> Result<Response<ListMembershipsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let user = if request.parent == ME {
            Some(None)
        } else {
            violations
                .take("parent", UserName::parse(&request.parent))
                .map(|name| Some(name.0))
        };
        violations.page_size(request.page_size);
        let user = parse::finish(violations, user)?;
        Filter::parse(&request.filter, &[])?;
        let list = format!("ListMemberships {}", caller.user);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, &list)?;
        let found = self.0.memberships(&caller, user, &page).await?;
        Ok(Response::new(ListMembershipsResponse {
            next_page_token: self.0.next_page_token(&list, found.next.as_deref()),
            memberships: found.items.into_iter().map(convert::member).collect(),
        }))
    }
}

fn new_member(
    violations: &mut Violations,
    member: Option<&Member>,
    roles: &[Role],
) -> Option<NewMember> {
    let member = parse::message(violations, "member", member)?;
    let user = violations.take("member.user", UserId::parse_person(&member.user));
    let particulars = parse::particulars(
        violations,
        "member",
        &member.display_name,
        &member.email,
        &member.external_id,
    );
    let role = parse::role(violations, "member.role", member.role, roles);
    Some(NewMember {
        user: user?,
        particulars,
        role: role.unwrap_or(Role::Student),
    })
}

type OrganizationUpdate = (Option<Uuid>, MemberName, MemberPatch, String);

fn update_organization_member(
    request: &UpdateOrganizationMemberRequest,
) -> Parsed<OrganizationUpdate> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let fields = ["role", "display_name", "email", "external_id"];
    let mask = parse::Mask::parse(v, request.update_mask.as_ref(), &fields);
    let member = parse::message(v, "member", request.member.as_ref());
    let update = member.and_then(|member| {
        let name = parse::organization_member(v, "member.name", &member.name);
        let etag = parse::etag(v, "member.etag", &member.etag);
        let particulars = parse::particulars(
            v,
            "member",
            &member.display_name,
            &member.email,
            &member.external_id,
        );
        let mut patch = MemberPatch::default();
        if mask.touches("role", member.role != 0) {
            v.check(member.role != 0, "member.role", "is required");
            patch.role = parse::role(v, "member.role", member.role, &IN_ORGANIZATION);
        }
        if mask.touches("display_name", !member.display_name.is_empty()) {
            patch.display_name = Some(particulars.display_name);
        }
        if mask.touches("email", !member.email.is_empty()) {
            patch.email = Some(particulars.email);
        }
        if mask.touches("external_id", !member.external_id.is_empty()) {
            patch.external_id = Some(particulars.external_id);
        }
        Some((request_id, name?, patch, etag))
    });
    parse::finish(violations, update)
}

type ClassUpdate = (Option<Uuid>, MemberName, Option<Role>, String);

fn update_class_member(request: &UpdateClassMemberRequest) -> Parsed<ClassUpdate> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    parse::Mask::parse(v, request.update_mask.as_ref(), &["role"]);
    let member = parse::message(v, "member", request.member.as_ref());
    let update = member.and_then(|member| {
        let name = parse::class_member(v, "member.name", &member.name);
        let etag = parse::etag(v, "member.etag", &member.etag);
        v.check(member.role != 0, "member.role", "is required");
        let role = parse::role(v, "member.role", member.role, &IN_CLASS_BUT_OWNER);
        Some((request_id, name?, role, etag))
    });
    parse::finish(violations, update)
}

fn filter(text: &str, roles: &'static [&'static str]) -> Parsed<MemberFilter> {
    let fields = [
        ("role", FieldKind::Enum(roles)),
        ("email", FieldKind::Text),
        ("external_id", FieldKind::Text),
    ];
    let filter = Filter::parse(text, &fields)?;
    let address = parse::equals(&filter, "email")?
        .map(|text| EmailAddress::parse(text.trim()).map(|address| address.canonical()))
        .transpose();
    Ok(MemberFilter {
        role: parse::equals(&filter, "role")?.and_then(Role::parse),
        email: address.map_err(|error| {
            Error::new(
                homeroom_api::common::v1::ErrorReason::InvalidFilter,
                format!("Correct the field filter: email {error}."),
            )
            .violation("filter", format!("email {error}"))
        })?,
        external_id: parse::equals(&filter, "external_id")?.map(ToOwned::to_owned),
    })
}
