//! Email addresses: both services read them alike.

pub use homeroom_kit::email::*;
