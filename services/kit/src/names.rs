//! The names of an enum's variants in the contract, the database and events.

/// Declares an enum whose variants have names, which never change: `ALL`, and the conversions to and from a name.
#[macro_export]
macro_rules! named {
    (
        $(#[$doc:meta])*
        $visibility:vis enum $type:ident: $name_of:ident, $of_name:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $type {
            $($(#[$variant_doc])* $variant,)+
        }

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

        impl ::std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(self.$name_of())
            }
        }

        $crate::by_name!($type, $name_of, $of_name);
    };
}

/// Writes and reads a type by its names.
#[macro_export]
macro_rules! by_name {
    ($type:ident, $name_of:ident, $of_name:ident) => {
        impl $crate::serde::Serialize for $type {
            fn serialize<S: $crate::serde::Serializer>(
                &self,
                to: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                to.serialize_str(self.$name_of())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $type {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(
                from: D,
            ) -> std::result::Result<Self, D::Error> {
                let name = <String as $crate::serde::Deserialize>::deserialize(from)?;
                Self::$of_name(&name)
                    .ok_or_else(|| $crate::serde::de::Error::custom("a name is unknown"))
            }
        }
    };
}
