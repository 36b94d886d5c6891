#!/bin/sh
# build_deb.sh - builds the Debian packages of the tree in the current folder and checks them.
#
# build_deb.sh FOLDER: packages, .changes and lintian's report are in FOLDER afterwards. A copy of
# the tree is built, so that nothing is written beside the tree. lintian's errors and warnings fail
# it; what is right as it is has an override with its reason in debian/.
set -eu

folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
version=$(dpkg-parsechangelog -S Version)
tree=$folder/awaitd-${version%-*}
jobs=${DEB_JOBS:-$(nproc)}

rm -rf "$folder"/awaitd* "$folder"/libawait*
mkdir "$tree"
tar -c --exclude-vcs --exclude=./build --exclude='./build-*' --exclude=__pycache__ . |
    tar -x -C "$tree"
if ! (cd "$tree" && DEB_BUILD_OPTIONS="nocheck parallel=$jobs" \
    dpkg-buildpackage -us -uc -b > "$folder/build.log" 2>&1); then
    tail -n 40 "$folder/build.log" >&2
    echo "build_deb: dpkg-buildpackage failed: $folder/build.log" >&2
    exit 1
fi
rm -rf "$tree"

# Not asked of a package that is not in Debian: a bug of Debian that its first version closes.
if ! lintian --allow-root --suppress-tags initial-upload-closes-no-bugs \
    --fail-on error,warning "$folder"/awaitd_*.changes > "$folder/lintian.txt"
then
    cat "$folder/lintian.txt" >&2
    echo 'build_deb: lintian: repair it, or explain it in debian/*.lintian-overrides' >&2
    exit 1
fi
cat "$folder/lintian.txt"
ls -1 "$folder"/*.deb
