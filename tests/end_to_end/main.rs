//! The product, rule by rule, over gRPC with both services running, on both engines.

mod bad_input;
mod class_codes;
mod crowds;
mod enrollment_codes;
mod every_way;
mod good_requests;
mod tokens;
