//! What callers ask to make and to change, as typed values.

use chrono::{DateTime, Utc};
use homeroom_api::common::v1::ErrorReason;
use homeroom_kit::validation::Violations;

use crate::domain::{
    domain_rule::DomainRule, email::EmailAddress, enrollment_code::EnrollmentCode,
    phrase::WordCount,
};

/// A field of an update: left as it is, or set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Left as it is.
    #[default]
    Keep,
    /// Set to this.
    Set(T),
}

impl<T> Patch<T> {
    /// Set to `value` if `named`, else kept.
    pub fn when(named: bool, value: T) -> Self {
        if named { Self::Set(value) } else { Self::Keep }
    }

    /// Writes the field if it is set to another value, and its name into `changed`.
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
    /// How many people it admits; None: any number.
    pub max_uses: Option<u32>,
    /// The one address that may use it.
    pub assigned_email: Option<EmailAddress>,
    /// The one external id that may use it.
    pub external_id: Option<String>,
    /// A label for staff.
    pub display_name: String,
    /// When it stops working; None: 30 days from now (A14).
    pub expire_time: Option<DateTime<Utc>>,
    /// Words of its phrase.
    pub words: WordCount,
}

/// What to change of a class token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenPatch {
    /// How many people it admits; None: any number.
    pub max_uses: Patch<Option<u32>>,
    /// The one address that may use it.
    pub assigned_email: Patch<Option<EmailAddress>>,
    /// The one external id that may use it.
    pub external_id: Patch<Option<String>>,
    /// A label for staff.
    pub display_name: Patch<String>,
    /// When it stops working; None: 30 days after it was made (A14).
    pub expire_time: Patch<Option<DateTime<Utc>>>,
}

/// An enrolment code to make (B1 to B16). It holds a secret: it has no Debug.
#[derive(Clone)]
pub struct NewEnrollmentCode {
    /// What its author typed.
    pub code: EnrollmentCode,
    /// Everything else.
    pub rules: EnrollmentCodeRules,
}

/// When and for whom an enrolment code works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentCodeRules {
    /// Its first moment, inclusive (B5).
    pub valid_from: Option<DateTime<Utc>>,
    /// Its end, exclusive (B5).
    pub valid_till: Option<DateTime<Utc>>,
    /// Whose addresses get in; empty: all (B6).
    pub email_domains: Vec<DomainRule>,
    /// The switch (B8).
    pub enabled: bool,
    /// How many people it admits; None: any number.
    pub max_uses: Option<u32>,
    /// Admits at once even those whom staff removed (R8).
    pub allow_rejoin: bool,
    /// A label for staff.
    pub display_name: String,
}

/// Records what is wrong with a code and its rules together: an end that is not after the beginning, and a
/// weak code that no domain guards and nobody acknowledged (B5, B14).
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

/// What to change of an enrolment code (B10). It holds a secret: it has no Debug.
#[derive(Clone, Default)]
pub struct EnrollmentCodePatch {
    /// The code itself.
    pub code: Option<EnrollmentCode>,
    /// Its first moment, inclusive (B5).
    pub valid_from: Patch<Option<DateTime<Utc>>>,
    /// Its end, exclusive (B5).
    pub valid_till: Patch<Option<DateTime<Utc>>>,
    /// Whose addresses get in; empty: all (B6).
    pub email_domains: Patch<Vec<DomainRule>>,
    /// The switch (B8).
    pub enabled: Patch<bool>,
    /// How many people it admits; None: any number.
    pub max_uses: Patch<Option<u32>>,
    /// Admits at once even those whom staff removed (R8).
    pub allow_rejoin: Patch<bool>,
    /// A label for staff.
    pub display_name: Patch<String>,
    /// The author knows that it is weak.
    pub acknowledge_weak: bool,
}
