//! The schema as the engines' own catalogs tell it.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ConnectionTrait, Statement};

/// The answer of a query, each row as text.
async fn rows(world: &World, sql: &str, columns: usize) -> Vec<Vec<String>> {
    let connection = world.store.database().unguarded("a test reads the catalog");
    let backend = connection.get_database_backend();
    let rows = connection
        .query_all_raw(Statement::from_string(backend, sql.to_owned()))
        .await;
    let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter()
        .map(|row| {
            (0..columns)
                .map(|at| {
                    row.try_get_by_index::<String>(at)
                        .expect("the catalog tells text")
                })
                .collect()
        })
        .collect()
}

/// The columns of each table.
async fn columns(world: &World) -> BTreeMap<String, BTreeSet<String>> {
    let sql = match world.engine {
        Engine::Sqlite => {
            "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c \
             WHERE t.type = 'table'"
        }
        Engine::Postgres => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns \
             WHERE table_schema = current_schema()"
        }
        Engine::MariaDb => {
            "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR) \
             FROM information_schema.columns WHERE table_schema = DATABASE()"
        }
    };
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows(world, sql, 2).await {
        tables
            .entry(row[0].clone())
            .or_default()
            .insert(row[1].clone());
    }
    tables
}

/// The columns of each unique index that is no primary key: table, index, column.
async fn unique(world: &World) -> BTreeMap<(String, String), BTreeSet<String>> {
    let sql = match world.engine {
        Engine::Sqlite => {
            "SELECT t.name, i.name, c.name FROM sqlite_schema t, pragma_index_list(t.name) i, \
             pragma_index_info(i.name) c \
             WHERE t.type = 'table' AND i.\"unique\" = 1 AND i.origin <> 'pk'"
        }
        Engine::Postgres => {
            "SELECT t.relname::text, i.relname::text, a.attname::text FROM pg_index x \
             JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY(x.indkey::int2[]) \
             WHERE x.indisunique AND NOT x.indisprimary \
             AND t.relnamespace = current_schema()::regnamespace"
        }
        Engine::MariaDb => {
            "SELECT CAST(table_name AS CHAR), CAST(index_name AS CHAR), \
             CAST(column_name AS CHAR) FROM information_schema.statistics \
             WHERE table_schema = DATABASE() AND non_unique = 0 AND index_name <> 'PRIMARY'"
        }
    };
    let mut found: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for row in rows(world, sql, 3).await {
        let key = (row[0].clone(), row[1].clone());
        found.entry(key).or_default().insert(row[2].clone());
    }
    found
}

/// Each foreign key: table, column, the table referred to, and what a deletion there does.
async fn foreign_keys(world: &World) -> Vec<Vec<String>> {
    let sql = match world.engine {
        Engine::Sqlite => {
            "SELECT t.name, f.\"from\", f.\"table\", f.on_delete || ' ' || f.on_update \
             FROM sqlite_schema t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'"
        }
        Engine::Postgres => {
            "SELECT t.relname::text, a.attname::text, p.relname::text, \
             CASE c.confdeltype WHEN 'r' THEN 'RESTRICT' ELSE c.confdeltype::text END || ' ' || \
             CASE c.confupdtype WHEN 'a' THEN 'NO ACTION' ELSE c.confupdtype::text END \
             FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid \
             JOIN pg_class p ON p.oid = c.confrelid \
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1] \
             WHERE c.contype = 'f'"
        }
        Engine::MariaDb => {
            "SELECT CAST(k.table_name AS CHAR), CAST(k.column_name AS CHAR), \
             CAST(k.referenced_table_name AS CHAR), \
             CAST(CONCAT(r.delete_rule, ' ', \
                IF(r.update_rule = 'RESTRICT', 'NO ACTION', r.update_rule)) AS CHAR) \
             FROM information_schema.referential_constraints r \
             JOIN information_schema.key_column_usage k \
                ON k.constraint_schema = r.constraint_schema \
                AND k.constraint_name = r.constraint_name AND k.table_name = r.table_name \
             WHERE r.constraint_schema = DATABASE()"
        }
    };
    rows(world, sql, 4).await
}

on_every_engine! {
    async fn every_table_with_deletions_is_a_registered_record_with_all_its_columns(world) {
        let tables = columns(&world).await;
        let registered: BTreeSet<&str> =
            world.store.database().register().records().iter().map(|info| info.table).collect();
        let with_deletions: BTreeSet<&str> = tables
            .iter()
            .filter(|(_, columns)| columns.contains("deleted_at"))
            .map(|(table, _)| table.as_str())
            .collect();
        assert_eq!(with_deletions, registered);
        for table in registered {
            for column in
                ["id", "created_at", "updated_at", "lock_version", "deletion_id", "live"]
            {
                assert!(tables[table].contains(column), "{table} has no {column}");
            }
        }
    }

    async fn what_is_unique_in_a_record_is_unique_among_the_living(world) {
        let unique = unique(&world).await;
        let mut keys = BTreeSet::new();
        for info in world.store.database().register().records() {
            for ((table, index), columns) in &unique {
                if table == info.table {
                    assert!(columns.contains("live"), "{index} of {table}: {columns:?}");
                    let key: Vec<_> = columns.iter().filter(|c| *c != "live").cloned().collect();
                    keys.insert((info.table, key.join(",")));
                }
            }
        }
        let expected = [
            ("accounts", "currency,owner_id"),
            ("categories", "slug"),
            ("inventories", "product_id"),
            ("posts", "slug"),
            ("products", "sku_key"),
            ("profiles", "user_id"),
            ("tags", "slug"),
            ("users", "email_key"),
        ];
        assert_eq!(keys, expected.map(|(table, key)| (table, key.to_owned())).into());
    }

    async fn no_foreign_key_cascades_and_every_parent_has_one(world) {
        let keys = foreign_keys(&world).await;
        for key in &keys {
            assert_eq!(key[3], "RESTRICT NO ACTION", "{key:?}");
        }
        let has = |table: &str, column: &str, parent: &str| {
            keys.iter().any(|key| key[..3] == [table, column, parent])
        };
        for info in world.store.database().register().records() {
            for parent in &info.parents {
                assert!(has(info.table, parent.column, parent.table), "{}", parent.column);
            }
            for dependent in &info.dependents {
                assert!(has(dependent.table, dependent.column, info.table), "{}", dependent.table);
            }
        }
        // What refers to a record and is neither its child nor goes with it would keep it from
        // being purged for ever. The gate's key refers to no record, and what tells of sales and
        // of money is to keep them.
        let told = ["wall_gate", "order_items", "transfer_entries"];
        for key in keys.iter().filter(|key| !told.contains(&key[0].as_str())) {
            let records = world.store.database().register().records();
            let is_child = records.iter().any(|info| {
                info.table == key[0] && info.parents.iter().any(|p| p.column == key[1])
            });
            let goes_along = records.iter().any(|info| {
                info.table == key[2]
                    && info.dependents.iter().any(|d| d.table == key[0] && d.column == key[1])
            });
            assert!(is_child || goes_along, "{key:?}");
        }
    }

    async fn a_plain_hard_delete_of_a_parent_is_refused_by_the_database(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        world.post(&author, "Post").await;
        let connection = world.store.database().unguarded("a test deletes by hand");
        let outcome = connection.execute_unprepared("DELETE FROM users").await;
        assert!(outcome.is_err(), "a foreign key restricts it");
    }
}
