-- The folding of a row is fresh when it was made by the newest rule (`FOLD_RULE` of the protocol) from the texts of this version of the
-- row. A program from before this migration changes texts and raises `version` without a word about folding, which shows here. SQL
-- cannot fold: programs fold again what is not fresh, when they migrate and while they run.
alter table heroes
    add column folded_rule smallint not null default 0,
    add column folded_version int not null default 0;

alter table meals
    add column folded_rule smallint not null default 0,
    add column folded_version int not null default 0;

-- The first two are empty while all is fresh, so that looking costs nothing. The others have no condition, or they would be read in
-- place of the first.
create index heroes_to_fold on heroes (id) where folded_version <> version and deleted_time is null;
create index meals_to_fold on meals (id) where folded_version <> version and deleted_time is null;
create index heroes_by_fold_rule on heroes (folded_rule);
create index meals_by_fold_rule on meals (folded_rule);
