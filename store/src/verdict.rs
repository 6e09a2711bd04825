//! The reasons against a request, judged from the row that it met, the same in both stores.

use galley_protocol::{CancelOrder, DeleteOrder, HeroId, OfHero, Order, PlaceOrder, Version};

use crate::{CancelVerdict, DeleteVerdict, PlaceVerdict};

/// The verdict on a request whose key is already used by this order.
pub(crate) fn repeated(request: &OfHero<PlaceOrder, HeroId>, found: &Order) -> PlaceVerdict {
    if (request.hero_id, request.command.meal_id) == (found.hero_id, found.meal_id) {
        PlaceVerdict::Replayed(found.clone())
    } else {
        PlaceVerdict::KeyReused
    }
}

/// The reason why the order cannot be cancelled; `None` if it can.
pub(crate) fn against_cancel(
    request: &OfHero<CancelOrder>,
    found: Option<&Order>,
) -> Option<CancelVerdict> {
    let Some(order) = seen(found, request.hero_id) else { return Some(CancelVerdict::NotFound) };
    if is_stale(order, request.command.expected) {
        Some(CancelVerdict::Stale(order.clone()))
    } else if order.status.is_active() {
        None
    } else {
        Some(CancelVerdict::AlreadyFinished(order.clone()))
    }
}

/// The reason why the order cannot be deleted; `None` if it can.
pub(crate) fn against_delete(
    request: &OfHero<DeleteOrder>,
    found: Option<&Order>,
) -> Option<DeleteVerdict> {
    let Some(order) = seen(found, request.hero_id) else { return Some(DeleteVerdict::NotFound) };
    if is_stale(order, request.command.expected) {
        Some(DeleteVerdict::Stale(order.clone()))
    } else if order.status.is_active() {
        Some(DeleteVerdict::NotFinished(order.clone()))
    } else {
        None
    }
}

fn seen(found: Option<&Order>, hero_id: Option<HeroId>) -> Option<&Order> {
    found.filter(|order| hero_id.is_none_or(|hero_id| hero_id == order.hero_id))
}

fn is_stale(order: &Order, expected: Option<Version>) -> bool {
    expected.is_some_and(|expected| expected != order.version)
}
