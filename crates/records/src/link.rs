//! Links: facts of their owner that join two records, in a table of their own.

use std::collections::HashMap;

use sea_orm::{
    EntityTrait, IdenStatic,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::{
    Action, Columns, Fault, Locked, Note, Reader, Record, Refused, Rows, Scope, Shape, Tx, Version,
    Via, Whole,
    beside::{self, Found},
    change::Changed,
    database::sealed::Connected,
    dialect,
    page::runs,
    rows::{get, table_name},
    view::Place,
};

/// A link table: a composite key of owner and target, and a position that orders the targets.
///
/// Changing an owner's links is a change of the owner: its version rises and the audit log
/// tells it. A link to a deleted target is invisible, and back when the target is.
///
/// Implemented by [`link!`](crate::link!).
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let library::Stocked { database, books, subjects, .. } = library::stocked().await?;
/// use chrono::Utc;
/// use library::{book, book_subject, subject};
/// use plimsoll_records::{Refused, Rows, Version, Writer};
/// use sea_orm::ColumnTrait;
///
/// let (id, links) = (books[0].id, subjects.clone());
/// let filed = database.write(Writer::system(Utc::now()), move |tx| {
///     Box::pin(async move {
///         // They are live, and stay so until the transaction ends.
///         let links = tx.hold_live::<subject::Entity>(&links).await?;
///         let rows = Rows::<book::Entity>::live().filter(book::Column::Id.eq(id));
///         let Some(book) = rows.lock(tx).await? else {
///             return Ok(None);
///         };
///         let filed = book.set_links::<book_subject::Entity>(tx, Version(0), &links).await?;
///         Ok::<_, Refused<book::Entity>>(Some(filed))
///     })
/// });
/// // A book's subjects are a part of it: its version rises.
/// assert_eq!(filed.await?.map(|book| book.lock_version), Some(1));
///
/// // The subjects of many books, in one statement.
/// let of_books = Rows::<subject::Entity>::live()
///     .linked_by::<book_subject::Entity>(&[books[0].id, books[1].id], &database.read())
///     .await?;
/// assert_eq!(of_books[&books[0].id].len(), 2);
/// assert!(!of_books.contains_key(&books[1].id));
/// # Ok(())
/// # }
/// ```
pub trait Link: EntityTrait {
    /// The record that the links belong to.
    type Owner: Record;
    /// The record that they point at.
    type Target: Record;

    /// The column with the owner's id.
    const OWNER: Self::Column;
    /// The column with the target's id.
    const TARGET: Self::Column;
    /// The column with the link's place among the owner's, from 0.
    const POSITION: Self::Column;
    /// What the links are called in the audit log: `tags`.
    const NAME: &'static str;
    /// How many links an owner may have.
    const MAX: usize;

    /// The table's name.
    fn table() -> &'static str {
        Self::default().table_name()
    }

    /// The name of [`OWNER`](Link::OWNER).
    fn owner_column() -> &'static str {
        Self::OWNER.as_str()
    }

    /// The name of [`TARGET`](Link::TARGET).
    fn target_column() -> &'static str {
        Self::TARGET.as_str()
    }
}

/// Declares that an entity is a [`Link`]: what its owner calls it, how many an owner may have,
/// and the two columns of its key with the records that they name. The link's place is its
/// column `Position`.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # use library::{book, subject};
/// mod book_subject {
///     use sea_orm::entity::prelude::*;
///
///     #[sea_orm::model]
///     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
///     #[sea_orm(table_name = "book_subjects")]
///     pub struct Model {
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub book_id: Uuid,
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub subject_id: Uuid,
///         pub position: i32,
///     }
///
///     impl ActiveModelBehavior for ActiveModel {}
///
///     plimsoll_records::link! {
///         "subjects", max: 10,
///         owner: BookId => super::book::Entity,
///         target: SubjectId => super::subject::Entity,
///     }
/// }
/// # fn main() {
/// #     use plimsoll_records::Link;
/// #     assert_eq!(<book_subject::Entity as Link>::owner_column(), "book_id");
/// # }
/// ```
#[macro_export]
macro_rules! link {
    (
        $name:literal, max: $max:expr,
        owner: $owner_column:ident => $owner:path,
        target: $target_column:ident => $target:path $(,)?
    ) => {
        impl $crate::Link for Entity {
            type Owner = $owner;
            type Target = $target;
            const OWNER: Column = Column::$owner_column;
            const TARGET: Column = Column::$target_column;
            const POSITION: Column = Column::Position;
            const NAME: &'static str = $name;
            const MAX: usize = $max;
        }
    };
}

impl<E: Record> Rows<E> {
    /// Those of these rows that each of `owners` links to, in the order of the links.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn linked_by<L: Link<Target = E>>(
        self,
        owners: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, Vec<E::Model>>, Fault> {
        self.linked_by_as::<L, _>(Whole, owners, on).await
    }

    /// The same in another shape.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn linked_by_as<L: Link<Target = E>, S: Shape<E>>(
        self,
        shape: S,
        owners: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, Vec<S::Row>>, Fault> {
        let conn = on.conn();
        let columns = shape.columns(&self, Columns::default());
        let owner = || Expr::col((L::table(), L::owner_column()));
        let mut found = HashMap::with_capacity(owners.len());
        for chunk in owners.chunks(dialect::KEY_CHUNK) {
            let mut form = self.form("linked by");
            form.columns(columns)
                .via(Via::targets_of::<L>())
                .joins(shape.beside(), conn.backend())
                .bind_of(&self.filters)
                .any_of(conn.backend(), chunk);
            let linked = conn.found(form, || {
                let mut select = self.bare();
                select.expr_as(owner(), "of_owner");
                columns.select(table_name::<E>(), conn.backend(), &mut select);
                select.inner_join(
                    L::table(),
                    Expr::col((L::table(), L::target_column())).equals((E::default(), E::ID)),
                );
                beside::join(
                    shape.beside(),
                    table_name::<E>(),
                    conn.backend(),
                    &mut select,
                );
                select
                    .and_where(dialect::is_any_of(conn.backend(), owner(), chunk))
                    // The owner first: so the index of the links has them already.
                    .order_by_expr(owner(), sea_orm::Order::Asc)
                    .order_by((L::table(), L::POSITION.as_str()), sea_orm::Order::Asc)
                    .order_by((L::table(), L::target_column()), sea_orm::Order::Asc);
                (select, self.notes_of(&shape))
            });
            let results = Found::new(linked.await?, (1, columns), shape.beside());
            for (owner, rows) in runs(&results)? {
                // Targets that came back from a deletion can be more than may be set.
                let targets = rows.take(L::MAX);
                let targets = targets.map(|at| shape.read(Place::row(&results, at)));
                found.insert(owner, targets.collect::<Result<_, _>>()?);
            }
        }
        Ok(found)
    }
}

impl<O: Record> Locked<O> {
    /// Makes `targets` the owner's links, in this order, and raises the owner's version.
    /// Links to deleted targets stay as they are. The same links as before change nothing.
    ///
    /// The targets must be live, and locked in this transaction
    /// ([`Tx::hold_live`](Tx::hold_live)).
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`] if the owner is no longer at the version that was `seen`,
    /// [`Refused::Deleted`] if it is deleted.
    pub async fn set_links<L: Link<Owner = O>>(
        self,
        tx: &mut Tx,
        seen: Version,
        targets: &[Uuid],
    ) -> Result<O::Model, Refused<O>> {
        let this = self.live()?;
        let owner = this.id();
        let before: Vec<Uuid> = this.live_links::<L>(tx).await?;
        if before == targets {
            return this.unchanged(tx, seen).await;
        }
        let mut changed = Changed::default();
        changed.note(
            L::NAME,
            serde_json::json!(before),
            serde_json::json!(targets),
        );
        let model = this.raise(tx, seen, changed).await?;

        let gone: Vec<Uuid> = before
            .into_iter()
            .filter(|id| !targets.contains(id))
            .collect();
        let conn = tx.conn();
        let mut remove = Query::delete();
        remove
            .from_table(L::table())
            .and_where(Expr::col(L::owner_column()).eq(owner))
            .and_where(dialect::is_any_of(
                conn.backend(),
                Expr::col(L::target_column()),
                // What stays is written again below, at its new place.
                &gone.iter().chain(targets).copied().collect::<Vec<_>>(),
            ));
        conn.execute(&remove, &[]).await?;
        tx.insert_links::<L>(&[(owner, targets.to_vec())]).await?;
        Ok(model)
    }

    async fn live_links<L: Link<Owner = O>>(&self, tx: &Tx) -> Result<Vec<Uuid>, Fault> {
        let mut select = Query::select();
        select
            .expr_as(Expr::col((L::table(), L::target_column())), "target")
            .from(L::table())
            .inner_join(
                L::Target::default(),
                Expr::col((L::table(), L::target_column()))
                    .equals((L::Target::default(), <L::Target as Record>::ID)),
            )
            .and_where(Expr::col((L::table(), L::owner_column())).eq(self.id()))
            .and_where(
                Expr::col((L::Target::default(), <L::Target as Record>::DELETED_AT)).is_null(),
            )
            .order_by((L::table(), L::POSITION.as_str()), sea_orm::Order::Asc)
            .order_by((L::table(), L::target_column()), sea_orm::Order::Asc);
        let note = Note::scope(table_name::<L::Target>(), Scope::Live);
        let rows = tx.conn().all(&select, &[note]).await?;
        rows.iter().map(|row| get(row, "target")).collect()
    }
}

impl Tx {
    /// Adds the links of records that this transaction has just created, in the same
    /// [attempt](Tx::attempt) if in any: pairs of owner and targets. They are part of the
    /// creation, so no version rises.
    ///
    /// # Errors
    ///
    /// [`Fault::Reference`] if a target does not exist, [`Fault::Internal`] if an owner was not
    /// just created: the links of any other change with [`Locked::set_links`].
    pub async fn add_links<L: Link>(&mut self, links: &[(Uuid, Vec<Uuid>)]) -> Result<(), Fault> {
        let mut created: HashMap<Uuid, &mut Changed> = self
            .entries
            .iter_mut()
            .filter(|entry| entry.action == Action::Create)
            .map(|entry| (entry.record_id, &mut entry.changes))
            .collect();
        for (owner, targets) in links.iter().filter(|(_, targets)| !targets.is_empty()) {
            let creation = created
                .get_mut(owner)
                .ok_or_else(|| Fault::internal("links of a record that was not just created"))?;
            let none = serde_json::Value::Null;
            creation.note(L::NAME, none, serde_json::json!(targets));
        }
        self.insert_links::<L>(links).await
    }

    async fn insert_links<L: Link>(&mut self, links: &[(Uuid, Vec<Uuid>)]) -> Result<(), Fault> {
        if !self.register.has_link(L::table()) {
            let table = L::table();
            return Err(Fault::internal(format!("the register has no link {table}")));
        }
        let flat: Vec<(Uuid, usize, Uuid)> = links
            .iter()
            .flat_map(|(owner, targets)| {
                targets
                    .iter()
                    .enumerate()
                    .map(move |(at, target)| (*owner, at, *target))
            })
            .collect();
        for chunk in flat.chunks(dialect::INSERT_CHUNK) {
            let mut insert = Query::insert();
            insert.into_table(L::table()).columns([
                L::owner_column(),
                L::target_column(),
                L::POSITION.as_str(),
            ]);
            for (owner, at, target) in chunk {
                insert.values_panic([(*owner).into(), (*target).into(), position(*at)]);
            }
            self.conn().execute(&insert, &[]).await?;
        }
        Ok(())
    }
}

fn position(at: usize) -> Expr {
    // An owner has at most `Link::MAX` links.
    Expr::val(i32::try_from(at).unwrap_or(i32::MAX))
}
