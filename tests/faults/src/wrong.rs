//! Protocols that are known to be wrong, and the faults that reveal them.

use std::str::FromStr;

use crate::fault::Fault;

/// A wrong variant of the protocol, compiled into `faulty-service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// A reservation is released when a time limit passes.
    ReleaseOnTimeout,
    /// Admissions have no key.
    NoAdmissionKey,
    /// Fences are not checked.
    NoFence,
    /// Seats and uses are checked before the locks are taken.
    CheckThenAct,
    /// T3 overwrites a settled redemption.
    SettleOverwrites,
}

impl Variant {
    const ALL: [Self; 5] = [
        Self::ReleaseOnTimeout,
        Self::NoAdmissionKey,
        Self::NoFence,
        Self::CheckThenAct,
        Self::SettleOverwrites,
    ];

    /// Returns its name in `faulty-service`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReleaseOnTimeout => "release-on-timeout",
            Self::NoAdmissionKey => "no-admission-key",
            Self::NoFence => "no-fence",
            Self::CheckThenAct => "check-then-act",
            Self::SettleOverwrites => "settle-overwrites",
        }
    }

    /// Returns the invariants that it breaks. Other findings do not prove that it was detected.
    pub(crate) const fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::ReleaseOnTimeout => &["I1", "I3", "I7"],
            Self::NoAdmissionKey => &["I6", "I7"],
            Self::NoFence => &["I5"],
            Self::CheckThenAct => &["I1", "I3"],
            Self::SettleOverwrites => &["I4", "I7"],
        }
    }

    /// Returns the invariant that this variant breaks and that the violation names: at its
    /// beginning, as in the auditor's findings, or in parentheses, as in those of the history.
    pub(crate) fn found_out_by(self, violation: &str) -> Option<&'static str> {
        let rule = violation.split(':').next().unwrap_or_default();
        let named = |id: &&str| {
            let begins = rule
                .strip_prefix(*id)
                .is_some_and(|rest| rest.starts_with(','));
            begins || rule.contains(&format!("({id})"))
        };
        self.breaks().iter().copied().find(named)
    }

    /// Returns the faults that reveal it soonest.
    pub(crate) const fn faults(self) -> &'static [Fault] {
        match self {
            Self::ReleaseOnTimeout => &[Fault::ReplyLost, Fault::Delayed],
            Self::NoAdmissionKey => &[Fault::Repeated, Fault::ReplyLost],
            Self::NoFence => &[Fault::Delayed, Fault::Late],
            Self::CheckThenAct => &[Fault::Overload, Fault::Delayed],
            Self::SettleOverwrites => &[Fault::ErrorsAtCommits, Fault::Delayed],
        }
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|variant| variant.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            format!("no such variant; there are: {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_found_out_by_the_invariants_that_it_breaks_and_no_other() {
        for (violation, found) in [
            ("I5, a fence: 1 × admitted below it (I7)", Some("I5")),
            (
                "history, nobody comes in by a closed secret (I5): x",
                Some("I5"),
            ),
            ("I7, a retry: 1 × told otherwise, see (I5)", None),
            ("history, who left is out: x", None),
            ("no answer: 3 callers (I5)", None),
        ] {
            assert_eq!(
                Variant::NoFence.found_out_by(violation),
                found,
                "{violation}"
            );
        }
    }
}
