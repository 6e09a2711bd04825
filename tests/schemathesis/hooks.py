"""What Schemathesis is told by functions."""

import itertools

import schemathesis

NUMBERS = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives each well-formed request a key of its own: under a key that came before, another body is refused, and the same one creates nothing.

    What becomes of a key that comes again is tested elsewhere (tests/end_to_end/idempotency.rs).
    """
    well_formed = case.meta is None or case.meta.generation.mode.is_positive
    if well_formed and case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"request {next(NUMBERS)}"
