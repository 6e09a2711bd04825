-- The same as for PostgreSQL: lists are JSON arrays, times are milliseconds since 1970 by the clock of the process.

create table heroes (
    id integer primary key autoincrement,
    name text not null,
    name_folded text not null,
    planet text not null,
    allergies text not null,
    allergies_folded text not null,
    version integer not null default 1 check (version >= 1),
    deleted_time integer,
    check (json_array_length(allergies) = json_array_length(allergies_folded))
) strict;

create table meals (
    id integer primary key autoincrement,
    name text not null,
    name_folded text not null,
    ingredients text not null,
    ingredients_folded text not null,
    price_hundredths integer not null check (price_hundredths between 0 and 100000000000),
    origin_planet text not null,
    description text not null,
    version integer not null default 1 check (version >= 1),
    deleted_time integer,
    check (json_array_length(ingredients) = json_array_length(ingredients_folded))
) strict;

-- status: 0 PENDING, 1 IN_PROGRESS, 2 COMPLETED, 3 CANCELLED
-- reason: 1 hero_request, 2 allergy, 3 hero_gone, 4 meal_gone, 5 undeliverable
create table orders (
    id integer primary key autoincrement,
    hero_id integer not null,
    meal_id integer not null,
    status integer not null default 0,
    reason integer,
    message text check (length(message) between 1 and 2000),
    version integer not null default 1,
    order_time integer not null,
    started_time integer,
    completed_time integer,
    deleted_time integer,
    owner integer,
    due_at integer,
    adoptions integer not null default 0 check (adoptions >= 0),
    key_scope integer,
    key text,
    constraint key_with_scope check ((key is null) = (key_scope is null)),
    constraint times_rise check (
        (started_time is null or started_time >= order_time)
        and (completed_time is null or completed_time >= coalesce(started_time, order_time))
        and (deleted_time is null or deleted_time >= completed_time)
    ),
    -- Deletion is one more version of an order that has ended.
    constraint life_cycle check (
        case status
            when 0 then version = 1 and started_time is null and completed_time is null and deleted_time is null
                and reason is null and message is null and owner is null and due_at is null
            when 1 then version = 2 and started_time is not null and completed_time is null and deleted_time is null
                and reason is null and message is null and due_at is not null
            when 2 then version = 3 + (deleted_time is not null) and started_time is not null and completed_time is not null
                and reason is null and message is null and owner is null and due_at is null
            when 3 then completed_time is not null and message is not null and owner is null and due_at is null
                and reason is not null
                and case
                    when started_time is null then version = 2 + (deleted_time is not null) and reason in (1, 3, 4)
                    else version = 3 + (deleted_time is not null) and reason between 1 and 5
                end
            else false
        end
    )
) strict;

create index orders_by_hero on orders (hero_id, id desc);
create unique index orders_by_key on orders (key_scope, key) where key is not null;
create index orders_deleted on orders (hero_id, deleted_time) where deleted_time is not null;

-- floor: every order that may still change has this id or a greater one.
-- key_floor: every order that has a key has this id or a greater one.
-- incarnation: the number of the last start of a worker.
create table watermark (
    one integer primary key default 1 check (one = 1),
    floor integer not null default 1,
    key_floor integer not null default 1,
    incarnation integer not null default 0
) strict;

insert into watermark default values;
