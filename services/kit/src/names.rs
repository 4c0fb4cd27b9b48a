//! The names of an enum's variants in the contract, the database and events.

/// Gives the variants of an enum their names, which never change: `ALL`, and the conversions to and
/// from a name.
#[macro_export]
macro_rules! named {
    ($type:ident, $name_of:ident, $of_name:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        impl $type {
            /// Every variant, in order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The names, in the same order.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Returns its name in the contract, the database and events, which never changes.
            #[must_use]
            pub const fn $name_of(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// Returns the variant of that name, or `None` if there is none.
            #[must_use]
            pub fn $of_name(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.$name_of() == name)
            }
        }

        impl $crate::serde::Serialize for $type {
            fn serialize<S: $crate::serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
                to.serialize_str(self.$name_of())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $type {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
                let name = <String as $crate::serde::Deserialize>::deserialize(from)?;
                Self::$of_name(&name)
                    .ok_or_else(|| $crate::serde::de::Error::custom("a name is unknown"))
            }
        }
    };
}
