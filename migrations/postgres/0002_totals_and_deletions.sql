-- What was deleted lately, whoever's: for the staff feed, and for forgetting. Deletion is the last change of a row, so that
-- no transition pays for this index.
create index orders_deleted_lately on orders (deleted_time) where deleted_time is not null;

-- Totals without a scan: of the orders with an id below this one, so many are COMPLETED and so many CANCELLED, without the
-- deleted ones. It lags behind the floor, so that nothing can happen to those orders but being deleted.
-- A gateway that does not know this table deletes without subtracting: replace gateways before totals matter.
create table tally (
    one boolean primary key default true check (one),
    below bigint not null,
    completed bigint not null,
    cancelled bigint not null
);

insert into tally (below, completed, cancelled)
select watermark.floor, count(*) filter (where orders.status = 2), count(*) filter (where orders.status = 3)
from watermark left join orders on orders.id < watermark.floor and orders.deleted_time is null
group by watermark.floor;
