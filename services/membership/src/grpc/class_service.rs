//! `ClassService`.

use homeroom_api::{
    ids::{ClassId, UserId},
    membership::v1::{self as api, class_service_server::ClassService},
    names::{ClassName, OrganizationName},
};
use homeroom_kit::{
    Result,
    clock::to_timestamp,
    filter::{FieldKind, Filter},
    rpc::etag,
    validation::{Mask, Violations},
};

use crate::{
    app::{
        App,
        classes::{self, NewClass},
    },
    domain::{
        class::{Class, ClassFields, ClassFilter, ClassState},
        organization::DISPLAY_NAME_CHARS_MAX,
    },
};

homeroom_kit::rpcs! {
    ClassService for pub(crate) struct ClassApi(pub(crate) App) {
        create_class: api::CreateClassRequest => api::Class = change(create, classes::create);
        get_class: api::GetClassRequest => api::Class = get(ClassName::parse, App::class);
        list_classes: api::ListClassesRequest => api::ListClassesResponse { classes }
            = list(OrganizationName::parse, filter, App::classes);
        update_class: api::UpdateClassRequest => api::Class = change(update, classes::update);
        archive_class: api::ArchiveClassRequest => api::ArchiveClassResponse { class }
            = act(ClassName::parse, classes::archive);
        unarchive_class: api::UnarchiveClassRequest => api::UnarchiveClassResponse { class }
            = act(ClassName::parse, classes::unarchive);
        delete_class: api::DeleteClassRequest => () = act(ClassName::parse, classes::delete);
        transfer_class_ownership: api::TransferClassOwnershipRequest => api::TransferClassOwnershipResponse { class }
            = change(transfer, classes::transfer_ownership);
    }
}

fn create(
    v: &mut Violations,
    request: &api::CreateClassRequest,
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
    request: &api::UpdateClassRequest,
) -> Option<(ClassName, (ClassFields, String))> {
    let mask = v.mask(
        request.update_mask.as_ref(),
        &["display_name", "labels", "external_id"],
    );
    let class = v.required("class", request.class.as_ref())?;
    let name = v.take("class.name", ClassName::parse(&class.name));
    let fields = fields(v, &mask, class);
    Some((name?, (fields, class.etag.clone())))
}

fn fields(v: &mut Violations, mask: &Mask, class: &api::Class) -> ClassFields {
    let name = &class.display_name;
    ClassFields {
        display_name: mask.patch("display_name", !name.is_empty(), || {
            v.required_display_name("class.display_name", name, DISPLAY_NAME_CHARS_MAX)
        }),
        labels: mask.patch("labels", !class.labels.is_empty(), || {
            v.labels("class.labels", &class.labels)
        }),
        external_id: mask.patch("external_id", !class.external_id.is_empty(), || {
            v.external_id("class.external_id", &class.external_id)
        }),
    }
}

fn transfer(
    v: &mut Violations,
    request: &api::TransferClassOwnershipRequest,
) -> Option<(ClassName, (UserId, String))> {
    let name = v.take("name", ClassName::parse(&request.name));
    let owner = v.take("owner", UserId::parse_person(&request.owner));
    Some((name?, (owner?, request.etag.clone())))
}

fn filter(text: &str) -> Result<ClassFilter> {
    let fields = [
        ("state", FieldKind::Enum(&["ACTIVE", "ARCHIVED"])),
        ("owner", FieldKind::Text),
        ("external_id", FieldKind::Text),
    ];
    let filter = Filter::parse(text, &fields)?;
    Ok(ClassFilter {
        state: filter.equal_name("state", ClassState::parse)?,
        owner: filter.equal_as("owner", UserId::parse)?,
        external_id: filter.equal_external_id("external_id")?,
    })
}

impl From<Class> for api::Class {
    fn from(class: Class) -> Self {
        Self {
            name: class.name.to_string(),
            display_name: class.display_name,
            owner: class.owner.to_string(),
            state: class_state(class.state).into(),
            labels: class.labels,
            etag: etag(class.revision),
            create_time: Some(to_timestamp(class.create_time)),
            update_time: Some(to_timestamp(class.update_time)),
            external_id: class.external_id,
        }
    }
}

fn class_state(state: ClassState) -> api::class::State {
    api::class::State::from_str_name(state.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_on_the_wire_are_those_in_the_database() {
        for each in ClassState::ALL {
            assert_eq!(class_state(each).as_str_name(), each.as_str());
        }
    }
}
