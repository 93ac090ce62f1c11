# Names that are drawn at random, in the directory that is named and in those for temporary files: each run
# has others, and the profile of one has to fit the next.
import _posixshmem
import multiprocessing
import os
import random
import string
import subprocess
import sys
import tempfile

base = os.path.realpath(sys.argv[1])


def at(name):
    return os.path.join(base, name)


def drawn(count, letters):
    return "".join(random.choice(letters) for _ in range(count))


for directory in ["/tmp", "/var/tmp", base]:
    for prefix, suffix in [("zebra-", ""), ("tmp", ".csv"), ("", ".okapi"), ("glued", "")]:
        with tempfile.NamedTemporaryFile(prefix=prefix, suffix=suffix, dir=directory) as file:
            file.write(b"x")
    tree = tempfile.mkdtemp(dir=directory)
    below = os.path.join(tree, "below")
    os.mkdir(below)
    for path in [os.path.join(tree, "part.%d" % os.getpid()), os.path.join(below, drawn(7, string.ascii_lowercase))]:
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)
    os.rmdir(below)
    os.rmdir(tree)

file, path = tempfile.mkstemp(dir=base)
os.close(file)
os.rename(path, at("settled"))
os.unlink(at("settled"))

# mktemp(1), sed and sort, each in its own way.
for template in ["zebra.XXXXXX", "zebra.XXXX", "XXXXXXXXXX"]:
    os.unlink(subprocess.check_output(["mktemp", at(template)], text=True).strip())
with open(at("lines"), "w") as file:
    file.write("b\na\n")
subprocess.run(["sed", "-i", "s/b/c/", at("lines")], check=True)
print(subprocess.check_output(["sort", at("lines")], text=True).split())

# As Node, Ruby and Go name files.
alphabet = string.digits + string.ascii_lowercase
for name in [
    drawn(11, alphabet),
    "zebra20260131-%d-%s" % (os.getpid(), drawn(random.randint(1, 6), alphabet)),
    "zebra%d" % random.randrange(1 << 32),
]:
    os.close(os.open(at(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.unlink(at(name))

# As multiprocessing.shared_memory names it, without the process that tidies up after it.
memory = "/psm_" + drawn(8, string.hexdigits.lower())
os.close(_posixshmem.shm_open(memory, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode=0o600))
_posixshmem.shm_unlink(memory)
with multiprocessing.Lock():
    print("locked")
print("left", sorted(os.listdir(base)))
