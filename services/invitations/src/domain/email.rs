//! Email addresses, which both services parse alike.

pub use homeroom_kit::email::*;
