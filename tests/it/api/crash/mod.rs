//! SIGKILL at any moment: whatever was acknowledged is there after the restart. G1 to G5, G7.

pub mod aftermath;
mod announced;
mod confirming;
mod expiring;
mod leaving;
pub mod people;
mod points;
mod restored;
pub mod under_load;
