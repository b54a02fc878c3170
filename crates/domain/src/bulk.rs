//! Making many records at once, all or none of them: what all kinds do alike.

use std::collections::HashMap;

use plimsoll_records::{MAX_BATCH, OnConflict};

use crate::{
    Error, Result, Viewer,
    policy::{Act, Relation, Subject, require},
    text::Check,
};

/// The most records that are made at once.
pub const MAX_ITEMS: usize = MAX_BATCH;

/// Refuses if the viewer may not make records, or change those that have their keys already where
/// `on_conflict` does that.
pub(crate) fn require_upsert(
    viewer: &Viewer,
    subject: Subject,
    on_conflict: OnConflict,
) -> Result<()> {
    require(viewer, subject, Act::Create, Relation::NONE)?;
    match on_conflict {
        OnConflict::Update => require(viewer, subject, Act::Change, Relation::NONE),
        OnConflict::Skip | OnConflict::Fail => Ok(()),
    }
}

/// The rows of the items in `list`, each made by `row`, which gives back its key as well. `key` is
/// the field that holds it.
///
/// # Errors
///
/// [`Error::Invalid`] with everything that is wrong with any of them, which includes a key that
/// an item before has; if there are none, or more than [`MAX_ITEMS`].
pub(crate) fn checked<T, R>(
    list: &'static str,
    key: &str,
    items: Vec<T>,
    row: impl Fn(&mut Check, T) -> (String, R),
) -> Result<Vec<R>> {
    if items.is_empty() {
        return Err(Error::invalid(list, "There must be at least one."));
    }
    if items.len() > MAX_ITEMS {
        let message = format!("There may be at most {MAX_ITEMS}.");
        return Err(Error::invalid(list, message));
    }
    let mut check = Check::new();
    let mut rows = Vec::with_capacity(items.len());
    let mut keys = HashMap::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        check.item(list, index);
        let (of_item, row) = row(&mut check, item);
        match keys.get(&of_item) {
            Some(first) if check.is_fine() => {
                check.refuse(key, format!("Item {first} has the same."))
            }
            Some(_) => {}
            None => {
                keys.insert(of_item, index);
            }
        }
        rows.push(row);
    }
    check.done()?;
    Ok(rows)
}
