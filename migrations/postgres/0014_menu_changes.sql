-- The transaction that changed a row last, so that gateways can read what changed since their last snapshot. Null in rows that have not
-- changed since this migration.
alter table heroes add column changed xid8;
alter table meals add column changed xid8;
alter table heroes alter column changed set default pg_current_xact_id();
alter table meals alter column changed set default pg_current_xact_id();
