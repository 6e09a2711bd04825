-- The idempotency keys under which heroes and meals were created, with a digest of the body. They are forgotten after 25 hours.

alter table heroes add column creation_key text, add column creation_digest bytea, add column creation_time timestamptz;
alter table meals add column creation_key text, add column creation_digest bytea, add column creation_time timestamptz;

create unique index heroes_by_creation_key on heroes (creation_key) where creation_key is not null;
create unique index meals_by_creation_key on meals (creation_key) where creation_key is not null;
