//! What lists show of records.

use plimsoll_records::{Columns, Table};

/// Declares the `Selection` of a module's records: their own columns, and those of what they name,
/// `of` those rows which the viewer sees there.
macro_rules! selection {
    ($entity:ty {
        $(
            $(#[doc = $doc:literal])+
            $field:ident: $columns:ty = ($column:expr, $key:expr) of |$viewer:pat_param| $rows:expr;
        )+
    }) => {
        /// What a list shows of these records.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Selection {
            /// Their own columns.
            pub columns: Columns,
            $($(#[doc = $doc])+ pub $field: Option<$columns>,)+
        }

        impl From<Columns> for Selection {
            fn from(columns: Columns) -> Self {
                Self {
                    columns,
                    ..Self::default()
                }
            }
        }

        impl Selection {
            /// What either shows.
            #[must_use]
            pub fn or(self, other: Self) -> Self {
                Self {
                    columns: self.columns.or(other.columns),
                    $($field: crate::selection::either(self.$field, other.$field),)+
                }
            }

            /// The shape of reads that find what these records name beside them, as far as the
            /// viewer sees it.
            pub fn seen_by(self, viewer: &crate::Viewer) -> plimsoll_records::Joined<$entity> {
                let beside = [$(
                    self.$field.map(|columns| {
                        let $viewer = viewer;
                        plimsoll_records::Beside::new($column, $key, columns, $rows)
                    }),
                )+];
                self.columns.beside(beside.into_iter().flatten())
            }
        }
    };
}
pub(crate) use selection;

/// The columns of both.
pub(crate) fn either<E: Table>(
    these: Option<Columns<E>>,
    those: Option<Columns<E>>,
) -> Option<Columns<E>> {
    match (these, those) {
        (Some(these), Some(those)) => Some(these.or(those)),
        (these, those) => these.or(those),
    }
}
