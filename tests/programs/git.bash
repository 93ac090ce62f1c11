# A repository: made, changed, cloned, packed. Git draws names for what it writes, and its objects are named by
# what is in them.
set -euo pipefail
export HOME=$1 GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
cd "$1"
git init -q one
cd one
for number in 1 2 3 4 5 6 7 8; do
	date +%N > "file$number"
	git add .
	git commit -qm "$number"
done
git branch other HEAD~3
git tag -a -m tag first
git stash list
git gc -q
git clone -q . ../two
cd ../two
date +%N >> file1
git commit -qam ninth
git push -q origin HEAD:refs/heads/third
git fetch -q --all
git log --oneline | wc -l
