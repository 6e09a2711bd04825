-- The same as for PostgreSQL.
alter table heroes add column folded_rule integer not null default 0;
alter table heroes add column folded_version integer not null default 0;
alter table meals add column folded_rule integer not null default 0;
alter table meals add column folded_version integer not null default 0;

create index heroes_to_fold on heroes (id) where folded_version <> version and deleted_time is null;
create index meals_to_fold on meals (id) where folded_version <> version and deleted_time is null;
create index heroes_by_fold_rule on heroes (folded_rule);
create index meals_by_fold_rule on meals (folded_rule);
