//! A row is locked by reading it so, and in no other way.

use library::book;
use plimsoll_records::Locked;

pub fn nobody_says_that_a_row_is_locked(model: book::Model, locked: Locked<book::Entity>) {
    #[cfg(refused)]
    let _ = Locked::<book::Entity> { model }; //~ E0451 model private
    #[cfg(not(refused))]
    let _: book::Model = locked.into_model();
}
