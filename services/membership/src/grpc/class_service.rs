//! `ClassService`.

use homeroom_api::{
    ids::{ClassId, UserId},
    membership::v1::{
        ArchiveClassRequest, ArchiveClassResponse, Class, CreateClassRequest, DeleteClassRequest,
        GetClassRequest, ListClassesRequest, ListClassesResponse, TransferClassOwnershipRequest,
        TransferClassOwnershipResponse, UnarchiveClassRequest, UnarchiveClassResponse,
        UpdateClassRequest, class_service_server::ClassService,
    },
    names::ClassName,
};
use homeroom_kit::{
    Error,
    auth::Caller,
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
        App,
        classes::{self, ClassFilter, ClassPatch, NewClass},
    },
    domain::{class::ClassState, organization::DISPLAY_NAME_CHARS_MAX},
};

/// The service over the use cases.
#[derive(Debug, Clone)]
pub(crate) struct ClassApi(pub(crate) App);

#[async_trait]
impl ClassService for ClassApi {
    async fn create_class(
        &self,
        request: Request<CreateClassRequest>,
    ) -> Result<Response<Class>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, new) = create(&request)?;
        let created = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move { Ok(convert::class(classes::create(change, new).await?)) })
        });
        Ok(Response::new(created.await?))
    }

    async fn get_class(
        &self,
        request: Request<GetClassRequest>,
    ) -> Result<Response<Class>, Status> {
        let caller = Caller::of(&request)?;
        let mut violations = Violations::new();
        let name = parse::class(&mut violations, "name", &request.get_ref().name);
        let name = parse::finish(violations, name)?;
        let found = self.0.class(&caller, name).await?;
        Ok(Response::new(convert::class(found)))
    }

    async fn list_classes(
        &self,
        request: Request<ListClassesRequest>,
    ) -> Result<Response<ListClassesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let organization = parse::organization(&mut violations, "parent", &request.parent);
        violations.page_size(request.page_size);
        let organization = parse::finish(violations, organization)?;
        let filter = filter(&request.filter)?;
        let list = format!("ListClasses {} {}", request.parent, request.filter);
        let page = self
            .0
            .paging
            .parse(request.page_size, &request.page_token, &list)?;
        let found = self.0.classes(&caller, organization, filter, &page).await?;
        Ok(Response::new(ListClassesResponse {
            next_page_token: self.0.next_page_token(&list, found.next.as_deref()),
            classes: found.items.into_iter().map(convert::class).collect(),
        }))
    }

    async fn update_class(
        &self,
        request: Request<UpdateClassRequest>,
    ) -> Result<Response<Class>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, name, patch, etag) = update(&request)?;
        let updated = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let updated = classes::update(change, name, patch, &etag).await?;
                Ok(convert::class(updated))
            })
        });
        Ok(Response::new(updated.await?))
    }

    async fn archive_class(
        &self,
        request: Request<ArchiveClassRequest>,
    ) -> Result<Response<ArchiveClassResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, name, etag) = guarded(&request.request_id, &request.name, &request.etag)?;
        let archived = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let class = classes::archive(change, name, &etag).await?;
                Ok(ArchiveClassResponse {
                    class: Some(convert::class(class)),
                })
            })
        });
        Ok(Response::new(archived.await?))
    }

    async fn unarchive_class(
        &self,
        request: Request<UnarchiveClassRequest>,
    ) -> Result<Response<UnarchiveClassResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, name, etag) = guarded(&request.request_id, &request.name, &request.etag)?;
        let opened = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let class = classes::unarchive(change, name, &etag).await?;
                Ok(UnarchiveClassResponse {
                    class: Some(convert::class(class)),
                })
            })
        });
        Ok(Response::new(opened.await?))
    }

    async fn delete_class(
        &self,
        request: Request<DeleteClassRequest>,
    ) -> Result<Response<()>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let (request_id, name, etag) = guarded(&request.request_id, &request.name, &request.etag)?;
        let deleted = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move { classes::delete(change, name, &etag).await })
        });
        Ok(Response::new(deleted.await?))
    }

    async fn transfer_class_ownership(
        &self,
        request: Request<TransferClassOwnershipRequest>,
    ) -> Result<Response<TransferClassOwnershipResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::new();
        let v = &mut violations;
        let request_id = v.request_id(&request.request_id);
        let name = parse::class(v, "name", &request.name);
        let owner = v.take("owner", UserId::parse_person(&request.owner));
        let etag = parse::etag(v, "etag", &request.etag);
        let (name, owner) = parse::finish(violations, name.zip(owner))?;
        let transferred = self.0.write(&caller, request_id, &request, |change| {
            Box::pin(async move {
                let class = classes::transfer_ownership(change, name, owner, &etag).await?;
                Ok(TransferClassOwnershipResponse {
                    class: Some(convert::class(class)),
                })
            })
        });
        Ok(Response::new(transferred.await?))
    }
}

fn create(request: &CreateClassRequest) -> Parsed<(Option<Uuid>, NewClass)> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let organization = parse::organization(v, "parent", &request.parent);
    let id = parse::optional(v, "class_id", &request.class_id, ClassId::parse_chosen);
    let class = parse::message(v, "class", request.class.as_ref());
    let new = class.and_then(|class| {
        let display_name = display_name(v, &class.display_name);
        v.labels("class.labels", &class.labels);
        let owner = parse::optional(v, "class.owner", &class.owner, UserId::parse_person);
        Some(NewClass {
            organization: organization?,
            id,
            display_name,
            owner,
            labels: class.labels.clone(),
        })
    });
    Ok((request_id, parse::finish(violations, new)?))
}

type Update = (Option<Uuid>, ClassName, ClassPatch, String);

fn update(request: &UpdateClassRequest) -> Parsed<Update> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let request_id = v.request_id(&request.request_id);
    let mask = parse::Mask::parse(v, request.update_mask.as_ref(), &["display_name", "labels"]);
    let class = parse::message(v, "class", request.class.as_ref());
    let update = class.and_then(|class| {
        let name = parse::class(v, "class.name", &class.name);
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
    parse::finish(violations, update)
}

fn guarded(request_id: &str, name: &str, etag: &str) -> Parsed<(Option<Uuid>, ClassName, String)> {
    let mut violations = Violations::new();
    let request_id = violations.request_id(request_id);
    let name = parse::class(&mut violations, "name", name);
    let etag = parse::etag(&mut violations, "etag", etag);
    Ok((request_id, parse::finish(violations, name)?, etag))
}

fn display_name(violations: &mut Violations, text: &str) -> String {
    violations.required_display_name("class.display_name", text, DISPLAY_NAME_CHARS_MAX)
}

fn filter(text: &str) -> Parsed<ClassFilter> {
    let fields = [
        ("state", FieldKind::Enum(&["ACTIVE", "ARCHIVED"])),
        ("owner", FieldKind::Text),
    ];
    let filter = Filter::parse(text, &fields)?;
    let owner = parse::equals(&filter, "owner")?
        .map(UserId::parse)
        .transpose();
    Ok(ClassFilter {
        state: parse::equals(&filter, "state")?.and_then(ClassState::parse),
        owner: owner.map_err(|error| {
            Error::new(
                homeroom_api::common::v1::ErrorReason::InvalidFilter,
                format!("Correct the field filter: {error}."),
            )
            .violation("filter", error.to_string())
        })?,
    })
}
