//! The auditfs command.

fn main() -> std::process::ExitCode {
    auditfs::cli::main()
}
