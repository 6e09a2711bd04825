-- no-transaction
-- Every gateway asks each second which heroes changed lately.
create index concurrently if not exists heroes_by_change on heroes (changed) where changed is not null;
