//! What the campaign of faults (`homeroom-faults`) puts around the services.

pub mod surroundings;
