-- Tickets that open one socket or event stream each, by the digest of their text. Subject, issue and end are those of the token for
-- which the ticket was made; without a hero it is a token of staff.
create table tickets (
    digest text primary key,
    hero_id bigint references heroes,
    subject bigint not null,
    name text not null,
    issued bigint,
    token_expires bigint not null,
    origin text,
    expires timestamptz not null
);

create index tickets_by_end on tickets (expires);
