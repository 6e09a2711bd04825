-- no-transaction
-- The index that 0002 made while writers waited. Programs leave it out there now, and make it here, beside writers.
create index concurrently if not exists orders_deleted_lately on orders (deleted_time) where deleted_time is not null;
