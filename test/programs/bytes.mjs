/*
 * Sends bytes, given as hexadecimal digits, to a socket, and writes all that comes back to stdout.
 * Usage: node bytes.mjs SOCKET HEX
 */
import { connect } from 'node:net';

const [path = '', hex = ''] = process.argv.slice(2);
const socket = connect(path, () => socket.write(Buffer.from(hex, 'hex')));
socket.pipe(process.stdout);
