//! SIGKILL at any moment: whatever was acknowledged is there after the restart. G1 to G4, G7.

pub mod aftermath;
pub mod people;
mod points;
mod restored;
mod under_load;
