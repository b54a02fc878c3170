//! Loaders: a resolver for many keys at once. They call the domain's batch functions, so that
//! the same rules hold.
//!
//! A request is resolved level by level. When every resolver of a level has named what it needs,
//! the loaders' batches and the other reads run, and the request goes on when all of them are
//! in: no timer runs, no thread is switched, and the number of statements depends on the
//! request's shape alone.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    future::{Future, poll_fn},
    hash::Hash,
    pin::pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::Poll,
};

use futures::{
    StreamExt as _,
    channel::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
        oneshot,
    },
    future::BoxFuture,
    stream::FuturesUnordered,
};
use plimsoll_domain::{
    self as domain, AnyRecord, Page, PageArguments, RecordKind, Scope, Timing, Viewer,
    order::OrderItem, post::PostsOf, transfer::Transfer,
};
use uuid::Uuid;

use crate::{account, category, post, product, profile, rows::ColumnSet, tag, user};

/// Who reads for one request, and from what.
pub(crate) struct Batch {
    pub(crate) store: domain::Store,
    pub(crate) viewer: Viewer,
}

/// Why a read did not come to anything: told to all who waited for it.
pub(crate) type Failure = Arc<domain::Error>;

/// A type of key, and what is found by keys of it.
pub(crate) trait Loader<K>: Send + Sync + 'static {
    /// What is found by a key.
    type Value: Clone + Send + Sync + 'static;

    /// What is found by each of these keys, in their order. A key can come more than once.
    fn load(&self, keys: &[K]) -> impl Future<Output = Loaded<Self::Value>> + Send;
}

/// The loaders of one request. Nothing is kept: what is asked for after a mutation sees it.
pub(crate) struct Loaders {
    batch: Arc<Batch>,
    spawner: RequestSpawner,
    /// The calls of this level, by their type of key.
    waiting: Arc<Waiting>,
}

type Waiting = Mutex<HashMap<TypeId, Box<dyn Any + Send>>>;

/// What is found by some keys, in their order.
type Loaded<V> = Result<Vec<Option<V>>, Failure>;

/// The keys that somebody asks for, and where to answer.
struct Call<K, V> {
    keys: Vec<K>,
    answer: oneshot::Sender<Loaded<V>>,
}

impl Loaders {
    pub(crate) fn new(batch: Batch, spawner: RequestSpawner) -> Self {
        Self {
            batch: Arc::new(batch),
            spawner,
            waiting: Arc::default(),
        }
    }

    /// What is found by each of these keys, in their order, read together with all other keys of
    /// this type and level.
    pub(crate) async fn load<K>(&self, keys: Vec<K>) -> Loaded<<Batch as Loader<K>>::Value>
    where
        K: Send + Sync + 'static,
        Batch: Loader<K>,
    {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.spawner.may_read()?;
        let (answer, found) = oneshot::channel();
        if wait(&self.waiting, Call { keys, answer }) {
            let (batch, waiting) = (self.batch.clone(), self.waiting.clone());
            // It runs when everybody of this level waits.
            self.spawner.start(Box::pin(async move {
                answer_all(&batch, take::<K, <Batch as Loader<K>>::Value>(&waiting)).await;
            }));
        }
        found.await.unwrap_or_else(|_| Err(Arc::new(gone())))
    }
}

/// Adds a call. Says whether it is the first of its type of key.
fn wait<K: Send + 'static, V: Send + 'static>(waiting: &Waiting, call: Call<K, V>) -> bool {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let calls = waiting
        .entry(TypeId::of::<K>())
        .or_insert_with(|| Box::new(Vec::<Call<K, V>>::new()));
    match calls.downcast_mut::<Vec<Call<K, V>>>() {
        Some(calls) => {
            calls.push(call);
            calls.len() == 1
        }
        // A type of key has one type of value. The caller is told that nobody answers.
        None => false,
    }
}

fn take<K: 'static, V: 'static>(waiting: &Waiting) -> Vec<Call<K, V>> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let calls = waiting.get_mut(&TypeId::of::<K>());
    let calls = calls.and_then(|calls| calls.downcast_mut::<Vec<Call<K, V>>>());
    calls.map(std::mem::take).unwrap_or_default()
}

/// Reads the keys of all calls, and answers each call.
async fn answer_all<K>(batch: &Batch, calls: Vec<Call<K, <Batch as Loader<K>>::Value>>)
where
    Batch: Loader<K>,
{
    let mut keys: Vec<K> = Vec::with_capacity(calls.iter().map(|call| call.keys.len()).sum());
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        answers.push((call.answer, call.keys.len()));
        keys.extend(call.keys);
    }
    let mut found = match batch.load(&keys).await {
        Ok(found) => Ok(found.into_iter()),
        Err(failure) => Err(failure),
    };
    for (answer, count) in answers {
        let found = match &mut found {
            Ok(found) => Ok(found.by_ref().take(count).collect()),
            Err(failure) => Err(failure.clone()),
        };
        // Whoever asked may have been dropped with the request.
        let _ = answer.send(found);
    }
}

fn gone() -> domain::Error {
    domain::Error::Internal("the request ended before its reads".into())
}

type Task = BoxFuture<'static, ()>;

/// Hands the reads of a request to [`drive`].
#[derive(Clone)]
pub(crate) struct RequestSpawner {
    tasks: UnboundedSender<Task>,
    /// What the database was found to be busy with, or why it is away.
    away: Arc<OnceLock<Timing>>,
}

/// Where the reads come out.
pub(crate) type Tasks = UnboundedReceiver<Task>;

pub(crate) fn spawner() -> (RequestSpawner, Tasks) {
    let (tasks, receiver) = unbounded();
    let away = Arc::default();
    (RequestSpawner { tasks, away }, receiver)
}

impl RequestSpawner {
    /// Runs a read in step with the loaders.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = domain::Result<T>> + Send + 'static,
    ) -> domain::Result<T> {
        self.may_read()?;
        let (done, answer) = oneshot::channel();
        self.start(Box::pin(async move {
            // Whoever asked may have been dropped with the request.
            let _ = done.send(work.await);
        }));
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Runs a read once the request can only wait. If the request is over, it is dropped, and
    /// with it what it would have answered with.
    fn start(&self, task: Task) {
        let _ = self.tasks.unbounded_send(task);
    }

    /// Lets no further read of this request begin: each fails as one did. A database that is busy
    /// or away is not made to wait for once more.
    pub(crate) fn give_up(&self, timing: Timing) {
        // The first one says it.
        let _ = self.away.set(timing);
    }

    fn may_read(&self) -> domain::Result<()> {
        match self.away.get() {
            Some(timing) => Err(domain::Error::Unavailable(*timing)),
            None => Ok(()),
        }
    }
}

/// Runs a request, and its reads whenever the request itself can only wait: all reads of a level
/// before the request goes on.
pub(crate) async fn drive<T>(request: impl Future<Output = T>, mut tasks: Tasks) -> T {
    let mut request = pin!(request);
    let mut running = FuturesUnordered::new();
    poll_fn(|cx| {
        loop {
            while !running.is_empty() {
                if running.poll_next_unpin(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            if let Poll::Ready(answer) = request.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            while let Poll::Ready(Some(task)) = tasks.poll_next_unpin(cx) {
                running.push(task);
            }
            if running.is_empty() {
                // The request waits for a write.
                return Poll::Pending;
            }
        }
    })
    .await
}

/// What the domain finds, as the schema shows it: cheap to clone, since a row can be the answer
/// to many keys.
trait Found {
    type Object;
    fn object(self) -> Self::Object;
}

macro_rules! found {
    ($($model:ty => $object:ty;)*) => {$(
        impl Found for $model {
            type Object = $object;
            fn object(self) -> $object {
                self.into()
            }
        }
    )*};
}

found! {
    domain::user::View => user::User;
    domain::profile::View => profile::Profile;
    domain::category::View => category::Category;
    domain::tag::View => tag::Tag;
    domain::post::View => post::Post;
    Transfer => account::Transfer;
    domain::product::View => product::Product;
    domain::product::inventory::View => product::Inventory;
    OrderItem => OrderItem;
    AnyRecord => AnyRecord;
    String => String;
    u64 => u64;
}

impl<T: Found> Found for Vec<T> {
    type Object = Vec<T::Object>;
    fn object(self) -> Self::Object {
        self.into_iter().map(Found::object).collect()
    }
}

impl<T: Found> Found for Page<T> {
    type Object = PageOf<T::Object>;
    fn object(self) -> Self::Object {
        Arc::new(self.map(Found::object))
    }
}

/// A page, shared by all who ask for it.
pub(crate) type PageOf<T> = Arc<Page<T>>;

/// Ids, each once, in their order.
fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What was found by each of these ids, of which these [`distinct`] ones were looked for. Whoever
/// alone asks for something gets it; else each has a copy.
fn each<T: Found>(
    ids: impl ExactSizeIterator<Item = Uuid>,
    distinct: &[Uuid],
    mut found: HashMap<Uuid, T>,
) -> Vec<Option<T::Object>>
where
    T::Object: Clone,
{
    if ids.len() == distinct.len() {
        let of_id = |id| found.remove(&id).map(Found::object);
        return ids.map(of_id).collect();
    }
    let of_id = |id| found.remove(id).map(Found::object);
    let found: Vec<Option<T::Object>> = distinct.iter().map(of_id).collect();
    let place = |id| distinct.binary_search(&id).ok();
    ids.map(|id| found.get(place(id)?)?.clone()).collect()
}

/// Puts keys that differ only in their id together: one call of the domain for each group, with
/// the places of its keys and their ids.
fn grouped<K, G>(keys: &[K], group: impl Fn(&K) -> (G, Uuid)) -> HashMap<G, (Vec<usize>, Vec<Uuid>)>
where
    G: Eq + Hash,
{
    let mut groups: HashMap<G, (Vec<usize>, Vec<Uuid>)> = HashMap::new();
    for (at, key) in keys.iter().enumerate() {
        let (group, id) = group(key);
        let (places, ids) = groups.entry(group).or_default();
        places.push(at);
        ids.push(id);
    }
    groups
}

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident($($ty:ty),+);)*) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(crate) struct $name($(pub(crate) $ty),+);
    )*};
}

keys! {
    /// The record of this kind and id, in this scope.
    RecordById(RecordKind, Scope, Uuid);
    /// The post with this id, in this scope.
    PostById(Scope, domain::post::Selection, Uuid);
    /// The live user with this id.
    UserById(domain::user::Selection, Uuid);
    /// The live category with this id.
    CategoryById(domain::category::Selection, Uuid);
    /// The live profile of this user.
    ProfileOfUser(domain::profile::Selection, Uuid);
    /// The live tags of this post.
    TagsOfPost(domain::tag::Columns, Uuid);
    /// The live co-authors of this post.
    CoAuthorsOfPost(domain::user::Selection, Uuid);
    /// The text of this post.
    ContentOfPost(Uuid);
    /// The product with this id, deleted or not, as far as the viewer sees it.
    ProductById(domain::product::Selection, Uuid);
    /// The live inventory of this product.
    InventoryOfProduct(domain::product::inventory::Selection, Uuid);
    /// The lines of this order.
    ItemsOfOrder(Uuid);
    /// A page of the posts of this author, category or tag.
    PostsPage(PostsOf, Scope, PageArguments, domain::post::Selection, Uuid);
    /// How many posts this author, category or tag has.
    PostsCount(PostsOf, Scope, Uuid);
    /// A page of the categories below this one.
    ChildrenPage(Scope, PageArguments, domain::category::Selection, Uuid);
    /// How many categories lie below this one.
    ChildrenCount(Scope, Uuid);
    /// The transfer with this id.
    TransferById(Uuid);
    /// A page of the transfers of this account.
    TransfersPage(PageArguments, Uuid);
    /// How many transfers this account has.
    TransfersCount(Uuid);
}

/// Declares the loader of a key type: how its keys are grouped, and what a group calls. Keys that
/// begin with a `selection` are read together, with what all of them select.
macro_rules! loader {
    (
        $key:ident(selection) => $value:ty,
        |$read:ident, $viewer:ident, $selection:ident, $ids:ident| $call:expr
    ) => {
        impl Loader<$key> for Batch {
            type Value = $value;

            async fn load(&self, keys: &[$key]) -> Loaded<$value> {
                let ($read, $viewer) = (&self.store.read(), &self.viewer);
                let selections = keys.iter().map(|key| key.0);
                let $selection = selections.reduce(ColumnSet::or).unwrap_or_default();
                let $ids = distinct(keys.iter().map(|key| key.1));
                let found = $call.await.map_err(Arc::new)?;
                Ok(each(keys.iter().map(|key| key.1), &$ids, found))
            }
        }
    };
    ($key:ident => $value:ty, |$read:ident, $viewer:ident, $ids:ident| $call:expr) => {
        impl Loader<$key> for Batch {
            type Value = $value;

            async fn load(&self, keys: &[$key]) -> Loaded<$value> {
                let ($read, $viewer) = (&self.store.read(), &self.viewer);
                let $ids = distinct(keys.iter().map(|key| key.0));
                let found = $call.await.map_err(Arc::new)?;
                Ok(each(keys.iter().map(|key| key.0), &$ids, found))
            }
        }
    };
    (
        $key:ident($($part:ident),+) => $value:ty, |$read:ident, $viewer:ident, $ids:ident| $call:expr
    ) => {
        impl Loader<$key> for Batch {
            type Value = $value;

            async fn load(&self, keys: &[$key]) -> Loaded<$value> {
                let ($read, $viewer) = (&self.store.read(), &self.viewer);
                let groups = grouped(keys, |$key($($part),+, id)| (($($part.clone()),+,), *id));
                let mut loaded: Vec<Option<$value>> = vec![None; keys.len()];
                for (($($part),+,), (places, of_each)) in groups {
                    let $ids = distinct(of_each.iter().copied());
                    let found = $call.await.map_err(Arc::new)?;
                    let found = each(of_each.into_iter(), &$ids, found);
                    for (at, found) in places.into_iter().zip(found) {
                        loaded[at] = found;
                    }
                }
                Ok(loaded)
            }
        }
    };
}

loader!(RecordById(kind, scope) => AnyRecord, |read, viewer, ids| {
    domain::record::by_ids(read, viewer, scope, kind, &ids)
});
loader!(PostById(scope, selection) => post::Post, |read, viewer, ids| {
    domain::post::by_ids(read, selection.seen_by(viewer), viewer, scope, &ids)
});
loader!(UserById(selection) => user::User, |read, viewer, selection, ids| {
    domain::user::by_ids(read, selection.seen_by(viewer), viewer, Scope::Live, &ids)
});
loader!(CategoryById(selection) => category::Category, |read, viewer, selection, ids| {
    domain::category::by_ids(read, selection.seen_by(viewer), viewer, Scope::Live, &ids)
});
loader!(ProfileOfUser(selection) => profile::Profile, |read, viewer, selection, ids| {
    domain::profile::of_users(read, selection.seen_by(viewer), &ids)
});
loader!(TagsOfPost(selection) => Vec<tag::Tag>, |read, _viewer, selection, ids| {
    domain::tag::of_posts(read, selection, &ids)
});
loader!(CoAuthorsOfPost(selection) => Vec<user::User>, |read, viewer, selection, ids| {
    domain::user::co_authors_of_posts(read, selection.seen_by(viewer), &ids)
});
loader!(ContentOfPost => String, |read, viewer, ids| {
    domain::post::contents(read, viewer, &ids)
});
loader!(ProductById(selection) => product::Product, |read, viewer, selection, ids| {
    domain::product::by_ids(read, selection.seen_by(viewer), viewer, Scope::WithDeleted, &ids)
});
loader!(InventoryOfProduct(selection) => product::Inventory, |read, viewer, selection, ids| {
    domain::product::inventory::of_products(read, selection.seen_by(viewer), &ids)
});
loader!(ItemsOfOrder => Vec<OrderItem>, |read, _viewer, ids| {
    domain::order::items_of(read, &ids)
});
loader!(PostsPage(of, scope, arguments, selection) => PageOf<post::Post>, |read, viewer, ids| {
    let shape = selection.seen_by(viewer);
    domain::post::pages_of(read, shape, viewer, scope, of, &arguments, &ids)
});
loader!(PostsCount(of, scope) => u64, |read, viewer, ids| {
    domain::post::counts_of(read, viewer, scope, of, &ids)
});
loader!(ChildrenPage(scope, arguments, selection) => PageOf<category::Category>, |read, viewer, ids| {
    let shape = selection.seen_by(viewer);
    domain::category::pages_below(read, shape, viewer, scope, &arguments, &ids)
});
loader!(ChildrenCount(scope) => u64, |read, viewer, ids| {
    domain::category::counts_below(read, viewer, scope, &ids)
});
loader!(TransferById => account::Transfer, |read, viewer, ids| {
    domain::transfer::by_ids(read, viewer, &ids)
});
loader!(TransfersPage(arguments) => PageOf<account::Transfer>, |read, viewer, ids| {
    domain::transfer::pages_of(read, viewer, &arguments, &ids)
});
loader!(TransfersCount => u64, |read, viewer, ids| {
    domain::transfer::counts_of(read, viewer, &ids)
});

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn once_the_database_is_known_to_be_away_nothing_is_read() {
        let (spawner, tasks) = spawner();
        let begun = Arc::new(AtomicUsize::new(0));
        let read = || {
            let begun = begun.clone();
            spawner.run(async move {
                begun.fetch_add(1, Ordering::Relaxed);
                Ok(())
            })
        };
        let request = async {
            assert!(read().await.is_ok());
            spawner.give_up(Timing::Timeout);
            read().await
        };
        let failed = drive(request, tasks).await;
        let Err(domain::Error::Unavailable(Timing::Timeout)) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(begun.load(Ordering::Relaxed), 1);
    }
}
