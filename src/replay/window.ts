/** The newest samples of one container, as many as a span of time holds. */

export type Window = {
  /** @param at milliseconds since the epoch, not before the one added last */
  add(at: number, bytes: number): void;
  /**
   * The values of the last so many seconds, oldest first; good until it is asked again. A range is open at its start, as in
   * Prometheus.
   */
  last(seconds: number): Float64Array;
};

/** @param seconds the longest span that will be asked for */
export function createWindow(seconds: number): Window {
  let times = new Float64Array(64);
  let values = new Float64Array(64);
  let copy = new Float64Array(64);
  let [start, end] = [0, 0];

  /** Shifts what is kept to the front, into more room where it needs more than half of it. */
  function makeRoom(): void {
    const kept = end - start;
    const room = kept > times.length / 2 ? times.length * 2 : times.length;
    const [newTimes, newValues] = [new Float64Array(room), new Float64Array(room)];
    newTimes.set(times.subarray(start, end));
    newValues.set(values.subarray(start, end));
    [times, values, start, end] = [newTimes, newValues, 0, kept];
  }

  return {
    add(at, bytes) {
      if (end === times.length) makeRoom();
      times[end] = at;
      values[end] = bytes;
      end += 1;
      while ((times[start] ?? at) <= at - seconds * 1000) start += 1;
    },
    last(span) {
      const after = (times[end - 1] ?? 0) - span * 1000;
      let first = start;
      for (let beyond = end; first < beyond; ) {
        const middle = (first + beyond) >> 1;
        if ((times[middle] ?? 0) > after) beyond = middle;
        else first = middle + 1;
      }
      // Always the same piece of memory: to get one each minute of each container costs more than all that is done with it.
      if (copy.length < end - first) copy = new Float64Array(values.length);
      copy.set(values.subarray(first, end));
      return copy.subarray(0, end - first);
    },
  };
}

/** Whether a loop that runs every so many seconds has come round since it was asked last; at first it has. */
export function createClock(seconds: number): (at: number) => boolean {
  let last: number | undefined;
  return (at) => {
    const round = Math.floor(at / (seconds * 1000));
    const due = round !== last;
    last = round;
    return due;
  };
}
