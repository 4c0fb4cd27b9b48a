//! The scopes that allow a caller more than its own user's rights.

use std::fmt;

crate::named! {
    /// A scope of an access token.
    pub enum Scope: as_str, parse {
        /// `homeroom.platform`: create organizations, set seat limits, erase.
        Platform = "homeroom.platform",
        /// `homeroom.act_as`: act for the user named in `x-homeroom-user`, redeem for others.
        ActAs = "homeroom.act_as",
        /// `homeroom.vouch`: the caller's `email_verified` and `external_id` are trusted.
        Vouch = "homeroom.vouch",
        /// `homeroom.forward_ip`: the caller's `client_ip` is trusted.
        ForwardIp = "homeroom.forward_ip",
        /// `homeroom.admit`: admit, fence and check access; read every feed.
        Admit = "homeroom.admit",
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);

    /// Every scope.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Returns the scopes in a token's `scope` claim; scopes of other applications are ignored.
    #[must_use]
    pub fn parse(claim: &str) -> Self {
        Self::parse_prefixed(claim, "")
    }

    /// Returns the scopes that the claim names with this text before them. The same names without it are those of
    /// another application.
    #[must_use]
    pub(super) fn parse_prefixed(claim: &str, prefix: &str) -> Self {
        let names = claim.split_ascii_whitespace();
        names
            .filter_map(|name| Scope::parse(name.strip_prefix(prefix)?))
            .collect()
    }

    /// Returns true if the set contains the scope.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        (self.0 >> scope as u8) & 1 == 1
    }

    /// Returns the set with one more scope.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        Self(self.0 | 1 << scope as u8)
    }

    /// Returns the scopes that are in one of the sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the scopes that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns each scope of the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::NONE, Self::with)
    }
}

/// Formats the scopes as a token's `scope` claim.
impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        formatter.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_read_as_it_is_written() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            let only: Scopes = [scope].into_iter().collect();
            assert_eq!(Scopes::parse(&only.to_string()), only);
            assert!(Scopes::all().contains(scope));
            assert!(!Scopes::NONE.contains(scope));
        }
        assert_eq!(Scopes::parse("openid homeroom.vouchsafe"), Scopes::NONE);
        assert_eq!(Scopes::parse(&Scopes::all().to_string()), Scopes::all());
        let claim =
            "homeroom.admit api/homeroom.vouch other/homeroom.act_as api/api/homeroom.platform";
        let only = Scopes::NONE.with(Scope::Vouch);
        assert_eq!(Scopes::parse_prefixed(claim, "api/"), only);
        let only = Scopes::NONE.with(Scope::Admit);
        assert_eq!(Scopes::parse(claim), only);
    }
}
