-- The last sign-out of each hero: tokens that were issued before are refused. Every gateway asks for the latest ones each second.
create table sign_outs (
    hero_id bigint primary key references heroes,
    time timestamptz not null
);

create index sign_outs_lately on sign_outs (time);
