-- no-transaction
-- The deleted heroes by time: every gateway asks for the latest ones each second.
create index concurrently if not exists heroes_deleted_lately on heroes (deleted_time) where deleted_time is not null;
