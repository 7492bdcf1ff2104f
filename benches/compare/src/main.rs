//! See the library's documentation, and `README.md`.

fn main() -> std::process::ExitCode {
    compare::main(compare::ours())
}
