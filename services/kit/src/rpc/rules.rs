//! The table of who may call each method.

use homeroom_api::ids::UserId;

use crate::{
    auth::{Caller, Scope},
    status::Result,
};

/// The rule for one method: any of the scopes allows the call, a role that has the permission, or, if `own` is set,
/// being the person concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<Permission: 'static> {
    /// `Service/Method`.
    pub method: &'static str,
    /// The permission that a role needs.
    pub permission: Option<Permission>,
    /// The scopes of which any one allows the call without a role.
    pub scopes: &'static [Scope],
    /// True if the person concerned may call it without further permission.
    pub own: bool,
}

impl<Permission> Rule<Permission> {
    /// Returns true if the caller's token has one of the scopes.
    #[must_use]
    pub fn is_met_by_scope(&self, caller: &Caller) -> bool {
        self.scopes.iter().any(|scope| caller.has(*scope))
    }

    /// Returns true if the rule allows the call to the person concerned, and `person` is the acting user.
    #[must_use]
    pub fn is_met_by_person(&self, caller: &Caller, person: &UserId) -> bool {
        self.own && *person == caller.user
    }

    /// Returns `SCOPE_MISSING` unless the caller's token has one of the scopes.
    pub fn require_scope(&self, caller: &Caller) -> Result<()> {
        caller.require_any(self.scopes)
    }
}

/// Declares the rules of a service and `ALL`, the list of them. A row names the permission, the scopes and `+ own`, each
/// if there is one: `NAME = "Service/Method": Permission [Scope] + own;`.
#[macro_export]
macro_rules! rules {
    ($all:ident: $($(#[$doc:meta])* $name:ident = $method:literal: $($permission:ident)? $([$($scope:ident),+])? $(+ $own:ident)?;)+) => {
        $(
            #[doc = concat!("The rule of `", $method, "`.")]
            $(#[$doc])*
            pub const $name: Rule = Rule {
                method: $method,
                permission: $crate::rules!(@permission $all $($permission)?),
                scopes: &[$($($crate::auth::Scope::$scope),+)?],
                own: $crate::rules!(@own $($own)?),
            };
        )+

        /// All rules, one for each method.
        pub const ALL: &[Rule] = &[$($name),+];
    };
    (@permission $all:ident) => { None };
    (@permission $all:ident $permission:ident) => { Some($all::$permission) };
    (@own) => { false };
    (@own own) => { true };
}
