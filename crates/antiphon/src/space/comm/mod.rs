//! Communication between the participants of a space: one file per primitive.
