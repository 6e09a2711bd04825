-- What was deleted lately, whoever's: for the staff feed, and for forgetting. Deletion is the last change of a row, so that
-- no transition pays for this index.
create index orders_deleted_lately on orders (deleted_time) where deleted_time is not null;
