use std::process::ExitCode;

fn main() -> ExitCode {
    plimsoll_server::cli::run()
}
