/**
 * The system calls that Node does not offer.
 *
 * Each function is one call of the C library or of the kernel; all throw a SystemError for a failure that
 * the caller did not ask to see.
 */
export * from './libc/accounts.ts';
export * from './libc/clocks.ts';
export * from './libc/files.ts';
export {
  allocate,
  mapShared,
  SystemError,
  watchReadable,
  type NativeMemory,
  type Watch,
} from './libc/native.ts';
export * from './libc/sockets.ts';
export * from './libc/threads.ts';
