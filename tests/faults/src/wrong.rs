//! Protocols that are known to be wrong, and the faults that show it (03).

use std::str::FromStr;

use crate::fault::Fault;

/// A wrong variant of the protocol, compiled into `faulty-service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// A reservation is given up because time ran out.
    ReleaseOnTimeout,
    /// Admissions have no key.
    NoAdmissionKey,
    /// Fences are not judged.
    NoFence,
    /// Seats and uses are judged before the locks are taken.
    CheckThenAct,
    /// T3 writes over a settled redemption.
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

    /// Its name, as `faulty-service` knows it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReleaseOnTimeout => "release-on-timeout",
            Self::NoAdmissionKey => "no-admission-key",
            Self::NoFence => "no-fence",
            Self::CheckThenAct => "check-then-act",
            Self::SettleOverwrites => "settle-overwrites",
        }
    }

    /// The faults that find it out soonest.
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
