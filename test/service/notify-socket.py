"""A service manager's ear: binds a datagram socket (a path, or @name in the abstract namespace) and prints each message as a JSON line."""
import json
import socket
import sys

name = sys.argv[1]
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ear.bind('\0' + name[1:] if name.startswith('@') else name)
print(json.dumps('listening'), flush=True)
while True:
    print(json.dumps(ear.recv(4096).decode()), flush=True)
