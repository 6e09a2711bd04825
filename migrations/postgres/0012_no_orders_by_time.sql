-- no-transaction
-- Lists by time find their ids by halves; the index cost each order a tenth more.
drop index concurrently if exists orders_by_time;
