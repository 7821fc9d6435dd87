#!/bin/sh
# Makes a RAUC bundle of a .gapcam file and the hook beside this script, for a slot of class gapcam.
set -eu
if [ $# -ne 6 ]; then
  echo "usage: make-bundle.sh BUNDLE VERSION COMPATIBLE CERT KEY OUT" >&2
  exit 2
fi
bundle=$1 version=$2 compatible=$3 cert=$4 key=$5 out=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/content"
# RAUC asks an image for an ending that it knows.
cp "$bundle" "$work/content/gapcam.img"
cp "$(dirname "$0")/hook.sh" "$work/content/hook.sh"
cat > "$work/content/manifest.raucm" << EOF
[update]
compatible=$compatible
version=$version
[bundle]
format=${RAUC_FORMAT:-verity}
[hooks]
filename=hook.sh
[image.gapcam]
filename=gapcam.img
hooks=install
EOF
rm -f "$out"
rauc bundle --cert="$cert" --key="$key" "$work/content" "$out"
