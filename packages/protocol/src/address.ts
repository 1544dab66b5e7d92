/** Where a helper listens and clients look for it, unless they are told otherwise. */
export const defaultSocketPath = '/run/procbus/procbus.sock';
