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
  'quota',
  'gone',
  'lagged',
  // What befell the connection.
  'no-helper',
  'not-permitted',
  'not-granted',
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
  'config',
  'activation',
  'install',
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

/** What an error can say beside its message. */
interface ErrorOptions {
  readonly remedy?: string | undefined;
  readonly oldest?: string | undefined;
  readonly missing?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The one error procbus raises. `message` says what went wrong, `remedy` what would help, where
 * something would; `code` is for programs.
 */
export class ProcbusError extends Error {
  override readonly name = 'ProcbusError';
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  /** With `gone`: the oldest cursor that is still held. */
  readonly oldest: string | undefined;
  /** With `gone`: how many events there were between the cursor that was asked for and `oldest`, where that is known. */
  readonly missing: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
    this.oldest = options.oldest;
    this.missing = options.missing;
  }
}

/**
 * The exit status a command ends with for an error, after sysexits.h: 64 usage, 69 unavailable,
 * 70 software, 73 cannot create, 74 output, 75 try again, 76 protocol, 77 permission,
 * 78 configuration.
 */
export function exitStatusOf(code: ErrorCode): number {
  switch (code) {
    case 'usage':
    case 'bad-filter':
    case 'no-such-group':
    case 'activation':
      return 64;
    case 'not-permitted':
    case 'not-granted':
    case 'connector-not-permitted':
      return 77;
    case 'socket-in-use':
    case 'socket-path':
    case 'install':
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
    case 'quota':
    case 'lagged':
      return 75;
    case 'config':
      return 78;
    case 'internal':
      return 70;
    case 'output':
      return 74;
    case 'no-helper':
    case 'disconnected':
    case 'stopping':
    case 'gone':
    case 'connector-missing':
    case 'connector-namespace':
    case 'connector-silent':
      return 69;
  }
}
