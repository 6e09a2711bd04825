/** What a test began ends with it, the last first, whatever fails. */
export function endings(test) {
  const ends = [];
  test.after(async () => {
    const failures = [];
    for (const end of ends.reverse()) {
      await end().catch((failure) => failures.push(failure));
    }
    if (failures.length > 0) throw failures[0];
  });
  return (end) => ends.push(end);
}
