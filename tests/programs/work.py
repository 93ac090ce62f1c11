"""Files, threads, a subprocess, a socket pair; prints what came of them."""

import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import threading

directory = sys.argv[1]

with tempfile.NamedTemporaryFile("w+", dir=directory, delete=False) as file:
    file.write("".join(f"line {n}\n" for n in range(1000)))
    file.flush()
    os.fsync(file.fileno())
    file.seek(0)
    digest = hashlib.sha256(file.read().encode()).hexdigest()
os.rename(file.name, os.path.join(directory, "lines"))
os.chmod(os.path.join(directory, "lines"), 0o640)
print("digest", digest)

totals = []
lock = threading.Lock()


def add(first):
    total = sum(range(first, first + 1000))
    with lock:
        totals.append(total)


threads = [threading.Thread(target=add, args=(n * 1000,)) for n in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
# Whether a join waits is a matter of time; this always does.
threading.Event().wait(0.01)
print("totals", sorted(totals))

counted = subprocess.run(
    ["wc", "-l", os.path.join(directory, "lines")], capture_output=True, text=True, check=True
)
print("counted", counted.stdout.split()[0])

left, right = socket.socketpair()
left.sendall(b"hello")
left.close()
print("received", right.recv(16), right.recv(16))
right.close()

os.remove(os.path.join(directory, "lines"))
print("left", sorted(os.listdir(directory)))
