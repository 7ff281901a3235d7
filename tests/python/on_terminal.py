"""Runs a program on a pseudo-terminal of so many columns and writes what it shows, byte by byte: python3 on_terminal.py COLUMNS PROGRAM [ARG]...

Needs nothing but Python's own library, on Unix. Ends with the program's status.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

columns, command = int(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    size = struct.pack("HHHH", 40, columns, 0, 0)
    fcntl.ioctl(0, termios.TIOCSWINSZ, size)
    os.execv(command[0], command)
while True:
    try:
        shown = os.read(terminal, 65536)
    except OSError:  # what Linux says when the program has ended
        break
    if not shown:
        break
    sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
