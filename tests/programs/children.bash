# Programs that start one another, each with a file of its own; with `more`, the first one reads what is
# another's.
set -euo pipefail
directory=$1

# The shell opens both files, and cat has them handed down.
cat <"$directory/input" >"$directory/output"
# By a link's name, and from there by another child.
sh -c "read -r line <'$directory/of-sh'; echo \"\$line\"; cat '$directory/of-cat'"
# A script, by which the kernel decides, and whose interpreter is the program above; it removes what it made.
(cd "$directory" && ./script .)
cat "$directory/output"
if [ "${2-}" = more ]; then
    read -r line <"$directory/of-cat" || echo "not that"
fi
