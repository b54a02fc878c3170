use std::process::ExitCode;

/// A request makes thousands of small allocations, most of them freed on another thread than the
/// one that made them. glibc's allocator takes about as long, but holds twice as much meanwhile:
/// 165 MB where this one holds 72, while the bench reads SQLite.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    plimsoll_server::cli::run()
}
