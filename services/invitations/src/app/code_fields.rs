//! The fields of an enrollment code that its author sets, and the rules that concern several of them.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::{
    Result,
    auth::{Caller, Scope},
    rpc::Patch,
    validation::Violations,
};

use crate::{
    domain::{domain_rule::DomainRule, ways::enrollment_code::EnrollmentCode},
    store::InvitationRow,
};

/// The conditions under which an enrollment code works, and its label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CodeFields {
    /// Its first moment, inclusive (B5).
    pub(crate) valid_from: Patch<Option<DateTime<Utc>>>,
    /// Its end, exclusive (B5).
    pub(crate) valid_till: Patch<Option<DateTime<Utc>>>,
    /// The domains whose addresses get in; empty: all (B6).
    pub(crate) email_domains: Patch<Vec<DomainRule>>,
    /// True if the platform answers for domains in which strangers have addresses.
    pub(crate) acknowledges_broad_domain: bool,
    /// The switch (B8).
    pub(crate) enabled: Patch<bool>,
    /// The number of people that it admits; None: any number.
    pub(crate) max_uses: Patch<Option<u32>>,
    /// True to admit at once even people whom staff removed (R8).
    pub(crate) allow_rejoin: Patch<bool>,
    /// A label for staff.
    pub(crate) display_name: Patch<String>,
}

impl CodeFields {
    /// Fails with `SCOPE_MISSING` if a caller other than the platform acknowledges a broad domain.
    pub(crate) fn check_acknowledged(&self, caller: &Caller) -> Result<()> {
        if self.acknowledges_broad_domain {
            caller.require(Scope::Platform)?;
        }
        Ok(())
    }

    /// Sets the fields, and adds the names of those that changed to `all`. Returns true if this switches the code off.
    pub(super) fn set(self, row: &mut InvitationRow, all: &mut Vec<&'static str>) -> bool {
        let mut enabled = row.enabled;
        self.enabled.apply(&mut enabled, "enabled", all);
        let switched_off = row.switch(enabled);
        let to = &mut row.invitation;
        self.valid_from
            .apply(&mut to.valid_from, "valid_from_time", all);
        self.valid_till
            .apply(&mut to.valid_till, "valid_till_time", all);
        self.email_domains
            .apply(&mut to.email_domains, "email_domains", all);
        self.max_uses.apply(&mut to.max_uses, "max_uses", all);
        self.allow_rejoin
            .apply(&mut to.allow_rejoin, "allow_rejoin", all);
        self.display_name
            .apply(&mut row.display_name, "display_name", all);
        switched_off
    }
}

/// The first moment of a code and its end.
pub(crate) type Validity = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// Records violations that concern a code and its rules together: an end that is not after the beginning, and a weak
/// code that is not limited to domains and that nobody acknowledged (B5, B15).
pub(crate) fn check_code(
    violations: &mut Violations,
    code: &EnrollmentCode,
    (from, till): Validity,
    guarded: bool,
    acknowledged: bool,
) {
    if let (Some(from), Some(till)) = (from, till) {
        violations.check(
            from < till,
            "enrollment_code.valid_till_time",
            "must be after valid_from_time",
        );
    }
    if code.is_weak(guarded) && !acknowledged {
        violations.add_reason(
            ErrorReason::WeakCode,
            "enrollment_code.code",
            format!(
                "is easy to guess ({} bits): choose a longer one, add an email domain, or set acknowledge_weak",
                code.strength_bits()
            ),
        );
    }
}
