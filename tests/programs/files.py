# Every kind of access to a file, each by an absolute path, in the folder that is named.
import fcntl
import os
import socket
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
