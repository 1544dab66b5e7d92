/*
 * The frame of a message of events, whose list is packed already and shared by all who are told it.
 */
import { pack } from './codec.ts';
import { frameHeaderBytes } from './frame.ts';
import { Packer } from './packer.ts';

const name = pack('events');

/** Used again and again. */
const packer = new Packer(64);

/**
 * The beginning of the frame of `['events', subscription, seq, clockOffset, events]`: all but the list of events.
 *
 * @param seq - the stream has been looked through up to here
 * @param clockOffset - ns to add to a kernel time for the time since 1970
 * @param listBytes - how long the packed list is
 */
export function packEventsHead(
  subscription: number,
  seq: number,
  clockOffset: bigint,
  listBytes: number,
): Buffer {
  packer.shortArray(5);
  packer.packed(name);
  packer.number(subscription);
  packer.count(seq);
  packer.int64(clockOffset);
  const { length } = packer;
  const head = Buffer.allocUnsafe(frameHeaderBytes + length);
  head.writeUInt32BE(length + listBytes);
  packer.copyTo(head, frameHeaderBytes, length);
  packer.dropBefore(length);
  return head;
}
