-- change: the number of the transaction that changed the order last, of all that changed an order.
-- watermark.change: the last such number. watermark.forgotten: deletions up to this number may be forgotten.
alter table orders add column change integer not null default 0;
alter table watermark add column change integer not null default 0;
alter table watermark add column forgotten integer not null default 0;

-- Deletions are found by their number now, one hero's and everybody's.
drop index orders_deleted;
create index orders_deleted on orders (hero_id, change) where deleted_time is not null;
create index orders_deleted_by_change on orders (change) where deleted_time is not null;

-- Each start of a program begins an epoch, which has a key of its own to sign the cursors of clients.
-- change: the last number when it began. A cursor of the epoch before that names a greater one is of another history.
create table cursor_keys (
    number integer primary key autoincrement,
    epoch integer not null unique,
    secret blob not null,
    begun_time integer not null,
    change integer not null
) strict;
