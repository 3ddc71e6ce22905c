//! Communication: one file per primitive.
