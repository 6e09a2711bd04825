-- no-transaction
-- For lists of orders by order time, which never changes.
create index concurrently if not exists orders_by_time on orders (order_time, id);
