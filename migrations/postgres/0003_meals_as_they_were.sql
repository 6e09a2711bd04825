-- no-transaction
-- An order keeps the name and the price that its meal had when it was placed. Both are null in orders that a gateway of the
-- version before places while it is being replaced; these are read from the meal. Nothing here changes with a transition,
-- and there is no index on it, so that updates stay within the page.
--
-- One statement, which commits by itself: the lock on the table lasts for a moment, and no order is held for longer than its
-- ten thousand take. It may be ended at any point and run again.
do $$
declare
    reached bigint := 0;
    newest bigint;
begin
    alter table orders
        add column if not exists meal_name text,
        add column if not exists meal_price_hundredths bigint;
    commit;
    select coalesce(max(id), 0) into newest from orders;
    while reached < newest loop
        update orders set meal_name = meals.name, meal_price_hundredths = meals.price_hundredths
        from meals
        where meals.id = orders.meal_id and orders.meal_name is null and orders.id > reached and orders.id <= reached + 10000;
        reached := reached + 10000;
        commit;
    end loop;
    -- So that nobody reads a name that was kept with a price of today. Checked afterwards, without keeping writers away.
    if not exists (select from pg_constraint where conrelid = 'orders'::regclass and conname = 'meal_name_with_price') then
        alter table orders
            add constraint meal_name_with_price check ((meal_name is null) = (meal_price_hundredths is null)) not valid;
        commit;
    end if;
    alter table orders validate constraint meal_name_with_price;
end
$$;
