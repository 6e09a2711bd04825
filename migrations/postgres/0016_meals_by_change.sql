-- no-transaction
-- Every gateway asks each second which meals changed lately.
create index concurrently if not exists meals_by_change on meals (changed) where changed is not null;
