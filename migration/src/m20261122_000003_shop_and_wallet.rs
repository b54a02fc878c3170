//! The shop and the wallet: products and their stock, orders, accounts and what moved between
//! them, and the keys by which a request that is sent twice is known again.

use sea_orm_migration::prelude::*;

use crate::engine::{drop_walls, live_index, run, wall_log, wall_record};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Each after those that it refers to. Money is in minor units of an ISO 4217 currency.
const TABLES: [&str; 8] = [
    "CREATE TABLE products ({record},
        sku {key} NOT NULL,
        sku_key {key} NOT NULL,
        name {key} NOT NULL,
        name_key {key} NOT NULL,
        price_amount BIGINT NOT NULL,
        currency VARCHAR(3) NOT NULL,
        CONSTRAINT ck_products__price_amount CHECK (price_amount > 0),
        CONSTRAINT uq_products__sku_key UNIQUE (sku_key, live)
    ) {table}",
    "CREATE TABLE inventories ({record},
        product_id {uuid} NOT NULL,
        quantity INTEGER NOT NULL,
        CONSTRAINT ck_inventories__quantity CHECK (quantity >= 0),
        CONSTRAINT uq_inventories__product_id UNIQUE (product_id, live),
        CONSTRAINT fk_inventories__product_id FOREIGN KEY (product_id)
            REFERENCES products (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE accounts ({record},
        owner_id {uuid} NOT NULL,
        currency VARCHAR(3) NOT NULL,
        balance BIGINT NOT NULL,
        CONSTRAINT ck_accounts__balance CHECK (balance >= 0),
        CONSTRAINT uq_accounts__currency UNIQUE (currency, owner_id, live),
        CONSTRAINT fk_accounts__owner_id FOREIGN KEY (owner_id)
            REFERENCES users (id) ON DELETE RESTRICT
    ) {table}",
    "CREATE TABLE orders ({record},
        buyer_id {uuid} NOT NULL,
        account_id {uuid} NULL,
        status VARCHAR(16) NOT NULL,
        total_amount BIGINT NOT NULL,
        currency VARCHAR(3) NOT NULL,
        CONSTRAINT ck_orders__status
            CHECK (status IN ('PENDING', 'PAID', 'SHIPPED', 'CANCELLED')),
        CONSTRAINT ck_orders__account_id
            CHECK (account_id IS NOT NULL OR status IN ('PENDING', 'CANCELLED')),
        CONSTRAINT ck_orders__total_amount CHECK (total_amount > 0),
        CONSTRAINT fk_orders__buyer_id FOREIGN KEY (buyer_id)
            REFERENCES users (id) ON DELETE RESTRICT,
        CONSTRAINT fk_orders__account_id FOREIGN KEY (account_id)
            REFERENCES accounts (id) ON DELETE RESTRICT
    ) {table}",
    // Append-only, as the next two: without `updated_at`.
    "CREATE TABLE order_items (
        id {uuid} NOT NULL PRIMARY KEY,
        created_at {time} NOT NULL,
        order_id {uuid} NOT NULL,
        product_id {uuid} NOT NULL,
        position INTEGER NOT NULL,
        quantity INTEGER NOT NULL,
        unit_amount BIGINT NOT NULL,
        CONSTRAINT ck_order_items__quantity CHECK (quantity > 0),
        CONSTRAINT ck_order_items__unit_amount CHECK (unit_amount > 0),
        CONSTRAINT uq_order_items__product_id UNIQUE (order_id, product_id),
        CONSTRAINT fk_order_items__order_id FOREIGN KEY (order_id)
            REFERENCES orders (id) ON DELETE RESTRICT,
        CONSTRAINT fk_order_items__product_id FOREIGN KEY (product_id)
            REFERENCES products (id) ON DELETE RESTRICT
    ) {table}",
    // No `from`: money comes in from outside. No `to`: it is paid to the shop.
    "CREATE TABLE transfers (
        id {uuid} NOT NULL PRIMARY KEY,
        created_at {time} NOT NULL,
        kind VARCHAR(16) NOT NULL,
        from_account_id {uuid} NULL,
        to_account_id {uuid} NULL,
        amount BIGINT NOT NULL,
        currency VARCHAR(3) NOT NULL,
        order_id {uuid} NULL,
        actor_id {uuid} NULL,
        CONSTRAINT ck_transfers__amount CHECK (amount > 0),
        CONSTRAINT ck_transfers__kind CHECK (
            (kind = 'DEPOSIT' AND from_account_id IS NULL AND to_account_id IS NOT NULL
                AND order_id IS NULL)
            OR (kind = 'TRANSFER' AND from_account_id IS NOT NULL AND to_account_id IS NOT NULL
                AND from_account_id <> to_account_id AND order_id IS NULL)
            OR (kind = 'PAYMENT' AND from_account_id IS NOT NULL AND to_account_id IS NULL
                AND order_id IS NOT NULL)
            OR (kind = 'REFUND' AND from_account_id IS NULL AND to_account_id IS NOT NULL
                AND order_id IS NOT NULL)),
        CONSTRAINT uq_transfers__order_id UNIQUE (order_id, kind)
    ) {table}",
    "CREATE TABLE transfer_entries (
        id {uuid} NOT NULL PRIMARY KEY,
        created_at {time} NOT NULL,
        transfer_id {uuid} NOT NULL,
        account_id {uuid} NOT NULL,
        amount BIGINT NOT NULL,
        balance BIGINT NOT NULL,
        CONSTRAINT ck_transfer_entries__amount CHECK (amount <> 0),
        CONSTRAINT ck_transfer_entries__balance CHECK (balance >= 0),
        CONSTRAINT uq_transfer_entries__account_id UNIQUE (transfer_id, account_id),
        CONSTRAINT fk_transfer_entries__transfer_id FOREIGN KEY (transfer_id)
            REFERENCES transfers (id) ON DELETE RESTRICT,
        CONSTRAINT fk_transfer_entries__account_id FOREIGN KEY (account_id)
            REFERENCES accounts (id) ON DELETE RESTRICT
    ) {table}",
    // What a key led to is named without foreign keys: it may be purged meanwhile.
    "CREATE TABLE idempotency_keys ({id},
        actor_id {uuid} NOT NULL,
        idempotency_key {key} NOT NULL,
        request_hash VARCHAR(64) NOT NULL,
        record_type VARCHAR(32) NULL,
        results {json} NOT NULL,
        expires_at {time} NOT NULL,
        CONSTRAINT uq_idempotency_keys__idempotency_key UNIQUE (actor_id, idempotency_key)
    ) {table}",
];

const INDEXES: [&str; 13] = [
    "CREATE INDEX ix_products__deletion_id ON products (deletion_id)",
    "CREATE INDEX ix_inventories__deletion_id ON inventories (deletion_id)",
    "CREATE INDEX ix_accounts__deletion_id ON accounts (deletion_id)",
    "CREATE INDEX ix_orders__deletion_id ON orders (deletion_id)",
    // Deleting and purging look for the children of any state.
    "CREATE INDEX ix_accounts__owner_id ON accounts (owner_id)",
    "CREATE INDEX ix_orders__buyer_id ON orders (buyer_id)",
    "CREATE INDEX ix_orders__account_id ON orders (account_id)",
    "CREATE INDEX ix_order_items__product_id ON order_items (product_id)",
    "CREATE INDEX ix_transfer_entries__account_id__created_at
        ON transfer_entries (account_id, created_at, id)",
    "CREATE INDEX ix_transfers__created_at ON transfers (created_at, id)",
    "CREATE INDEX ix_idempotency_keys__expires_at ON idempotency_keys (expires_at)",
    // Administrators list products and accounts of any state.
    "CREATE INDEX ix_products__any__name_key ON products (name_key, id)",
    "CREATE INDEX ix_accounts__any__created_at ON accounts (created_at, id)",
];

/// What lists of live rows are ordered by: an index's name, its table and its columns.
const LIVE_INDEXES: [(&str, &str, &str); 7] = [
    ("ix_products__name_key", "products", "name_key, id"),
    ("ix_products__sku_key", "products", "sku_key, id"),
    ("ix_products__created_at", "products", "created_at, id"),
    ("ix_accounts__created_at", "accounts", "created_at, id"),
    (
        "ix_accounts__owner_id__created_at",
        "accounts",
        "owner_id, created_at, id",
    ),
    ("ix_orders__created_at", "orders", "created_at, id"),
    (
        "ix_orders__buyer_id__created_at",
        "orders",
        "buyer_id, created_at, id",
    ),
];

const RECORDS: [&str; 4] = ["products", "inventories", "accounts", "orders"];

const LOGS: [&str; 3] = ["order_items", "transfers", "transfer_entries"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &TABLES).await?;
        run(manager, &INDEXES).await?;
        for (name, table, columns) in LIVE_INDEXES {
            live_index(manager, name, table, columns, None).await?;
        }
        for table in RECORDS {
            wall_record(manager, table).await?;
        }
        for table in LOGS {
            wall_log(manager, table).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in RECORDS.into_iter().chain(LOGS) {
            drop_walls(manager, table).await?;
        }
        run(
            manager,
            &[
                "DROP TABLE idempotency_keys",
                "DROP TABLE transfer_entries",
                "DROP TABLE transfers",
                "DROP TABLE order_items",
                "DROP TABLE orders",
                "DROP TABLE accounts",
                "DROP TABLE inventories",
                "DROP TABLE products",
            ],
        )
        .await
    }
}
