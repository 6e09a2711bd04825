-- The deleted heroes by time: the gateway asks for the latest ones each second.
create index heroes_deleted_lately on heroes (deleted_time) where deleted_time is not null;
