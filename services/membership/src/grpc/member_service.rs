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
    names::{ClassName, MemberName, OrganizationName, Place, UserName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{FieldKind, Filter},
    rpc,
    validation::Violations,
};
use uuid::Uuid;

use super::parse;
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

homeroom_kit::rpcs! {
    MemberService for MemberApi {
        add_organization_member: AddOrganizationMemberRequest => Member;
        get_organization_member: GetOrganizationMemberRequest => Member;
        list_organization_members: ListOrganizationMembersRequest => ListOrganizationMembersResponse;
        update_organization_member: UpdateOrganizationMemberRequest => Member;
        remove_organization_member: RemoveOrganizationMemberRequest => ();
        add_class_member: AddClassMemberRequest => Member;
        get_class_member: GetClassMemberRequest => Member;
        list_class_members: ListClassMembersRequest => ListClassMembersResponse;
        update_class_member: UpdateClassMemberRequest => Member;
        remove_class_member: RemoveClassMemberRequest => ();
        list_memberships: ListMembershipsRequest => ListMembershipsResponse;
    }
}

impl MemberApi {
    async fn add_organization_member(
        &self,
        caller: &Caller,
        request: AddOrganizationMemberRequest,
    ) -> Result<Member> {
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let organization = parse::organization(v, "parent", &request.parent);
        let new = new_member(v, request.member.as_ref(), &IN_ORGANIZATION);
        let (organization, new) = violations.finish_with(organization.zip(new))?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { organization_members::add(change, organization, new).await })
            })
            .await
    }

    async fn get_organization_member(
        &self,
        caller: &Caller,
        request: GetOrganizationMemberRequest,
    ) -> Result<Member> {
        let name = rpc::name(parse::organization_member(&request.name))?;
        let found = self.0.member(caller, name).await?;
        Ok(found.into())
    }

    async fn list_organization_members(
        &self,
        caller: &Caller,
        request: ListOrganizationMembersRequest,
    ) -> Result<ListOrganizationMembersResponse> {
        let organization =
            rpc::parent(OrganizationName::parse(&request.parent), request.page_size)?.0;
        let filter = filter(&request.filter, &["ADMIN", "TEACHER", "STUDENT"])?;
        let list = format!(
            "ListOrganizationMembers {} {}",
            request.parent, request.filter
        );
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let place = Place::Organization(organization);
        let page = self.0.members(caller, place, filter, &page).await?;
        Ok(ListOrganizationMembersResponse {
            members: page.items.into_iter().map(Member::from).collect(),
            next_page_token: page.next_page_token,
        })
    }

    async fn update_organization_member(
        &self,
        caller: &Caller,
        request: UpdateOrganizationMemberRequest,
    ) -> Result<Member> {
        let (request_id, name, patch, etag) = update_organization_member(&request)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(
                    async move { organization_members::update(change, name, patch, &etag).await },
                )
            })
            .await
    }

    async fn remove_organization_member(
        &self,
        caller: &Caller,
        request: RemoveOrganizationMemberRequest,
    ) -> Result<()> {
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let name = v.take("name", parse::organization_member(&request.name));
        let etag = parse::etag(v, "etag", &request.etag);
        let name = violations.finish_with(name)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { organization_members::remove(change, name, &etag).await })
            })
            .await
    }

    async fn add_class_member(
        &self,
        caller: &Caller,
        request: AddClassMemberRequest,
    ) -> Result<Member> {
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let class = v.take("parent", ClassName::parse(&request.parent));
        let new = new_member(v, request.member.as_ref(), &IN_CLASS_BUT_OWNER);
        let (class, new) = violations.finish_with(class.zip(new))?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { class_members::add(change, class, new).await })
            })
            .await
    }

    async fn get_class_member(
        &self,
        caller: &Caller,
        request: GetClassMemberRequest,
    ) -> Result<Member> {
        let name = rpc::name(parse::class_member(&request.name))?;
        let found = self.0.member(caller, name).await?;
        Ok(found.into())
    }

    async fn list_class_members(
        &self,
        caller: &Caller,
        request: ListClassMembersRequest,
    ) -> Result<ListClassMembersResponse> {
        let class = rpc::parent(ClassName::parse(&request.parent), request.page_size)?;
        let filter = filter(&request.filter, &["OWNER", "CO_TEACHER", "STUDENT"])?;
        let list = format!("ListClassMembers {} {}", request.parent, request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let place = Place::Class(class);
        let page = self.0.members(caller, place, filter, &page).await?;
        Ok(ListClassMembersResponse {
            members: page.items.into_iter().map(Member::from).collect(),
            next_page_token: page.next_page_token,
        })
    }

    async fn update_class_member(
        &self,
        caller: &Caller,
        request: UpdateClassMemberRequest,
    ) -> Result<Member> {
        let (request_id, name, role, etag) = update_class_member(&request)?;
        self.0
            .write(caller, request_id, &request, move |change| {
                Box::pin(async move { class_members::update(change, name, role, &etag).await })
            })
            .await
    }

    async fn remove_class_member(
        &self,
        caller: &Caller,
        request: RemoveClassMemberRequest,
    ) -> Result<()> {
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let name = v.take("name", parse::class_member(&request.name));
        let etag = parse::etag(v, "etag", &request.etag);
        let name = violations.finish_with(name)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { class_members::remove(change, name, &etag).await })
            })
            .await
    }

    async fn list_memberships(
        &self,
        caller: &Caller,
        request: ListMembershipsRequest,
    ) -> Result<ListMembershipsResponse> {
        let mut violations = Violations::new();
        let user = if request.parent == ME {
            Some(None)
        } else {
            violations
                .take("parent", UserName::parse(&request.parent))
                .map(|name| Some(name.0))
        };
        violations.page_size(request.page_size);
        let user = violations.finish_with(user)?;
        Filter::parse(&request.filter, &[])?;
        let list = format!("ListMemberships {}", caller.user);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let page = self.0.memberships(caller, user, &page).await?;
        Ok(ListMembershipsResponse {
            memberships: page.items.into_iter().map(Member::from).collect(),
            next_page_token: page.next_page_token,
        })
    }
}

fn new_member(
    violations: &mut Violations,
    member: Option<&Member>,
    roles: &[Role],
) -> Option<NewMember> {
    let member = violations.required("member", member)?;
    let user = violations.take("member.user", UserId::parse_person(&member.user));
    let particulars = parse::particulars(violations, member);
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
) -> Result<OrganizationUpdate> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let fields = ["role", "display_name", "email", "external_id"];
    let mask = v.mask(request.update_mask.as_ref(), &fields);
    let member = v.required("member", request.member.as_ref());
    let update = member.and_then(|member| {
        let name = v.take("member.name", parse::organization_member(&member.name));
        let etag = parse::etag(v, "member.etag", &member.etag);
        let particulars = parse::particulars(v, member);
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
    violations.finish_with(update)
}

type ClassUpdate = (Option<Uuid>, MemberName, Option<Role>, String);

fn update_class_member(request: &UpdateClassMemberRequest) -> Result<ClassUpdate> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    v.mask(request.update_mask.as_ref(), &["role"]);
    let member = v.required("member", request.member.as_ref());
    let update = member.and_then(|member| {
        let name = v.take("member.name", parse::class_member(&member.name));
        let etag = parse::etag(v, "member.etag", &member.etag);
        v.check(member.role != 0, "member.role", "is required");
        let role = parse::role(v, "member.role", member.role, &IN_CLASS_BUT_OWNER);
        Some((request_id, name?, role, etag))
    });
    violations.finish_with(update)
}

fn filter(text: &str, roles: &'static [&'static str]) -> Result<MemberFilter> {
    let fields = [
        ("role", FieldKind::Enum(roles)),
        ("email", FieldKind::Text),
        ("external_id", FieldKind::Text),
    ];
    let filter = Filter::parse(text, &fields)?;
    Ok(MemberFilter {
        role: filter.equal_name("role", Role::parse)?,
        email: filter.equal_email("email")?,
        external_id: filter.equal_external_id("external_id")?,
    })
}
