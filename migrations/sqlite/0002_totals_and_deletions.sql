-- What was deleted lately, whoever's: for the staff feed, and for forgetting.
create index orders_deleted_lately on orders (deleted_time) where deleted_time is not null;

-- Totals without a scan: of the orders with an id below this one, so many are COMPLETED and so many CANCELLED, without the
-- deleted ones. It lags behind the floor, so that nothing can happen to those orders but being deleted.
create table tally (
    one integer primary key default 1 check (one = 1),
    below integer not null,
    completed integer not null,
    cancelled integer not null
) strict;

insert into tally (below, completed, cancelled)
select watermark.floor, count(*) filter (where orders.status = 2), count(*) filter (where orders.status = 3)
from watermark left join orders on orders.id < watermark.floor and orders.deleted_time is null
group by watermark.floor;
