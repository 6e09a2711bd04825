"""What Schemathesis is told by functions."""

import itertools

import schemathesis

NUMBERS = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a well-formed request one that is carried out.

    - Each has an `Idempotency-Key` of its own: under a key that came before, another body is refused, and the same one creates nothing. What
      becomes of a key that comes again is tested elsewhere (tests/end_to_end/idempotency.rs).
    - An integer in its address has digits only. JSON Schema counts 1.0 among the integers, so bodies may have it, and Schemathesis takes
      values of bodies over into addresses.
    """
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"request {next(NUMBERS)}"
    for parameters in (case.path_parameters, case.query):
        for name, value in (parameters or {}).items():
            if isinstance(value, float) and value.is_integer():
                parameters[name] = int(value)
