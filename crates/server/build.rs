//! Builds the binary anew when the GraphiQL page has been built. It runs nothing else and
//! touches no network.

fn main() {
    println!("cargo:rerun-if-changed=../../web/dist");
    println!("cargo:rerun-if-changed=../../web/cdn.html");
}
