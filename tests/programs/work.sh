# For sh of busybox: its own applets, each an exec of the one binary.
set -eu
box=$1
folder=$2

$box seq 20 | $box sort -rn | $box sed -n 1,3p > "$folder/numbers"
$box wc -l < "$folder/numbers"
$box cp "$folder/numbers" "$folder/copy"
$box cmp "$folder/numbers" "$folder/copy" && echo same
$box mkdir "$folder/sub"
$box mv "$folder/copy" "$folder/sub"
$box ls "$folder/sub"
$box rm -r "$folder/sub" "$folder/numbers"
