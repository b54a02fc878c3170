use std::process::ExitCode;

/// A request makes thousands of small allocations, most of them freed on another thread than the
/// one that made them: half of what the system's allocator takes is saved.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    plimsoll_server::cli::run()
}
