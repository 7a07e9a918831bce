/** Named events. A listener that throws does not keep the others from hearing. */
export class Emitter {
  #listeners = new Map();

  /** @returns {() => void} takes the listener off again */
  on(event, fn) {
    if (typeof fn !== 'function') throw new TypeError('on(event, function)');
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(fn);
    return () => this.#listeners.get(event).delete(fn);
  }

  emit(event, data) {
    for (const fn of this.#listeners.get(event) ?? []) {
      try {
        fn(data);
      } catch (error) {
        console.error(error);
      }
    }
  }
}
