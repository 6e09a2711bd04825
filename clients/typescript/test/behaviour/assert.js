// Assertions for every runtime: browsers have no `node:assert`.

const shown = (value) => JSON.stringify(value) ?? String(value);

export function ok(truth, what) {
  if (!truth) throw new Error(`not so: ${what}`);
}

/** Both are the same JSON. */
export function same(actual, expected, what = "") {
  ok(shown(actual) === shown(expected), `${what} ${shown(actual)} is ${shown(expected)}`);
}

/** The error of a call, which has this code. */
export async function fails(call, code) {
  let error;
  try {
    await call();
  } catch (thrown) {
    error = thrown;
  }
  ok(error !== undefined, `the call fails with ${code}`);
  ok(error.code === code, `"${error.code}" is "${code}": ${error}`);
  return error;
}
