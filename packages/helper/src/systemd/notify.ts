/*
 * Telling the service manager how things are, by the protocol of sd_notify(3): lines such as `READY=1` in one
 * datagram, with a descriptor for it to keep if there is one. It needs no library.
 */
import * as libc from '../libc.ts';
import { log } from '../log.ts';

/** One end of the way to the service manager, if there is one. */
export class Notifier {
  readonly #address: Uint8Array | undefined;
  #hasFailed = false;

  /** Takes `NOTIFY_SOCKET` out of the environment. */
  constructor(env: NodeJS.ProcessEnv) {
    // A leading @ stands for the NUL of an abstract name.
    const path = env['NOTIFY_SOCKET']?.replace(/^@/, '\0');
    delete env['NOTIFY_SOCKET'];
    this.#address = path === undefined ? undefined : libc.unixAddress(path);
  }

  /** Whether anybody is told anything. */
  get isHeard(): boolean {
    return this.#address !== undefined;
  }

  /**
   * Tells some lines.
   *
   * @param descriptor - goes along with them
   */
  tell(lines: readonly string[], descriptor?: number): void {
    if (this.#address === undefined) return;
    const fd = libc.socket(libc.AF_UNIX, libc.SOCK_DGRAM | libc.SOCK_CLOEXEC, 0);
    const data = Buffer.from(lines.join('\n'));
    try {
      if (descriptor === undefined) libc.sendTo(fd, data, this.#address);
      else libc.sendDescriptor(fd, data, this.#address, descriptor);
    } catch (error) {
      // It will say itself what it makes of our silence; clients are served all the same.
      if (!this.#hasFailed)
        log(`the service manager cannot be told ${lines[0]}: ${(error as Error).message}`);
      this.#hasFailed = true;
    } finally {
      libc.close(fd);
    }
  }
}
