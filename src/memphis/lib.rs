//! Stations and what Memphis clients ask for, on top of the JetStream API types.

#![no_std]

extern crate alloc;
