-- Tickets that open one socket or event stream each, by the digest of their text. Subject, issue and end are those of the token for
-- which the ticket was made; without a hero it is a token of staff.
create table tickets (
    digest text primary key,
    hero_id integer references heroes,
    subject integer not null,
    name text not null,
    issued integer,
    token_expires integer not null,
    origin text,
    expires integer not null
) strict;

create index tickets_by_end on tickets (expires);
