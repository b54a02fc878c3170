//! What the database refuses by itself, whoever asks: here, somebody at its prompt.

use std::collections::BTreeMap;

use chrono::Duration;
use plimsoll_domain::{Viewer, id::UserId, product::inventory};
use plimsoll_entity::{order, product};
use plimsoll_records::{ColumnRef, Fault, Whole};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{
    ActiveValue::Set, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement,
    TransactionTrait,
};
use uuid::Uuid;

use crate::support::*;

const NO_UPDATE: &str = "an UPDATE must set lock_version = lock_version + 1, keep the id, and deleted_at with deletion_id or neither";
const NO_DELETE: &str = "no row is removed by hand, since nothing could bring it back: the application deletes and purges";
const DELETION_STAYS: &str =
    "a deletion stays as it was made, since it is what restores and purges go by";
const LOG_ONLY_GROWS: &str =
    "the log is only added to: what is wrong in it is put right by a change with a row of its own";

/// The connection that Plimsoll itself writes with.
fn by_hand(world: &World) -> &DatabaseConnection {
    let store = &world.store;
    store.database().unguarded("a test does what walls refuse")
}

/// Another program's connection, set up by nobody: on SQLite, without foreign keys.
async fn elsewhere(world: &World) -> DatabaseConnection {
    let mut options = ConnectOptions::new(world.database.url.clone());
    options.max_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|sqlite| {
        let at_once = std::time::Duration::ZERO;
        sqlite.foreign_keys(false).busy_timeout(at_once)
    });
    Database::connect(options).await.expect("a connection")
}

/// Runs a statement. Returns how many rows it touched.
async fn run(on: &impl ConnectionTrait, sql: &str) -> Result<u64, Fault> {
    let done = on.execute_unprepared(sql).await;
    Ok(done?.rows_affected())
}

/// The id has a row: SQLite's wall stands before the INSERT, and cannot tell a REPLACE from it.
fn assert_taken(outcome: Result<u64, Fault>, table: &str, sql: &str) {
    let taken = Fault::Duplicate(ColumnRef {
        table: table.into(),
        column: "id".into(),
    });
    assert_eq!(outcome, Err(taken), "{sql}");
}

#[track_caller]
fn assert_walled(outcome: Result<u64, Fault>, table: &str, why: &str, sql: &str) {
    let sentence = format!("{table}: {why}");
    // MySQL's limit of MESSAGE_TEXT.
    assert!(sentence.len() <= 128, "{sentence}");
    assert_eq!(outcome, Err(Fault::Wall(sentence)), "{sql}");
}

/// The first column of a query's answer, as text.
async fn column(on: &impl ConnectionTrait, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(on.get_database_backend(), sql);
    let rows = on.query_all_raw(statement).await;
    let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("text"))
        .collect()
}

async fn count(on: &impl ConnectionTrait, table: &str) -> u64 {
    let text = match on.get_database_backend() {
        sea_orm::DbBackend::MySql => "CHAR",
        _ => "TEXT",
    };
    let sql = format!("SELECT CAST(COUNT(*) AS {text}) FROM {table}");
    column(on, &sql).await[0].parse().expect("a number")
}

/// An id as each engine writes it.
fn id(engine: Engine, id: Uuid) -> String {
    match engine {
        Engine::Postgres => format!("'{id}'"),
        _ => format!("X'{}'", id.simple()),
    }
}

fn open_gate(engine: Engine) -> String {
    let id = id(engine, Uuid::now_v7());
    format!("INSERT INTO wall_gate (id, reason) VALUES ({id}, 'a test')")
}

/// The columns of a table that can be written.
async fn columns(world: &World, table: &str) -> String {
    let sql = match world.engine {
        Engine::Sqlite => format!("SELECT name FROM pragma_table_info('{table}')"),
        _ => format!(
            "SELECT CAST(column_name AS CHAR(64)) FROM information_schema.columns \
             WHERE table_name = '{table}' AND COALESCE(generation_expression, '') = '' \
             AND table_schema = {}",
            if world.engine == Engine::Postgres {
                "current_schema()"
            } else {
                "DATABASE()"
            },
        ),
    };
    column(by_hand(world), &sql).await.join(", ")
}

/// A product that has no stock, the stock of another, and an order of nothing, past the domain:
/// nothing refers to them.
async fn goods(world: &World, buyer: UserId) -> [Uuid; 3] {
    let stocked = a_product(world, "stocked").await;
    let stock = inventory::of_products(&world.store.read(), Whole, &[stocked.uuid()]).await;
    let stock = stock.expect("stock can be read").remove(&stocked.uuid());
    let product = product::ActiveModel {
        sku: Set("product".into()),
        sku_key: Set("product".into()),
        name: Set("product".into()),
        name_key: Set("product".into()),
        price_amount: Set(250),
        currency: Set("EUR".into()),
        ..Default::default()
    };
    let order = order::ActiveModel {
        buyer_id: Set(buyer),
        status: Set(order::Status::Pending),
        total_amount: Set(250),
        currency: Set("EUR".into()),
        ..Default::default()
    };
    let database = world.store.database();
    let made: Result<_, Fault> = layer!(database, world, |tx| async {
        let product = tx.create::<product::Entity>(product).await?;
        Ok((product, tx.create::<order::Entity>(order).await?))
    });
    let (product, order) = made.expect("they can be made");
    let stock = stock.expect("it has one");
    [product.id.into(), stock.id.into(), order.id.into()]
}

/// One record in each table, that nothing else refers to.
async fn one_of_each(world: &World) -> BTreeMap<&'static str, Uuid> {
    let people = people(world).await;
    let [product, stock, order] = goods(world, people.ada.id).await;
    let ids = BTreeMap::from([
        ("users", people.grace.uuid()),
        ("profiles", profile_of(world, &people.ada).await.uuid()),
        ("categories", world.category("category", None).await.uuid()),
        ("tags", world.tag("tag").await.uuid()),
        ("posts", world.post(&people.ada, "Post").await.uuid()),
        (
            "accounts",
            account_with(world, &people.ada, "EUR", 0).await.uuid(),
        ),
        ("products", product),
        ("inventories", stock),
        ("orders", order),
    ]);
    let records = world.store.database().register().records();
    for info in records {
        assert!(ids.contains_key(info.table), "make one of {}", info.table);
    }
    ids
}

/// All that Plimsoll's tables hold of records, and the log's length.
async fn content(world: &World, tables: impl Iterator<Item = &&'static str>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for table in tables {
        let text = if world.engine == Engine::MariaDb {
            "CHAR"
        } else {
            "TEXT"
        };
        let sql = format!("SELECT CAST(lock_version AS {text}) FROM {table} ORDER BY id");
        found.push(column(by_hand(world), &sql).await);
    }
    found
}

/// Long enough after everything that a test does.
fn later(world: &World) -> plimsoll_domain::Request {
    world.request_at(Viewer::System, World::beginning() + Duration::days(60))
}

on_every_engine! {
    async fn an_update_of_a_record_raises_the_version_by_one_and_keeps_the_id(world) {
        let ids = one_of_each(&world).await;
        let before = content(&world, ids.keys()).await;
        let another = id(world.engine, Uuid::now_v7());
        for (table, this) in &ids {
            let this = id(world.engine, *this);
            for set in [
                "updated_at = created_at".to_owned(),
                "lock_version = lock_version".to_owned(),
                "lock_version = lock_version + 2".to_owned(),
                "lock_version = 9".to_owned(),
                format!("id = {another}"),
                format!("id = {another}, lock_version = lock_version + 1"),
                "deleted_at = created_at, lock_version = lock_version + 1".to_owned(),
                format!("deletion_id = {another}, lock_version = lock_version + 1"),
            ] {
                let sql = format!("UPDATE {table} SET {set} WHERE id = {this}");
                assert_walled(run(by_hand(&world), &sql).await, table, NO_UPDATE, &sql);
            }
            let sql = format!("UPDATE {table} SET lock_version = NULL WHERE id = {this}");
            assert!(run(by_hand(&world), &sql).await.is_err(), "{sql}");
        }
        assert_eq!(content(&world, ids.keys()).await, before, "nothing was changed");
        for (table, this) in &ids {
            let this = id(world.engine, *this);
            let sql = format!(
                "UPDATE {table} SET updated_at = created_at, lock_version = lock_version + 1 \
                 WHERE id = {this}"
            );
            assert_eq!(run(by_hand(&world), &sql).await, Ok(1), "{sql}");
        }
    }

    async fn no_record_is_removed_by_hand(world) {
        let ids = one_of_each(&world).await;
        let before = content(&world, ids.keys()).await;
        let elsewhere = elsewhere(&world).await;
        for (table, this) in &ids {
            let this = id(world.engine, *this);
            let one = format!("DELETE FROM {table} WHERE id = {this}");
            let all = format!("DELETE FROM {table}");
            for sql in [&one, &all] {
                assert_walled(run(by_hand(&world), sql).await, table, NO_DELETE, sql);
                assert_walled(run(&elsewhere, sql).await, table, NO_DELETE, sql);
            }
            let columns = columns(&world, table).await;
            let replace = format!(
                "REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id = {this}"
            );
            let sql = match world.engine {
                Engine::Sqlite | Engine::MariaDb => replace,
                Engine::Postgres => format!("TRUNCATE {table} CASCADE"),
            };
            for refused in [run(by_hand(&world), &sql).await, run(&elsewhere, &sql).await] {
                match world.engine {
                    Engine::Sqlite => assert_taken(refused, table, &sql),
                    _ => assert_walled(refused, table, NO_DELETE, &sql),
                }
            }
        }
        assert_eq!(content(&world, ids.keys()).await, before, "nothing was changed");
    }

    async fn a_record_whose_value_is_taken_does_not_replace_the_one_that_has_it(world) {
        if world.engine == Engine::Postgres {
            // It has no REPLACE.
            return;
        }
        world.tag("tag").await;
        let new = id(world.engine, Uuid::now_v7());
        let sql = format!(
            "REPLACE INTO tags (id, created_at, updated_at, name, slug) \
             SELECT {new}, created_at, updated_at, name, slug FROM tags"
        );
        assert_walled(run(by_hand(&world), &sql).await, "tags", NO_DELETE, &sql);
        assert_eq!(count(by_hand(&world), "tags").await, 1);
    }

    async fn a_deletion_stays_as_it_was_made(world) {
        let tag = world.tag("tag").await;
        let tag = tag.delete(&world.store, system(&world)).await.unwrap();
        let columns = columns(&world, "deletions").await;
        let another = id(world.engine, Uuid::now_v7());
        let last = match world.engine {
            Engine::Sqlite | Engine::MariaDb => {
                format!("REPLACE INTO deletions ({columns}) SELECT {columns} FROM deletions")
            }
            Engine::Postgres => "TRUNCATE deletions".to_owned(),
        };
        let elsewhere = elsewhere(&world).await;
        for sql in [
            format!("UPDATE deletions SET id = {another}"),
            format!("UPDATE deletions SET actor_id = {another}"),
            format!("UPDATE deletions SET root_id = {another}"),
            "UPDATE deletions SET root_type = 'post'".to_owned(),
            "UPDATE deletions SET row_count = 2, restored_at = created_at".to_owned(),
            "DELETE FROM deletions WHERE row_count = 1".to_owned(),
            "DELETE FROM deletions".to_owned(),
            last.clone(),
        ] {
            for refused in [run(by_hand(&world), &sql).await, run(&elsewhere, &sql).await] {
                if world.engine == Engine::Sqlite && sql == last {
                    assert_taken(refused, "deletions", &sql);
                } else {
                    assert_walled(refused, "deletions", DELETION_STAYS, &sql);
                }
            }
        }
        assert!(tag.restore(&world.store, system(&world)).await.is_ok());
    }

    async fn the_audit_log_is_only_added_to(world) {
        one_of_each(&world).await;
        let before = count(by_hand(&world), "audit_log").await;
        let columns = columns(&world, "audit_log").await;
        let elsewhere = elsewhere(&world).await;
        let replace = format!("REPLACE INTO audit_log ({columns}) SELECT {columns} FROM audit_log");
        let last = match world.engine {
            Engine::Sqlite | Engine::MariaDb => replace.as_str(),
            Engine::Postgres => "TRUNCATE audit_log",
        };
        for sql in [
            "UPDATE audit_log SET action = 'create'",
            "UPDATE audit_log SET action = action",
            "DELETE FROM audit_log WHERE action = 'create'",
            "DELETE FROM audit_log",
            last,
        ] {
            for refused in [run(by_hand(&world), sql).await, run(&elsewhere, sql).await] {
                if world.engine == Engine::Sqlite && sql == last {
                    assert_taken(refused, "audit_log", sql);
                } else {
                    assert_walled(refused, "audit_log", LOG_ONLY_GROWS, sql);
                }
            }
        }
        assert_eq!(count(by_hand(&world), "audit_log").await, before);
    }

    async fn what_was_sold_and_what_moved_is_only_added_to(world) {
        let people = people(&world).await;
        an_order(&world, &people.ada, &a_product(&world, "product").await).await;
        let from = account_with(&world, &people.ada, "EUR", 9).await;
        let to = account_with(&world, &people.grace, "EUR", 0).await;
        let by = world.as_user(&people.ada);
        transfer_funds(&world.store, by, from.id, to.id, 4).await.unwrap();
        let elsewhere = elsewhere(&world).await;
        for (table, number, rows) in [
            ("order_items", "quantity", 1),
            ("transfers", "amount", 2),
            ("transfer_entries", "amount", 3),
        ] {
            let columns = columns(&world, table).await;
            let last = match world.engine {
                Engine::Sqlite | Engine::MariaDb => {
                    format!("REPLACE INTO {table} ({columns}) SELECT {columns} FROM {table}")
                }
                Engine::Postgres => format!("TRUNCATE {table} CASCADE"),
            };
            for sql in [
                format!("UPDATE {table} SET {number} = 5"),
                format!("UPDATE {table} SET {number} = {number}"),
                format!("DELETE FROM {table} WHERE {number} IN (1, 4)"),
                format!("DELETE FROM {table}"),
                last.clone(),
            ] {
                for refused in [run(by_hand(&world), &sql).await, run(&elsewhere, &sql).await] {
                    if world.engine == Engine::Sqlite && sql == last {
                        assert_taken(refused, table, &sql);
                    } else {
                        assert_walled(refused, table, LOG_ONLY_GROWS, &sql);
                    }
                }
            }
            assert_eq!(count(by_hand(&world), table).await, rows, "{table}");
        }
    }

    async fn the_database_holds_no_money_that_cannot_be(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 9).await;
        let to = account_with(&world, &people.grace, "EUR", 0).await;
        let by = world.as_user(&people.ada);
        let moved = transfer_funds(&world.store, by, from.id, to.id, 4).await.unwrap();
        let [from, to, moved, new] = [from.uuid(), to.uuid(), moved.id.0, Uuid::now_v7()]
            .map(|this| id(world.engine, this));
        let transfer = |kind: &str, from: &str, to: &str, amount: i64, order: &str| {
            format!(
                "INSERT INTO transfers (id, created_at, kind, from_account_id, to_account_id, \
                 amount, currency, order_id) SELECT {new}, created_at, '{kind}', {from}, {to}, \
                 {amount}, currency, {order} FROM transfers WHERE id = {moved}"
            )
        };
        let entry = |amount: i64, balance: i64| {
            // Of an account that the transfer does not touch yet.
            format!(
                "INSERT INTO transfer_entries (id, created_at, transfer_id, account_id, amount, \
                 balance) SELECT {new}, created_at, id, {to}, {amount}, {balance} \
                 FROM transfers WHERE kind = 'DEPOSIT'"
            )
        };
        let accounts = "UPDATE accounts SET lock_version = lock_version + 1";
        for (table, column, sql) in [
            ("accounts", "balance", format!("{accounts}, balance = -1 WHERE id = {from}")),
            ("accounts", "balance", format!("{accounts}, balance = balance - 5 WHERE id = {to}")),
            ("transfers", "amount", transfer("TRANSFER", &from, &to, 0, "NULL")),
            ("transfers", "amount", transfer("TRANSFER", &from, &to, -1, "NULL")),
            ("transfers", "kind", transfer("TRANSFER", &from, &from, 1, "NULL")),
            ("transfers", "kind", transfer("TRANSFER", "NULL", &to, 1, "NULL")),
            ("transfers", "kind", transfer("TRANSFER", &from, "NULL", 1, "NULL")),
            ("transfers", "kind", transfer("TRANSFER", &from, &to, 1, &new)),
            ("transfers", "kind", transfer("DEPOSIT", &from, &to, 1, "NULL")),
            ("transfers", "kind", transfer("DEPOSIT", "NULL", "NULL", 1, "NULL")),
            ("transfers", "kind", transfer("PAYMENT", &from, "NULL", 1, "NULL")),
            ("transfers", "kind", transfer("PAYMENT", &from, &to, 1, &new)),
            ("transfers", "kind", transfer("REFUND", "NULL", &to, 1, "NULL")),
            ("transfers", "kind", transfer("REFUND", &from, &to, 1, &new)),
            ("transfers", "kind", transfer("GIFT", &from, &to, 1, "NULL")),
            ("transfer_entries", "amount", entry(0, 0)),
            ("transfer_entries", "balance", entry(1, -1)),
        ] {
            let place = ColumnRef {
                table: table.into(),
                column: column.into(),
            };
            assert_eq!(run(by_hand(&world), &sql).await, Err(Fault::Check(place)), "{sql}");
        }
        for sql in [transfer("PAYMENT", &from, "NULL", 1, &new), entry(1, 0)] {
            assert_eq!(run(by_hand(&world), &sql).await, Ok(1), "{sql}");
        }
    }

    async fn the_database_holds_no_goods_or_orders_that_cannot_be(world) {
        let people = people(&world).await;
        let account = account_with(&world, &people.ada, "EUR", 0).await;
        let product = a_product(&world, "product").await;
        let other = a_product(&world, "other").await;
        let order = an_order(&world, &people.ada, &product).await;
        let [product, other, order, account, new] =
            [product.uuid(), other.uuid(), order.id.into(), account.uuid(), Uuid::now_v7()]
                .map(|this| id(world.engine, this));
        let products = "UPDATE products SET lock_version = lock_version + 1";
        let inventories = "UPDATE inventories SET lock_version = lock_version + 1";
        let orders = "UPDATE orders SET lock_version = lock_version + 1";
        let item = |quantity: i32, amount: i64| {
            // Of a product that is not in the order yet.
            format!(
                "INSERT INTO order_items (id, created_at, order_id, product_id, position, \
                 quantity, unit_amount) SELECT {new}, created_at, order_id, {other}, 1, \
                 {quantity}, {amount} FROM order_items WHERE order_id = {order}"
            )
        };
        for (table, column, sql) in [
            ("products", "price_amount", format!("{products}, price_amount = 0")),
            ("products", "price_amount", format!("{products}, price_amount = -1")),
            ("inventories", "quantity", format!("{inventories}, quantity = -1")),
            (
                "inventories",
                "quantity",
                format!("{inventories}, quantity = quantity - 50 WHERE product_id = {product}"),
            ),
            ("orders", "total_amount", format!("{orders}, total_amount = 0")),
            ("orders", "total_amount", format!("{orders}, total_amount = -1")),
            ("orders", "status", format!("{orders}, status = 'GIVEN', account_id = {account}")),
            ("orders", "account_id", format!("{orders}, status = 'PAID'")),
            ("orders", "account_id", format!("{orders}, status = 'SHIPPED'")),
            ("order_items", "quantity", item(0, 1)),
            ("order_items", "quantity", item(-1, 1)),
            ("order_items", "unit_amount", item(1, 0)),
            ("order_items", "unit_amount", item(1, -1)),
        ] {
            let place = ColumnRef {
                table: table.into(),
                column: column.into(),
            };
            assert_eq!(run(by_hand(&world), &sql).await, Err(Fault::Check(place)), "{sql}");
        }
        for sql in [
            format!("{inventories}, quantity = quantity - 49 WHERE product_id = {product}"),
            format!("{orders}, status = 'PAID', account_id = {account}"),
            item(1, 1),
        ] {
            assert_eq!(run(by_hand(&world), &sql).await, Ok(1), "{sql}");
        }
    }

    async fn a_change_that_the_log_cannot_take_is_not_made(world) {
        let ada = world.user("ada", plimsoll_domain::Role::User).await;
        let post = world.post(&ada, "Post").await;
        let tables = ["users", "posts", "tags"];
        let before = content(&world, tables.iter()).await;
        let away = "ALTER TABLE audit_log RENAME TO log_that_is_away";
        run(by_hand(&world), away).await.unwrap();
        let internal = |error: &plimsoll_domain::Error| {
            matches!(error, plimsoll_domain::Error::Internal(_))
        };
        let renamed = post.rename(&world.store, system(&world), "Other").await;
        assert!(renamed.as_ref().is_err_and(internal), "{renamed:?}");
        let deleted = post.delete(&world.store, system(&world)).await;
        assert!(deleted.as_ref().is_err_and(internal), "{deleted:?}");
        let created = create_tag(&world.store, system(&world), "another").await;
        assert!(created.as_ref().is_err_and(internal), "{created:?}");
        assert_eq!(content(&world, tables.iter()).await, before, "nothing was changed");
    }

    async fn purging_goes_through_the_gate_and_shuts_it(world) {
        let people = people(&world).await;
        profile_of(&world, &people.ada).await;
        world.post(&people.ada, "Post").await;
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        world.statements.take();
        ada.purge(&world.store, later(&world)).await.unwrap();
        let ran = world.statements.take();
        let at = |start: &str| {
            let begins = |sql: &String| sql.replace('`', "\"").starts_with(start);
            ran.iter().position(begins).unwrap_or_else(|| panic!("no {start} in {ran:#?}"))
        };
        let opened = at("INSERT INTO \"wall_gate\"");
        let removed = at("DELETE FROM \"users\"");
        let shut = at("DELETE FROM \"wall_gate\"");
        assert!(opened < removed && removed < shut, "{ran:#?}");
        assert_eq!(count(by_hand(&world), "wall_gate").await, 0);
        let sql = "DELETE FROM users";
        assert_walled(run(by_hand(&world), sql).await, "users", NO_DELETE, sql);
    }

    async fn a_purge_that_is_rolled_back_leaves_the_gate_shut(world) {
        let people = people(&world).await;
        world.post(&people.ada, "Along").await;
        let alone = world.post(&people.ada, "Alone").await;
        alone.delete(&world.store, system(&world)).await.unwrap();
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        world.statements.take();
        let refused = ada.purge(&world.store, later(&world)).await;
        assert_refused!(refused, plimsoll_domain::Error::StillReferenced { .. });
        let opened = world.statements.take();
        assert!(opened.iter().any(|sql| sql.contains("wall_gate")), "{opened:#?}");
        assert_eq!(count(by_hand(&world), "wall_gate").await, 0);
        for sql in ["DELETE FROM posts", "DELETE FROM users"] {
            let table = sql.trim_start_matches("DELETE FROM ");
            assert_walled(run(by_hand(&world), sql).await, table, NO_DELETE, sql);
        }
    }

    async fn an_open_gate_lets_its_own_transaction_through_and_no_other(world) {
        world.tag("tag").await;
        let elsewhere = elsewhere(&world).await;
        let walled = "DELETE FROM tags";
        let backfill = "UPDATE tags SET name = 'other'";
        let mine = by_hand(&world).begin().await.unwrap();
        // On SQLite this takes the one right to write.
        run(&mine, &open_gate(world.engine)).await.unwrap();
        let another = run(&elsewhere, walled).await;
        match world.engine {
            Engine::Sqlite => assert!(matches!(another, Err(Fault::Transient(_))), "{another:?}"),
            _ => assert_walled(another, "tags", NO_DELETE, walled),
        }
        for sql in [
            backfill,
            "UPDATE audit_log SET action = action",
            "DELETE FROM audit_log",
            walled,
        ] {
            assert_eq!(run(&mine, sql).await, Ok(1), "{sql}");
        }
        mine.rollback().await.unwrap();
        for on in [by_hand(&world), &elsewhere] {
            assert_walled(run(on, walled).await, "tags", NO_DELETE, walled);
            assert_walled(run(on, backfill).await, "tags", NO_UPDATE, backfill);
        }
        // One that is shut again before COMMIT leaves its work behind, and the walls.
        let mine = by_hand(&world).begin().await.unwrap();
        run(&mine, &open_gate(world.engine)).await.unwrap();
        assert_eq!(run(&mine, backfill).await, Ok(1));
        run(&mine, "DELETE FROM wall_gate").await.unwrap();
        assert_walled(run(&mine, "DELETE FROM audit_log").await, "audit_log", LOG_ONLY_GROWS, "");
        mine.rollback().await.unwrap();
    }

    async fn a_gate_that_is_open_at_commit_is_refused_or_found(world) {
        world.tag("tag").await;
        let walled = "DELETE FROM tags";
        let elsewhere = elsewhere(&world).await;
        let mine = by_hand(&world).begin().await.unwrap();
        run(&mine, &open_gate(world.engine)).await.unwrap();
        let committed = mine.commit().await;
        if world.engine == Engine::MariaDb {
            // It opened the walls for the connection that wrote it alone.
            committed.unwrap();
        } else {
            assert!(committed.is_err());
            assert_eq!(count(by_hand(&world), "wall_gate").await, 0);
        }
        assert_walled(run(&elsewhere, walled).await, "tags", NO_DELETE, walled);
        // Where nothing keeps it from being left open, it is found.
        let left = run(&elsewhere, &open_gate(world.engine)).await.is_ok();
        assert_eq!(left, world.engine != Engine::Postgres);
        let expected = match world.engine {
            Engine::Postgres => 0,
            Engine::Sqlite => 1,
            Engine::MariaDb => 2,
        };
        let found = world.store.database().shut_gate(World::beginning()).await.unwrap();
        assert_eq!(found, vec!["a test"; expected]);
        assert_eq!(count(by_hand(&world), "wall_gate").await, 0);
        for on in [by_hand(&world), &elsewhere] {
            assert_walled(run(on, walled).await, "tags", NO_DELETE, walled);
        }
        assert!(world.store.database().shut_gate(World::beginning()).await.unwrap().is_empty());
    }
}
