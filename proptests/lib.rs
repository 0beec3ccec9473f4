//! Models against machines.
