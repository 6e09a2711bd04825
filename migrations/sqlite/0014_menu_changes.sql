-- changed: the number of the last change of a row, of all changes of the table. Null in rows that have not changed since this migration.
alter table heroes add column changed integer;
alter table meals add column changed integer;
