//! The environment of the services in the campaign of faults (`homeroom-faults`).

pub mod surroundings;
