// Forms with changes that are not saved. Nothing takes them away before somebody has agreed.

class Edits {
  /** What was about to happen when unsaved changes stood in the way. */
  leaving = $state.raw<(() => void) | undefined>();
  #forms = new Set<() => boolean>();

  constructor() {
    addEventListener("beforeunload", (event) => {
      if (this.unsaved) event.preventDefault();
    });
  }

  get unsaved(): boolean {
    return [...this.#forms].some((dirty) => dirty());
  }

  /** A form that says whether it has unsaved changes; it ends by the function that is returned. */
  watch(dirty: () => boolean): () => void {
    this.#forms.add(dirty);
    return () => this.#forms.delete(dirty);
  }

  /** Goes on at once where nothing is lost, or else when somebody agrees to lose it. */
  leave(goOn: () => void): void {
    if (this.unsaved) this.leaving = goOn;
    else goOn();
  }

  /** The changes may go. */
  discard(): void {
    const goOn = this.leaving;
    this.leaving = undefined;
    this.#forms.clear();
    goOn?.();
  }

  /** The changes stay, and with them whatever shows them. */
  keep = (): void => void (this.leaving = undefined);
}

export const edits = new Edits();
