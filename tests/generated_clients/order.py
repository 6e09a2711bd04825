"""Places an order with the client that openapi-python-client generates, reads it and cancels it."""

import sys

from galley_client import Client
from galley_client.api.heroes import create_hero, list_heroes
from galley_client.api.meals import create_meal
from galley_client.api.orders import cancel_or_delete_order, cancel_order, get_order, place_order
from galley_client.models import Hero, NewHero, NewMeal, NewOrder, Order, Problem, Status

with Client(base_url=sys.argv[1]) as client:
    hero = create_hero.sync(client=client, body=NewHero(name="Zoé", planet="Earth"))
    meal = create_meal.sync(client=client, body=NewMeal(name="Onion soup", price=19.99, origin_planet="Earth"))
    placed = place_order.sync(client=client, body=NewOrder(hero_id=hero.id, meal_id=meal.id), idempotency_key="a key")
    assert isinstance(placed, Order), placed
    read = get_order.sync(client=client, id=placed.id)
    assert (read.hero.name, read.meal.price) == ("Zoé", 19.99), read
    assert all(isinstance(entry, Hero) for entry in list_heroes.sync(client=client).items)
    # The body is optional.
    cancelled = cancel_order.sync(client=client, id=placed.id)
    assert cancelled.status == Status.CANCELLED, cancelled
    late = cancel_order.sync(client=client, id=placed.id)
    assert isinstance(late, Problem) and late.type_ == "/problems/already-finished", late
    assert cancel_or_delete_order.sync_detailed(client=client, id=placed.id).status_code == 204
