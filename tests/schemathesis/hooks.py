"""What Schemathesis is told by functions."""

import itertools
import re

import schemathesis

NUMBERS = itertools.count(1)

TAGS = re.compile(r'\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*"){0,15}')

# Beyond the basic plane: tags, fillers, selectors, and what is no character. Texts of these alone, or with some of them, are refused, which the
# patterns cannot say in a way that every dialect understands.
UNSEEN = re.compile("[%s\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]" % "".join(
    chr(plane * 0x10000 + 0xFFFE) + chr(plane * 0x10000 + 0xFFFF) for plane in range(1, 17)))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a well-formed request one that is carried out.

    - Each has an `Idempotency-Key` of its own: under a key that came before, another body is refused, and the same one creates nothing. What
      becomes of a key that comes again is tested elsewhere (tests/end_to_end/idempotency.rs).
    - `If-Match` and `If-None-Match` have entity tags, where Schemathesis covers "a text" with one that their pattern refuses.
    - An integer in its address has digits only. JSON Schema counts 1.0 among the integers, so bodies may have it, and Schemathesis takes
      values of bodies over into addresses.
    - A text holds nothing unseen from beyond the basic plane.
    - A price has at most two decimal places: `multipleOf` would refuse prices that have, since a float is not exactly what was written.
    """
    if case.meta is not None and not case.meta.generation.mode.is_positive:
        return
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"request {next(NUMBERS)}"
    for name in ("If-Match", "If-None-Match"):
        if case.headers and name in case.headers and not TAGS.fullmatch(case.headers[name]):
            case.headers[name] = '"3"'
    for parameters in (case.path_parameters, case.query):
        for name, value in (parameters or {}).items():
            if isinstance(value, float) and value.is_integer():
                parameters[name] = int(value)
            elif isinstance(value, str) and UNSEEN.search(value):
                parameters[name] = UNSEEN.sub("x", value)
    # What is set is judged anew, so that only what changes is set.
    body = accepted(case.body)
    if body != case.body:
        case.body = body


@schemathesis.hook
def filter_body(context, body):
    """Leaves out `null` as a body: some generated clients send it for an optional body, so it is accepted as none, which the document does not say."""
    return body is not None


def accepted(value, name=None):
    """The same JSON, with a letter for each character that nobody sees, and prices in hundredths."""
    if isinstance(value, str):
        return UNSEEN.sub("x", value)
    if isinstance(value, float) and name == "price":
        return round(value, 2)
    if isinstance(value, list):
        return [accepted(entry) for entry in value]
    if isinstance(value, dict):
        return {name: accepted(entry, name) for name, entry in value.items()}
    return value
