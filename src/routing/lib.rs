//! Who gets a message: subjects, queue groups, permissions.

#![no_std]

extern crate alloc;
