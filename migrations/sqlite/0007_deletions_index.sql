-- PostgreSQL makes the index of 0002 here, beside writers. SQLite has one writer.
select 1;
