//! Protocols that are known to be wrong, and the faults that reveal them.

use homeroom_kit::failpoints::WrongVariant;

use crate::fault::Fault;

/// Returns the invariants that a variant breaks. Other findings do not prove that it was detected.
pub(crate) const fn breaks(variant: WrongVariant) -> &'static [&'static str] {
    match variant {
        WrongVariant::ReleaseOnTimeout => &["I1", "I3", "I7"],
        WrongVariant::NoAdmissionKey => &["I6", "I7"],
        WrongVariant::NoFence => &["I5"],
        WrongVariant::CheckThenAct => &["I1", "I3"],
        WrongVariant::SettleOverwrites => &["I4", "I7"],
    }
}

/// Returns the invariant that this variant breaks and that the violation names: at its beginning,
/// as in the auditor's findings, or in parentheses, as in those of the history.
pub(crate) fn found_out_by(variant: WrongVariant, violation: &str) -> Option<&'static str> {
    let rule = violation.split(':').next().unwrap_or_default();
    let named =
        |id: &&str| rule.starts_with(&format!("{id},")) || rule.contains(&format!("({id})"));
    breaks(variant).iter().copied().find(named)
}

/// Returns the faults that reveal a variant soonest.
pub(crate) const fn faults(variant: WrongVariant) -> &'static [Fault] {
    match variant {
        WrongVariant::ReleaseOnTimeout => &[Fault::ReplyLost, Fault::Delayed],
        WrongVariant::NoAdmissionKey => &[Fault::Repeated, Fault::ReplyLost],
        WrongVariant::NoFence => &[Fault::Delayed, Fault::Late],
        WrongVariant::CheckThenAct => &[Fault::Overload, Fault::Delayed],
        WrongVariant::SettleOverwrites => &[Fault::ErrorsAtCommits, Fault::Delayed],
    }
}

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
            found_out_by(WrongVariant::NoFence, violation),
            found,
            "{violation}"
        );
    }
}
