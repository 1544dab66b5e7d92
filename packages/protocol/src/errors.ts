/**
 * Every code a {@link ProcbusError} can carry. The wire and the library share this list;
 * `docs/errors.md` tells the cause and the remedy of each one.
 */
export const errorCodes = [
  // What a peer did wrong on the wire.
  'bad-frame',
  'frame-too-large',
  'bad-message',
  'unknown-message',
  'hello-expected',
  'version-mismatch',
  'bad-filter',
  'subscription-in-use',
  'no-such-subscription',
  'too-many-subscriptions',
  // What befell the connection.
  'no-helper',
  'not-permitted',
  'not-a-helper',
  'disconnected',
  'stopping',
  // Why the helper cannot hear the kernel.
  'connector-missing',
  'connector-not-permitted',
  'connector-namespace',
  'connector-silent',
  // Why the helper cannot serve.
  'socket-in-use',
  'socket-path',
  'no-such-group',
  'activation',
  // How it was called.
  'usage',
  'output',
  'internal',
] as const;

/** One of {@link errorCodes}. */
export type ErrorCode = (typeof errorCodes)[number];

/** Tells whether a string taken from the wire is a code this version knows. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return (errorCodes as readonly unknown[]).includes(value);
}

/**
 * The one error procbus raises. `message` says what went wrong, `remedy` what would help, where
 * something would; `code` is for programs.
 */
export class ProcbusError extends Error {
  override readonly name = 'ProcbusError';
  readonly code: ErrorCode;
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
  }
}

/**
 * The exit status a command ends with for an error, after sysexits.h: 64 usage, 69 unavailable,
 * 70 software, 73 cannot create, 74 output, 76 protocol, 77 permission.
 */
export function exitStatusOf(code: ErrorCode): number {
  switch (code) {
    case 'usage':
    case 'bad-filter':
    case 'no-such-group':
    case 'activation':
      return 64;
    case 'not-permitted':
    case 'connector-not-permitted':
      return 77;
    case 'socket-in-use':
    case 'socket-path':
      return 73;
    case 'bad-frame':
    case 'frame-too-large':
    case 'bad-message':
    case 'unknown-message':
    case 'hello-expected':
    case 'version-mismatch':
    case 'not-a-helper':
    case 'subscription-in-use':
    case 'no-such-subscription':
    case 'too-many-subscriptions':
      return 76;
    case 'internal':
      return 70;
    case 'output':
      return 74;
    case 'no-helper':
    case 'disconnected':
    case 'stopping':
    case 'connector-missing':
    case 'connector-namespace':
    case 'connector-silent':
      return 69;
  }
}
