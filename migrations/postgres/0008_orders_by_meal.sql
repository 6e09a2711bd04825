-- no-transaction
-- For lists of the orders of one meal. A meal never changes, so that updates stay within the page.
create index concurrently if not exists orders_by_meal on orders (meal_id, id);
