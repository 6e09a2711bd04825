-- For lists of the orders of one meal.
create index if not exists orders_by_meal on orders (meal_id, id);
