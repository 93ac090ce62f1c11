# For sh of busybox: its own applets, each an exec of the one binary.
set -eu
box=$1
directory=$2

$box seq 20 | $box sort -rn | $box sed -n 1,3p > "$directory/numbers"
$box wc -l < "$directory/numbers"
$box cp "$directory/numbers" "$directory/copy"
$box cmp "$directory/numbers" "$directory/copy" && echo same
$box mkdir "$directory/sub"
$box mv "$directory/copy" "$directory/sub"
$box ls "$directory/sub"
$box rm -r "$directory/sub" "$directory/numbers"
