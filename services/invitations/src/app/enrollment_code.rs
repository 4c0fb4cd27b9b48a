//! Enrollment codes, chosen by their authors (B1 to B16).

use std::{collections::BTreeMap, sync::Arc};

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{DeleteEnrollmentCodeRequest, EnrollmentCode as View},
    names::{EnrollmentCodeName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    random::new_id,
    rpc::check_etag,
    secret::SecretText,
    validation::Violations,
};
use uuid::Uuid;

use super::{
    App, EnrollmentCodePatch, NewEnrollmentCode,
    fold_codes::fold_codes,
    patch::{EnrollmentCodeRules, check_code},
    rules,
    views::{self, Answer},
    write::{Change, Work, changed},
};
use crate::{
    domain::{
        enrollment_code::{CodePrefix, EnrollmentCode, folded},
        invitation::InvitationKind,
    },
    membership::Access,
    store::{InvitationFilter, InvitationRow, Repository},
};

const KIND: InvitationKind = InvitationKind::EnrollmentCode;

fn code_not_found(name: &EnrollmentCodeName) -> Error {
    Error::new(
        ErrorReason::CodeNotFound,
        "There is no such enrollment code that you may see; check its name.",
    )
    .resource("homeroom/EnrollmentCode", name.to_string())
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

async fn find(repository: &mut dyn Repository, name: &EnrollmentCodeName) -> Result<InvitationRow> {
    repository
        .get_invitation(name.id)
        .await?
        .filter(|row| {
            row.invitation.kind == KIND
                && row.invitation.place == name.place
                && row.delete_time.is_none()
        })
        .ok_or_else(|| code_not_found(name))
}

impl App {
    /// Reads an enrollment code, unmasked. The read is audited.
    pub async fn get_enrollment_code(
        &self,
        caller: &Caller,
        name: &EnrollmentCodeName,
    ) -> Result<View> {
        let access = self
            .authorize(caller, &name.place, rules::GET_ENROLLMENT_CODE)
            .await?;
        let row = find(self.store.read().await?.as_mut(), name).await?;
        self.audit_read(caller, &row).await?;
        let mut shown = views::enrollment_code(&row, &access.code_prefix, self.clock.now());
        shown.fill(self, &[row])?;
        Ok(shown)
    }

    /// Lists the codes of a class, or those of the organization itself, newest first (B7). The read is audited as one
    /// entry.
    pub async fn list_enrollment_codes(
        &self,
        caller: &Caller,
        place: &Place,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<View>> {
        let access = self
            .authorize(caller, place, rules::LIST_ENROLLMENT_CODES)
            .await?;
        let rows = self.list_rows(place, KIND, filter, page).await?;
        if !rows.items.is_empty() {
            self.audit_deed(caller, Some(place), place.to_string())
                .await?;
        }
        let now = self.clock.now();
        let mut items = Vec::with_capacity(rows.items.len());
        for row in rows.items {
            let mut shown = views::enrollment_code(&row, &access.code_prefix, now);
            shown.fill(self, &[row])?;
            items.push(shown);
        }
        Ok(Page {
            items,
            next_page_token: rows.next_page_token,
        })
    }

    /// Deletes an enrollment code and destroys its secret (B11); it returns once nobody is admitted by the code (P7).
    pub(crate) async fn delete_enrollment_code(
        self: &Arc<Self>,
        caller: &Caller,
        name: EnrollmentCodeName,
        request: (Option<Uuid>, &DeleteEnrollmentCodeRequest),
    ) -> Result<()> {
        let (id, place, etag) = (name.id, name.place.clone(), request.1.etag.clone());
        let rule = rules::DELETE_ENROLLMENT_CODE;
        let deleted = self.change(caller, place, rule, request, move |work| {
            Box::pin(delete(work, name, etag))
        });
        let deleted = deleted.await;
        if let Err(error) = &deleted
            && error.reason() == ErrorReason::CodeNotFound
        {
            // The code was deleted before, perhaps without raising its fence: the caller is not told so until the fence
            // is up.
            self.raise_fences_of(&[id], caller.deadline).await?;
        }
        deleted
    }
}

/// Makes an enrollment code in a class or for the organization (B1, B2).
pub(crate) async fn create(work: &mut Work, new: NewEnrollmentCode) -> Result<Change<View>> {
    work.refuse_archived()?;
    let row = work.make_enrollment_code(&new.code, new.rules).await?;
    Ok(answer(work, row))
}

/// Changes an enrollment code (B8, B10). A switch-off or a changed code is answered once nobody is admitted by the old
/// state (P7).
pub(crate) async fn update(
    work: &mut Work,
    name: EnrollmentCodeName,
    etag: String,
    patch: EnrollmentCodePatch,
) -> Result<Change<View>> {
    let mut row = find(work.repository.as_mut(), &name).await?;
    check_etag(&etag, row.revision)?;
    work.apply(&mut row, patch).await?;
    Ok(answer(work, row))
}

async fn delete(work: &mut Work, name: EnrollmentCodeName, etag: String) -> Result<Change<()>> {
    let mut row = find(work.repository.as_mut(), &name).await?;
    check_etag(&etag, row.revision)?;
    row.delete_time = Some(work.now);
    row.end();
    work.save("enrollment_code.deleted", &mut row, BTreeMap::new())
        .await?;
    Ok(Change::of((), row))
}

fn answer(work: &Work, row: InvitationRow) -> Change<View> {
    let view = views::enrollment_code(&row, &work.access.code_prefix, work.now);
    Change::of(view, row).shown()
}

impl Work {
    async fn make_enrollment_code(
        &mut self,
        code: &EnrollmentCode,
        rules: EnrollmentCodeRules,
    ) -> Result<InvitationRow> {
        let app = Arc::clone(&self.app);
        let id = new_id(app.clock.as_ref(), app.random.as_ref());
        let mut row = InvitationRow::new(id, KIND, self.place.clone(), self.now);
        row.display_name = rules.display_name;
        row.strength_bits = code.strength_bits();
        row.switch(rules.enabled);
        row.invitation.valid_from = rules.valid_from;
        row.invitation.valid_till = rules.valid_till;
        row.invitation.email_domains = rules.email_domains;
        row.invitation.max_uses = rules.max_uses;
        row.invitation.allow_rejoin = rules.allow_rejoin;
        let full = code.full_canonical(&prefix(&self.access)?);
        self.refuse_taken(&full, id).await?;
        row.set_secret(app.secrets(), &full, code.shown())?;
        let inserted = self
            .repository
            .insert_invitations(std::slice::from_ref(&row))
            .await?;
        if inserted != [true] {
            return Err(code_taken());
        }
        let made = std::slice::from_ref(&row);
        self.events("enrollment_code.created", made, BTreeMap::new())
            .await?;
        Ok(row)
    }

    /// Fails with `CODE_TAKEN` if an invitation other than `own` has this code, or one that reads like it (B4).
    async fn refuse_taken(&mut self, full: &SecretText, own: Uuid) -> Result<()> {
        let app = Arc::clone(&self.app);
        let repository = self.repository.as_mut();
        fold_codes(repository, app.secrets(), self.place.organization()).await?;
        let macs = app.secrets().look_up(KIND, full).all();
        let alike = repository.find_all_by_lookup_macs(&macs).await?;
        if alike.iter().any(|row| row.invitation.id != own) {
            return Err(code_taken());
        }
        Ok(())
    }

    async fn apply(&mut self, row: &mut InvitationRow, patch: EnrollmentCodePatch) -> Result<()> {
        let app = Arc::clone(&self.app);
        let secrets = app.secrets();
        let present = secrets
            .show(row)?
            .and_then(|shown| EnrollmentCode::parse(shown.expose()).ok())
            .ok_or_else(|| Error::internal("an enrollment code has lost its code"))?;
        let mut fields = Vec::new();

        let code = patch.code.unwrap_or_else(|| present.clone());
        if code.shown().expose() != present.shown().expose() {
            fields.push("code");
        }
        let mut enabled = row.enabled;
        patch.enabled.apply(&mut enabled, "enabled", &mut fields);
        let switched_off = row.switch(enabled);
        let invitation = &mut row.invitation;
        patch
            .valid_from
            .apply(&mut invitation.valid_from, "valid_from_time", &mut fields);
        patch
            .valid_till
            .apply(&mut invitation.valid_till, "valid_till_time", &mut fields);
        patch
            .email_domains
            .apply(&mut invitation.email_domains, "email_domains", &mut fields);
        patch
            .max_uses
            .apply(&mut invitation.max_uses, "max_uses", &mut fields);
        patch
            .allow_rejoin
            .apply(&mut invitation.allow_rejoin, "allow_rejoin", &mut fields);
        patch
            .display_name
            .apply(&mut row.display_name, "display_name", &mut fields);
        if fields.is_empty() {
            return Ok(());
        }

        let judged_anew = fields.contains(&"code") || fields.contains(&"email_domains");
        let acknowledged = patch.acknowledge_weak || !judged_anew;
        let mut violations = Violations::new();
        let invitation = &row.invitation;
        let valid = (invitation.valid_from, invitation.valid_till);
        let guarded = !invitation.email_domains.is_empty();
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
                row.invitation.issue_time = self.now;
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
