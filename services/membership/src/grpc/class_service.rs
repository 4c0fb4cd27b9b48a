//! `ClassService`.

use homeroom_api::{
    ids::{ClassId, UserId},
    membership::v1::{
        ArchiveClassRequest, ArchiveClassResponse, Class, CreateClassRequest, DeleteClassRequest,
        GetClassRequest, ListClassesRequest, ListClassesResponse, TransferClassOwnershipRequest,
        TransferClassOwnershipResponse, UnarchiveClassRequest, UnarchiveClassResponse,
        UpdateClassRequest, class_service_server::ClassService,
    },
    names::{ClassName, OrganizationName},
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
        App,
        classes::{self, ClassFilter, ClassPatch, NewClass},
    },
    domain::{class::ClassState, organization::DISPLAY_NAME_CHARS_MAX},
};

/// The service over the use cases.
#[derive(Debug, Clone)]
pub(crate) struct ClassApi(pub(crate) App);

homeroom_kit::rpcs! {
    ClassService for ClassApi {
        create_class: CreateClassRequest => Class;
        get_class: GetClassRequest => Class;
        list_classes: ListClassesRequest => ListClassesResponse;
        update_class: UpdateClassRequest => Class;
        archive_class: ArchiveClassRequest => ArchiveClassResponse;
        unarchive_class: UnarchiveClassRequest => UnarchiveClassResponse;
        delete_class: DeleteClassRequest => ();
        transfer_class_ownership: TransferClassOwnershipRequest => TransferClassOwnershipResponse;
    }
}

impl ClassApi {
    async fn create_class(&self, caller: &Caller, request: CreateClassRequest) -> Result<Class> {
        let (request_id, new) = create(&request)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { classes::create(change, new).await })
            })
            .await
    }

    async fn get_class(&self, caller: &Caller, request: GetClassRequest) -> Result<Class> {
        let name = rpc::name(ClassName::parse(&request.name))?;
        let found = self.0.class(caller, name).await?;
        Ok(found.into())
    }

    async fn list_classes(
        &self,
        caller: &Caller,
        request: ListClassesRequest,
    ) -> Result<ListClassesResponse> {
        let organization =
            rpc::parent(OrganizationName::parse(&request.parent), request.page_size)?.0;
        let filter = filter(&request.filter)?;
        let list = format!("ListClasses {} {}", request.parent, request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, list)?;
        let page = self.0.classes(caller, organization, filter, &page).await?;
        Ok(ListClassesResponse {
            classes: page.items.into_iter().map(Class::from).collect(),
            next_page_token: page.next_page_token,
        })
    }

    async fn update_class(&self, caller: &Caller, request: UpdateClassRequest) -> Result<Class> {
        let (request_id, name, patch, etag) = update(&request)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { classes::update(change, name, patch, &etag).await })
            })
            .await
    }

    async fn archive_class(
        &self,
        caller: &Caller,
        request: ArchiveClassRequest,
    ) -> Result<ArchiveClassResponse> {
        let (request_id, name, etag) = guarded(&request.request_id, &request.name, &request.etag)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move {
                    let class = classes::archive(change, name, &etag).await?;
                    Ok(ArchiveClassResponse {
                        class: Some(class.into()),
                    })
                })
            })
            .await
    }

    async fn unarchive_class(
        &self,
        caller: &Caller,
        request: UnarchiveClassRequest,
    ) -> Result<UnarchiveClassResponse> {
        let (request_id, name, etag) = guarded(&request.request_id, &request.name, &request.etag)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move {
                    let class = classes::unarchive(change, name, &etag).await?;
                    Ok(UnarchiveClassResponse {
                        class: Some(class.into()),
                    })
                })
            })
            .await
    }

    async fn delete_class(&self, caller: &Caller, request: DeleteClassRequest) -> Result<()> {
        let (request_id, name, etag) = guarded(&request.request_id, &request.name, &request.etag)?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move { classes::delete(change, name, &etag).await })
            })
            .await
    }

    async fn transfer_class_ownership(
        &self,
        caller: &Caller,
        request: TransferClassOwnershipRequest,
    ) -> Result<TransferClassOwnershipResponse> {
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let name = v.take("name", ClassName::parse(&request.name));
        let owner = v.take("owner", UserId::parse_person(&request.owner));
        let etag = parse::etag(v, "etag", &request.etag);
        let (name, owner) = violations.finish_with(name.zip(owner))?;
        self.0
            .write(caller, request_id, &request, |change| {
                Box::pin(async move {
                    let class = classes::transfer_ownership(change, name, owner, &etag).await?;
                    Ok(TransferClassOwnershipResponse {
                        class: Some(class.into()),
                    })
                })
            })
            .await
    }
}

fn create(request: &CreateClassRequest) -> Result<(Option<Uuid>, NewClass)> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let organization = parse::organization(v, "parent", &request.parent);
    let id = v.optional("class_id", &request.class_id, ClassId::parse_chosen);
    let class = v.required("class", request.class.as_ref());
    let new = class.and_then(|class| {
        let display_name = display_name(v, &class.display_name);
        v.labels("class.labels", &class.labels);
        let owner = v.optional("class.owner", &class.owner, UserId::parse_person);
        Some(NewClass {
            organization: organization?,
            id,
            display_name,
            owner,
            labels: class.labels.clone(),
        })
    });
    Ok((request_id, violations.finish_with(new)?))
}

type Update = (Option<Uuid>, ClassName, ClassPatch, String);

fn update(request: &UpdateClassRequest) -> Result<Update> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let mask = v.mask(request.update_mask.as_ref(), &["display_name", "labels"]);
    let class = v.required("class", request.class.as_ref());
    let update = class.and_then(|class| {
        let name = v.take("class.name", ClassName::parse(&class.name));
        let etag = parse::etag(v, "class.etag", &class.etag);
        let mut patch = ClassPatch::default();
        if mask.touches("display_name", !class.display_name.is_empty()) {
            patch.display_name = Some(display_name(v, &class.display_name));
        }
        if mask.touches("labels", !class.labels.is_empty()) {
            v.labels("class.labels", &class.labels);
            patch.labels = Some(class.labels.clone());
        }
        Some((request_id, name?, patch, etag))
    });
    violations.finish_with(update)
}

fn guarded(request_id: &str, name: &str, etag: &str) -> Result<(Option<Uuid>, ClassName, String)> {
    let mut violations = Violations::new();
    let request_id = violations.request_id(request_id);
    let name = violations.take("name", ClassName::parse(name));
    let etag = parse::etag(&mut violations, "etag", etag);
    Ok((request_id, violations.finish_with(name)?, etag))
}

fn display_name(violations: &mut Violations, text: &str) -> String {
    violations.required_display_name("class.display_name", text, DISPLAY_NAME_CHARS_MAX)
}

fn filter(text: &str) -> Result<ClassFilter> {
    let fields = [
        ("state", FieldKind::Enum(&["ACTIVE", "ARCHIVED"])),
        ("owner", FieldKind::Text),
    ];
    let filter = Filter::parse(text, &fields)?;
    Ok(ClassFilter {
        state: filter.equal_name("state", ClassState::parse)?,
        owner: filter.equal_as("owner", UserId::parse)?,
    })
}
