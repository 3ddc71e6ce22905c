//! A futex for the model checker.
