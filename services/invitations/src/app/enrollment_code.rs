//! Enrollment codes, chosen by their authors (B1 to B16).

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::{
    common::v1::ErrorReason,
    ids::CodePrefix,
    membership::v1::Permission,
    names::{InvitationName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    secret::SecretText,
    validation::Violations,
};
use prost::Message;
use uuid::Uuid;

use super::{
    App,
    answer::Shown,
    code_fields::{CodeFields, check_code},
    find::find,
    fold_codes::fold_codes,
    write::{Change, Work, changed},
};
use crate::{
    domain::{
        domain_rule::DomainRule,
        invitation::{InvitationFilter, InvitationKind},
        ways::enrollment_code::{EnrollmentCode, folded},
    },
    membership::Access,
    store::InvitationRow,
};

const KIND: InvitationKind = InvitationKind::EnrollmentCode;

/// The changes of an enrollment code (B10). It holds a secret, so it has no Debug.
pub(crate) struct CodeUpdate {
    /// The code itself, if it is set.
    pub(crate) code: Option<EnrollmentCode>,
    /// The other fields.
    pub(crate) fields: CodeFields,
    /// True if the author knows that the code is weak.
    pub(crate) acknowledge_weak: bool,
}

fn code_taken() -> Error {
    Error::new(
        ErrorReason::CodeTaken,
        "Choose another code: this one is in use, or reads like one that is. Case, spaces and hyphens, O and 0, and I, L and 1 make no difference.",
    )
    .violation("enrollment_code.code", "is in use")
}

fn prefix(access: &Access) -> Result<CodePrefix> {
    CodePrefix::parse(&access.code_prefix)
        .map_err(|_| Error::internal("membership gave no code prefix"))
}

impl App {
    /// Reads an enrollment code, unmasked. The read is audited.
    pub async fn get_enrollment_code(
        &self,
        caller: &Caller,
        name: InvitationName,
    ) -> Result<Shown> {
        let permission = Permission::ReadInvitations;
        let access = self.authorize(caller, &name.place, permission).await?;
        let row = find(&mut self.store.read().await?, &name).await?;
        self.audit_read(caller, &row).await?;
        self.shown_code(row, &access)
    }

    fn shown_code(&self, row: InvitationRow, access: &Access) -> Result<Shown> {
        Ok(Shown {
            code_prefix: access.code_prefix.clone(),
            ..self.shown(row)?
        })
    }

    /// Lists the codes of a class, or those of the organization itself, newest first (B7). The read is audited as one
    /// entry.
    pub async fn list_enrollment_codes(
        &self,
        caller: &Caller,
        place: Place,
        filter: InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<Shown>> {
        let permission = Permission::ReadInvitations;
        let access = self.authorize(caller, &place, permission).await?;
        let rows = self.list_rows(&place, KIND, &filter, page).await?;
        if !rows.items.is_empty() {
            self.audit_deed(caller, Some(&place), place.to_string())
                .await?;
        }
        let items = rows.items.into_iter();
        Ok(Page {
            items: items
                .map(|row| self.shown_code(row, &access))
                .collect::<Result<_>>()?,
            next_page_token: rows.next_page_token,
        })
    }

    /// Deletes an enrollment code and destroys its secret (B11); it returns once nobody is admitted by the code (P7).
    pub(crate) async fn delete_enrollment_code(
        self: &Arc<Self>,
        caller: &Caller,
        name: InvitationName,
        etag: String,
        request: (Option<Uuid>, &impl Message),
    ) -> Result<()> {
        let (id, place) = (name.id, name.place.clone());
        let permission = Permission::ManageInvitations;
        let deleted = self.change(caller, place, permission, request, move |work| {
            Box::pin(delete(work, name, etag))
        });
        let deleted = deleted.await;
        if let Err(error) = &deleted
            && error.reason() == ErrorReason::CodeNotFound
        {
            // The code was deleted before, perhaps without raising its fence: the caller is not told so until the fence
            // is up.
            self.raise_fences_of(id.as_slice(), caller.deadline).await?;
        }
        deleted
    }
}

/// Makes an enrollment code in a class or for the organization (B1, B2).
pub(crate) async fn create(
    work: &mut Work,
    _: Place,
    (code, fields): (EnrollmentCode, CodeFields),
) -> Result<Change> {
    work.refuse_archived()?;
    fields.check_acknowledged(&work.caller)?;
    let app = Arc::clone(&work.app);
    let mut row = work.new_invitation(KIND);
    fields.set(&mut row, &mut Vec::new());
    row.strength_bits = code.strength_bits();
    let full = code.full_canonical(&prefix(&work.access)?);
    work.refuse_taken(&full, row.invitation.id).await?;
    row.set_secret(app.secrets(), &full, code.shown())?;
    let made = std::slice::from_ref(&row);
    if work.repository.insert_invitations(made).await? != [true] {
        return Err(code_taken());
    }
    work.events("enrollment_code.created", made, BTreeMap::new())
        .await?;
    Ok(Change::shown(row))
}

/// Changes an enrollment code (B8, B10). A switch-off or a changed code is answered once nobody is admitted by the old
/// state (P7).
pub(crate) async fn update(
    work: &mut Work,
    name: InvitationName,
    (update, etag): (CodeUpdate, String),
) -> Result<Change> {
    update.fields.check_acknowledged(&work.caller)?;
    let mut row = work.load(&name, &etag).await?;
    work.apply(&mut row, update).await?;
    Ok(Change::shown(row))
}

async fn delete(work: &mut Work, name: InvitationName, etag: String) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    row.delete_time = Some(work.now);
    row.end();
    work.save("enrollment_code.deleted", &mut row, BTreeMap::new())
        .await?;
    Ok(Change::of(row))
}

impl Work {
    /// Fails with `CODE_TAKEN` if an invitation other than `own` has this code, or one that reads like it (B4).
    async fn refuse_taken(&mut self, full: &SecretText, own: Uuid) -> Result<()> {
        let app = Arc::clone(&self.app);
        let repository = &mut self.repository;
        fold_codes(repository, app.secrets(), self.place.organization()).await?;
        let macs = app.secrets().look_up(KIND, full).all();
        let alike = repository.find_all_by_lookup_macs(&macs).await?;
        if alike.iter().any(|row| row.invitation.id != own) {
            return Err(code_taken());
        }
        Ok(())
    }

    async fn apply(&mut self, row: &mut InvitationRow, update: CodeUpdate) -> Result<()> {
        let app = Arc::clone(&self.app);
        let secrets = app.secrets();
        let present = secrets
            .show(row)?
            .and_then(|shown| EnrollmentCode::parse(shown.expose()).ok())
            .ok_or_else(|| Error::internal("an enrollment code has lost its code"))?;
        let mut fields = Vec::new();
        let code = update.code.unwrap_or_else(|| present.clone());
        if code.shown().expose() != present.shown().expose() {
            fields.push("code");
        }
        let switched_off = update.fields.set(row, &mut fields);
        if fields.is_empty() {
            return Ok(());
        }

        let judged_anew = fields.contains(&"code") || fields.contains(&"email_domains");
        let acknowledged = update.acknowledge_weak || !judged_anew;
        let mut violations = Violations::new();
        let invitation = &row.invitation;
        let valid = (invitation.valid_from, invitation.valid_till);
        let domains = &invitation.email_domains;
        let guarded = !domains.is_empty() && !domains.iter().any(DomainRule::is_broad);
        check_code(&mut violations, &code, valid, guarded, acknowledged);
        violations.finish()?;

        let code_prefix = prefix(&self.access)?;
        let full = code.full_canonical(&code_prefix);
        let code_changed = full != present.full_canonical(&code_prefix);
        if code_changed {
            self.refuse_taken(&full, row.invitation.id).await?;
            // A code that reads like the present one is found by either, so it admits nobody whom the present one does
            // not (R8).
            let present = present.full_canonical(&code_prefix);
            if folded(full.expose()) != folded(present.expose()) {
                row.invitation.issue_time = self.authorize_time;
            }
            row.strength_bits = code.strength_bits();
        }
        if code_changed || switched_off {
            row.raise_epoch();
        }
        row.set_secret(secrets, &full, code.shown())?;
        if self
            .save_if_free("enrollment_code.updated", row, changed(&fields))
            .await?
        {
            Ok(())
        } else {
            Err(code_taken())
        }
    }
}
