-- For lists of orders by order time.
create index if not exists orders_by_time on orders (order_time, id);
