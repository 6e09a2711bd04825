-- Heroes, meals and orders. The folded columns hold what `fold` of the protocol makes of the column beside them.

create table heroes (
    id bigint generated always as identity (maxvalue 9007199254740991) primary key,
    name text not null,
    name_folded text not null,
    planet text not null,
    allergies text[] not null,
    allergies_folded text[] not null,
    version int not null default 1 check (version >= 1),
    deleted_time timestamptz,
    check (cardinality(allergies) = cardinality(allergies_folded))
);

create table meals (
    id bigint generated always as identity (maxvalue 9007199254740991) primary key,
    name text not null,
    name_folded text not null,
    ingredients text[] not null,
    ingredients_folded text[] not null,
    price_hundredths bigint not null check (price_hundredths between 0 and 100000000000),
    origin_planet text not null,
    description text not null,
    version int not null default 1 check (version >= 1),
    deleted_time timestamptz,
    check (cardinality(ingredients) = cardinality(ingredients_folded))
);

-- No cache: a session that kept ids for later would give an order an id below the floor.
create sequence order_ids as bigint maxvalue 9007199254740991 cache 1;

-- status: 0 PENDING, 1 IN_PROGRESS, 2 COMPLETED, 3 CANCELLED
-- reason: 1 hero_request, 2 allergy, 3 hero_gone, 4 meal_gone, 5 undeliverable
--
-- Room in each page and no index on what changes with a transition – status, owner, due_at, the times – keep the updates
-- within the page (HOT). No foreign keys: they cost half of the insert rate; heroes and meals are only ever deleted softly.
create table orders (
    id bigint primary key default nextval('order_ids'),
    hero_id bigint not null,
    meal_id bigint not null,
    status smallint not null default 0,
    reason smallint,
    message text check (char_length(message) between 1 and 2000),
    version int not null default 1,
    order_time timestamptz not null,
    started_time timestamptz,
    completed_time timestamptz,
    deleted_time timestamptz,
    owner bigint,
    due_at timestamptz,
    adoptions smallint not null default 0 check (adoptions >= 0),
    key_scope bigint,
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
            when 2 then version = 3 + (deleted_time is not null)::int and started_time is not null and completed_time is not null
                and reason is null and message is null and owner is null and due_at is null
            when 3 then completed_time is not null and message is not null and owner is null and due_at is null
                and reason is not null
                and case
                    when started_time is null then version = 2 + (deleted_time is not null)::int and reason in (1, 3, 4)
                    else version = 3 + (deleted_time is not null)::int and reason between 1 and 5
                end
            else false
        end
    )
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

alter sequence order_ids owned by orders.id;

create index orders_by_hero on orders (hero_id, id desc);
create unique index orders_by_key on orders (key_scope, key) where key is not null;
create index orders_deleted on orders (hero_id, deleted_time) where deleted_time is not null;

-- The number of one start of one process; also the second half of the name of an advisory lock, an int.
create sequence incarnations as int;

-- floor: every order that may still change has this id or a greater one.
-- key_floor: every order that has a key has this id or a greater one.
create table watermark (
    one boolean primary key default true check (one),
    floor bigint not null default 1,
    key_floor bigint not null default 1
);

insert into watermark default values;
