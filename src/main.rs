//! The auditfs command.

fn main() {}
