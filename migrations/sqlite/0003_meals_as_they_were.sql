-- An order keeps the name and the price that its meal had when it was placed. Both are null in orders that an older program
-- placed after this; these are read from the meal.
alter table orders add column meal_name text;
alter table orders add column meal_price_hundredths integer check ((meal_name is null) = (meal_price_hundredths is null));

update orders set meal_name = meals.name, meal_price_hundredths = meals.price_hundredths
from meals where meals.id = orders.meal_id;
