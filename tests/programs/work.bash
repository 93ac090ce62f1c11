# Pipelines, substitutions, a here-document, a background job, a function; prints what came of them.
set -euo pipefail
directory=$1

shout() { tr '[:lower:]' '[:upper:]'; }

seq 100 | sort -rn | sed -n 1,3p
cat <<END | shout | tee "$directory/loud"
$(printf 'one\ntwo\n' | sort -r)
END
# What cat calls depends on what it writes to: a pipe, also where a runtime hands through a file.
cat "$directory/loud" | cat & wait $!
while read -r line; do echo "read $line"; done < <(sort "$directory/loud")
(cd / && pwd) | cat
grep -c O "$directory/loud" || true
rm "$directory/loud"
