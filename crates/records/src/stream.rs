//! All rows, however many: in batches, each beyond the last key of the one before.

use futures::{Stream, TryStreamExt as _, stream};
use sea_orm::ColumnTrait as _;
use uuid::Uuid;

use crate::{Fault, Reader, Rows, record::Table, rows::uuid_of};

/// All rows in the order of their keys, some at a time: see [`Rows::batches`].
#[derive(Clone, Debug)]
pub struct Batches<E: Table> {
    rows: Rows<E>,
    size: u32,
    /// The last key that was read.
    after: Option<Uuid>,
    ended: bool,
}

impl<E: Table> Rows<E> {
    /// All of these rows in the order of their keys, read `size` at a time, 1 at the least.
    ///
    /// Memory holds one batch, and no transaction or cursor of the database stays open between
    /// two. Rows may come and go meanwhile: each that is there throughout is read exactly once.
    pub fn batches(self, size: u32) -> Batches<E> {
        Batches {
            rows: self,
            size: size.max(1),
            after: None,
            ended: false,
        }
    }
}

impl<E: Table> Batches<E> {
    /// The next rows, which are never none; `None` after the last.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement. The next call reads the same batch again.
    pub async fn next(&mut self, on: &impl Reader) -> Result<Option<Vec<E::Model>>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let mut rows = self.rows.clone();
        if let Some(after) = self.after {
            rows = rows.filter(E::KEY.gt(after));
        }
        let batch = rows.all(self.size.into(), on).await?;
        self.ended = (batch.len() as u64) < u64::from(self.size);
        let Some(last) = batch.last() else {
            return Ok(None);
        };
        let last = uuid_of::<E>(last, E::KEY)
            .ok_or_else(|| Fault::internal("a row without a key was read"))?;
        self.after = Some(last);
        Ok(Some(batch))
    }

    /// The rows that remain, one by one. It ends with the first [`Fault`].
    pub fn stream(self, on: &impl Reader) -> impl Stream<Item = Result<E::Model, Fault>> + Send {
        stream::try_unfold(self, async move |mut batches| {
            let batch = batches.next(on).await?;
            Ok::<_, Fault>(batch.map(|rows| (stream::iter(rows.into_iter().map(Ok)), batches)))
        })
        .try_flatten()
    }
}
