//! Monitoring documents as functions from statistics to bytes.

#![no_std]

extern crate alloc;
