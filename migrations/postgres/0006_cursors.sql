-- The key that signs the cursors of clients. An epoch is one history of this database: where the database is another one than
-- the one in which the row was made, as after a dump was restored, programs begin another epoch with another key.
-- server, database, timeline: where the row was made; null for what the server does not tell. writer: the transaction that wrote
-- the row, its `xmin`.
create table cursor_key (
    one boolean primary key default true check (one),
    epoch bigint not null check (epoch between 0 and 4294967295),
    secret bytea not null check (octet_length(secret) >= 32),
    server text,
    database oid not null,
    timeline text,
    writer text not null
);

-- The keys of epochs that ended with a new timeline of the same server: up to their last position the history is the same.
-- heir: the epoch in which that history goes on.
create table earlier_cursor_keys (
    epoch bigint primary key check (epoch between 0 and 4294967295),
    secret bytea not null check (octet_length(secret) >= 32),
    last bigint not null,
    heir bigint not null,
    ended_time timestamptz not null default now()
);

-- Deletions up to this position in the order of commits may be forgotten.
alter table watermark add column forgotten bigint not null default 0;
