"""Sends bytes, given as hexadecimal digits, to a socket, and writes all that comes back to stdout.

Usage: bytes.py SOCKET HEX
"""

import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(bytes.fromhex(sys.argv[2]))
while data := connection.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
