# A server as gunicorn is one: workers that beat on a file which has no name any more, a socket, a log, a reload.
import os
import random
import signal
import socket
import sys
import tempfile
import time

base = os.path.realpath(sys.argv[1])
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.path.join(base, "server.sock"))
listener.listen()


def worker():
    file, name = tempfile.mkstemp(prefix="wgunicorn-")
    os.fchown(file, os.geteuid(), os.getegid())
    os.unlink(name)
    import json  # Each worker loads the application by itself.

    with tempfile.TemporaryDirectory() as uploads:
        with open(os.path.join(uploads, "upload-%d" % random.randrange(10**6)), "wb") as upload:
            upload.write(b"x" * 10000)
        with tempfile.SpooledTemporaryFile(max_size=10) as spooled:
            spooled.write(b"x" * 100)
        peer, _ = listener.accept()
        peer.recv(100)
        os.fchmod(file, 0o600)
        peer.send(json.dumps({"pid": os.getpid()}).encode())
    os._exit(0)


def start():
    pid = os.fork()
    return pid if pid else worker()


with open(os.path.join(base, "server.pid"), "w") as pid_file:
    pid_file.write(str(os.getpid()))
for _ in range(4):
    child = start()
    client = socket.socket(socket.AF_UNIX)
    client.connect(os.path.join(base, "server.sock"))
    client.send(b"GET")
    assert b"pid" in client.recv(100)
    assert os.waitpid(child, 0)[1] == 0
    with open(os.path.join(base, "log.%d" % os.getpid()), "a") as log:
        log.write("%s\n" % time.time())
stopped = os.fork()
if not stopped:
    signal.pause()
os.kill(stopped, signal.SIGTERM)
os.waitpid(stopped, 0)
print("done")
