-- The last sign-out of each hero: tokens that were issued before are refused. The gateway asks for the latest ones each second.
create table sign_outs (
    hero_id integer primary key references heroes,
    time integer not null
) strict;

create index sign_outs_lately on sign_outs (time);
