# Every kind of access to a file, each by an absolute path, in the directory that is named.
import ctypes
import fcntl
import os
import socket
import subprocess
import sys
import tempfile

base = os.path.realpath(sys.argv[1])


def at(name):
    return os.path.join(base, name)


os.mkdir(at("directory"))
with open(at("directory/written"), "w") as file:
    file.write("one\n")
with open(at("directory/written"), "a") as file:
    file.write("two\n")
with open(at("directory/written"), "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    fcntl.lockf(file, fcntl.LOCK_UN)
    os.fchmod(file.fileno(), 0o640)
    os.fchown(file.fileno(), -1, -1)
    file.truncate(4)
os.chmod(at("directory/written"), 0o600)
os.chown(at("directory/written"), -1, -1)
os.truncate(at("directory/written"), 2)
os.link(at("directory/written"), at("linked"))
os.symlink("linked", at("symbolic"))
with open(at("symbolic")) as file:
    file.read()
os.rename(at("linked"), at("renamed"))
os.mkfifo(at("fifo"))
# What others would take for something else.
for name in ["new\nline", "quote\"", "glob*?[a]", "@{HOME}", "# comment", " space ", "\u00e9", "a,b"]:
    with open(at(name), "w"):
        pass
    os.unlink(at(name))
with open(os.fsencode(at("bytes")) + b"\xff\xfe", "wb"):
    pass
deep = at("deep")
os.mkdir(deep)
for _ in range(40):
    deep += "/" + "n" * 60
    os.mkdir(deep)
with open(deep + "/end", "w"):
    pass
with tempfile.NamedTemporaryFile(dir=base) as file:
    file.write(b"temporary")
server = socket.socket(socket.AF_UNIX)
server.bind(at("socket"))
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(at("socket"))
server.accept()[0].close()
os.unlink(at("socket"))
os.rename(at("directory"), at("moved"))
os.unlink(at("moved/written"))
os.rmdir(at("moved"))
# Rights that a call asks for beyond those that the file was opened with.
with open(at("linked"), "w"):
    pass
with open(at("linked")) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
descriptor = os.open(at("linked"), os.O_WRONLY | os.O_APPEND)
os.write(descriptor, b"appended")
os.close(descriptor)
# Directories, and names that change places.
os.mkdir(at("one"))
os.chmod(at("one"), 0o700)
os.rename(at("one"), at("two"))
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
if libc.renameat2(AT_FDCWD, os.fsencode(at("two")), AT_FDCWD, os.fsencode(at("linked")), RENAME_EXCHANGE):
    raise OSError(ctypes.get_errno(), "renameat2")
# A name that leads through a link and out again.
os.mkdir(at("linked/below"))
os.symlink("linked/below", at("through"))
os.mkdir(at("through/../beside"))
# A script, and a program that another thread than the first one starts.
script = at("script")
with open(script, "w") as file:
    file.write("#!/bin/sh\nexit 0\n")
os.chmod(script, 0o700)
subprocess.run([script], check=True)
start = "import os,threading; threading.Thread(target=os.execv, args=('/bin/true', ['true'])).start()"
subprocess.run([sys.executable, "-c", start], check=True)
