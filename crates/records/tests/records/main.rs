//! The crate as another project sees it.

mod library;
mod type_wall;
