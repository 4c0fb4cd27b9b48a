//! One field of an update.

/// A field of an update: it is kept or set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field is kept.
    #[default]
    Keep,
    /// The field is set to this.
    Set(T),
}

impl<T: PartialEq> Patch<T> {
    /// Sets the field. Returns true if its value differed.
    pub fn set(self, field: &mut T) -> bool {
        match self {
            Self::Set(value) if value != *field => {
                *field = value;
                true
            }
            _ => false,
        }
    }

    /// Sets the field, and adds its name to `changed` if its value differed.
    pub fn apply(self, field: &mut T, name: &'static str, changed: &mut Vec<&'static str>) {
        if self.set(field) {
            changed.push(name);
        }
    }
}
