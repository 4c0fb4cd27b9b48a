//! Names of an enum's variants, as the contract, the database and events write them.

/// Gives the variants of an enum their names, which never change: `ALL`, the function to a name and the
/// one back.
#[macro_export]
macro_rules! named {
    ($type:ident, $name_of:ident, $of_name:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// All of them, in their order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Their names, in the same order.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Its name in the contract, the database and events. Never changes.
            #[must_use]
            pub const fn $name_of(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// The one of that name, if there is one.
            #[must_use]
            pub fn $of_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.$name_of() == name)
            }
        }
    };
}
