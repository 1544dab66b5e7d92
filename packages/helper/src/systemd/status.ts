/*
 * The line that `systemctl status` shows: how much there is to do.
 */

export class Status {
  #seq: number;
  #time: number;

  /**
   * @param seq - the number of the last event
   * @param time - ms of a clock that never goes back
   */
  constructor(seq: number, time: number) {
    this.#seq = seq;
    this.#time = time;
  }

  /** Tells of now and of the time since the last call. */
  line(clients: number, seq: number, time: number): string {
    const seconds = Math.max(1, time - this.#time) / 1000;
    const rate = (seq - this.#seq) / seconds;
    this.#seq = seq;
    this.#time = time;
    return `${clients} ${clients === 1 ? 'client' : 'clients'}, ${rounded(rate)} events/s`;
  }
}

/** Two digits that count: what is about the same shall look the same. */
function rounded(rate: number): number {
  return rate < 10 ? Math.round(rate) : Number(rate.toPrecision(2));
}
