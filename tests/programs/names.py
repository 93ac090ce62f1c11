# One file under many names, many files under one name, and one name with many rights: each is another access,
# which a recorder would miss that remembered the file and not its name, its place or its rights.
import os
import sys

top = os.path.realpath(sys.argv[1])


def read(name):
    with open(os.path.join(top, name), "rb") as file:
        file.read()


def write(name, text="x"):
    with open(os.path.join(top, name), "w") as file:
        file.write(text)


# Another name of the same inode, by which it is opened after the first one, and before it.
write("first")
os.link(top + "/first", top + "/second")
for name in ["first", "second", "first", "second"] * 3:
    read(name)
os.mkdir(top + "/elsewhere")
os.link(top + "/first", top + "/elsewhere/third")
read("elsewhere/third")

# Another name by a rename, of the file and of a directory above it.
read("second")
os.rename(top + "/second", top + "/renamed")
read("renamed")
os.makedirs(top + "/a/b/c")
write("a/b/c/deep")
for _ in range(3):
    read("a/b/c/deep")
os.rename(top + "/a", top + "/z")
for _ in range(3):
    read("z/b/c/deep")

# Another file under the same name, and the inode's number used again under another name.
for turn in range(5):
    write("new")
    os.rename(top + "/new", top + "/target")
    read("target")
for turn in range(5):
    write("again%d" % turn)
    read("again%d" % turn)
    os.unlink(top + "/again%d" % turn)

# More rights to a file that was seen.
for _ in range(3):
    read("first")
with open(top + "/first", "r+b") as file:
    file.write(b"y")
with open(top + "/first", "ab") as file:
    file.write(b"z")
