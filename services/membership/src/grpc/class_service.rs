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
    filter::{FieldKind, Filter},
    validation::{Mask, Violations},
};

use crate::{
    app::{
        App,
        classes::{self, ClassFields, ClassFilter, NewClass},
    },
    domain::{class::ClassState, organization::DISPLAY_NAME_CHARS_MAX},
};

/// The service over the use cases.
#[derive(Debug, Clone)]
pub(crate) struct ClassApi(pub(crate) App);

homeroom_kit::rpcs! {
    ClassService for ClassApi {
        create_class: CreateClassRequest => Class = change(create, classes::create);
        get_class: GetClassRequest => Class = get(ClassName::parse, App::class);
        list_classes: ListClassesRequest => ListClassesResponse { classes }
            = list(OrganizationName::parse, filter, App::classes);
        update_class: UpdateClassRequest => Class = change(update, classes::update);
        archive_class: ArchiveClassRequest => ArchiveClassResponse { class }
            = act(ClassName::parse, classes::archive);
        unarchive_class: UnarchiveClassRequest => UnarchiveClassResponse { class }
            = act(ClassName::parse, classes::unarchive);
        delete_class: DeleteClassRequest => () = act(ClassName::parse, classes::delete);
        transfer_class_ownership: TransferClassOwnershipRequest => TransferClassOwnershipResponse { class }
            = change(transfer, classes::transfer_ownership);
    }
}

fn create(
    v: &mut Violations,
    request: &CreateClassRequest,
) -> Option<(OrganizationName, NewClass)> {
    let organization = v.take("parent", OrganizationName::parse(&request.parent));
    let id = v.optional("class_id", &request.class_id, ClassId::parse_chosen);
    let class = v.required("class", request.class.as_ref())?;
    let fields = fields(v, &Mask::all(), class);
    let owner = v.optional("class.owner", &class.owner, UserId::parse_person);
    Some((organization?, NewClass { id, owner, fields }))
}

fn update(
    v: &mut Violations,
    request: &UpdateClassRequest,
) -> Option<(ClassName, (ClassFields, String))> {
    let mask = v.mask(request.update_mask.as_ref(), &["display_name", "labels"]);
    let class = v.required("class", request.class.as_ref())?;
    let name = v.take("class.name", ClassName::parse(&class.name));
    Some((name?, (fields(v, &mask, class), class.etag.clone())))
}

fn fields(v: &mut Violations, mask: &Mask, class: &Class) -> ClassFields {
    let name = &class.display_name;
    ClassFields {
        display_name: mask.patch("display_name", !name.is_empty(), || {
            v.required_display_name("class.display_name", name, DISPLAY_NAME_CHARS_MAX)
        }),
        labels: mask.patch("labels", !class.labels.is_empty(), || {
            v.labels("class.labels", &class.labels)
        }),
    }
}

fn transfer(
    v: &mut Violations,
    request: &TransferClassOwnershipRequest,
) -> Option<(ClassName, (UserId, String))> {
    let name = v.take("name", ClassName::parse(&request.name));
    let owner = v.take("owner", UserId::parse_person(&request.owner));
    Some((name?, (owner?, request.etag.clone())))
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
