//! The things that callers ask to make and to change, as typed values.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::validation::Violations;

use crate::domain::{
    domain_rule::DomainRule, email::EmailAddress, enrollment_code::EnrollmentCode,
    phrase::WordCount,
};

/// A field of an update: it is kept or set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is kept.
    #[default]
    Keep,
    /// The field is set to this.
    Set(T),
}

impl<T> Patch<T> {
    /// Returns `Set(value)` if the field is `named`, otherwise `Keep`.
    pub fn when(named: bool, value: T) -> Self {
        if named { Self::Set(value) } else { Self::Keep }
    }

    /// Sets the field if its value differs, and adds its name to `changed`.
    pub(crate) fn apply(self, field: &mut T, name: &'static str, changed: &mut Vec<&'static str>)
    where
        T: PartialEq,
    {
        if let Self::Set(value) = self
            && value != *field
        {
            *field = value;
            changed.push(name);
        }
    }
}

/// A class token to make (A6, A8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The number of people that it admits; None: any number.
    pub max_uses: Option<u32>,
    /// The one address that may use it.
    pub assigned_email: Option<EmailAddress>,
    /// The one external id that may use it.
    pub external_id: Option<String>,
    /// A label for staff.
    pub display_name: String,
    /// The time at which it stops working; None: 30 days from now (A14).
    pub expire_time: Option<DateTime<Utc>>,
    /// The number of words in its phrase.
    pub words: WordCount,
}

/// The changes of a class token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenPatch {
    /// The number of people that it admits; None: any number.
    pub max_uses: Patch<Option<u32>>,
    /// The one address that may use it.
    pub assigned_email: Patch<Option<EmailAddress>>,
    /// The one external id that may use it.
    pub external_id: Patch<Option<String>>,
    /// A label for staff.
    pub display_name: Patch<String>,
    /// The time at which it stops working; None: 30 days after it was made (A14).
    pub expire_time: Patch<Option<DateTime<Utc>>>,
}

/// An enrollment code to make (B1 to B16). It holds a secret, so it has no Debug.
#[derive(Clone)]
pub struct NewEnrollmentCode {
    /// The code that the author typed.
    pub code: EnrollmentCode,
    /// All other fields.
    pub rules: EnrollmentCodeRules,
}

/// The conditions under which an enrollment code works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentCodeRules {
    /// Its first moment, inclusive (B5).
    pub valid_from: Option<DateTime<Utc>>,
    /// Its end, exclusive (B5).
    pub valid_till: Option<DateTime<Utc>>,
    /// The domains whose addresses get in; empty: all (B6).
    pub email_domains: Vec<DomainRule>,
    /// The switch (B8).
    pub enabled: bool,
    /// The number of people that it admits; None: any number.
    pub max_uses: Option<u32>,
    /// True to admit at once even people whom staff removed (R8).
    pub allow_rejoin: bool,
    /// A label for staff.
    pub display_name: String,
}

/// Records violations that concern a code and its rules together: an end that is not after the beginning, and a weak
/// code that is not limited to domains and that nobody acknowledged (B5, B15).
pub(crate) fn check_code(
    violations: &mut Violations,
    code: &EnrollmentCode,
    (from, till): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
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

/// The changes of an enrollment code (B10). It holds a secret, so it has no Debug.
#[derive(Clone, Default)]
pub struct EnrollmentCodePatch {
    /// The code itself.
    pub code: Option<EnrollmentCode>,
    /// Its first moment, inclusive (B5).
    pub valid_from: Patch<Option<DateTime<Utc>>>,
    /// Its end, exclusive (B5).
    pub valid_till: Patch<Option<DateTime<Utc>>>,
    /// The domains whose addresses get in; empty: all (B6).
    pub email_domains: Patch<Vec<DomainRule>>,
    /// The switch (B8).
    pub enabled: Patch<bool>,
    /// The number of people that it admits; None: any number.
    pub max_uses: Patch<Option<u32>>,
    /// True to admit at once even people whom staff removed (R8).
    pub allow_rejoin: Patch<bool>,
    /// A label for staff.
    pub display_name: Patch<String>,
    /// True if the author knows that the code is weak.
    pub acknowledge_weak: bool,
}
