#!/bin/sh
# Makes a Mender artifact (format 3) of a .gapcam file with nothing but tar, gzip and sha256sum. It is not signed; mender-artifact
# makes and signs the same: mender-artifact write module-image -T gapcam -n NAME -t DEVICE_TYPE -f BUNDLE -o OUT
set -eu
if [ $# -ne 4 ]; then
  echo "usage: make-artifact.sh BUNDLE NAME DEVICE_TYPE OUT" >&2
  exit 2
fi
bundle=$1 name=$2 type=$3 out=$4
case "$name$type" in
  *[!A-Za-z0-9._-]*)
    echo "make-artifact.sh: name and device type may have letters, digits, . _ and -" >&2
    exit 2
    ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
file=$(basename "$bundle")
mkdir -p "$work/headers/0000" "$work/data/0000"
cp "$bundle" "$work/data/0000/$file"
cd "$work"
printf '{"format":"mender","version":3}' > version
printf '{"payloads":[{"type":"gapcam"}],"artifact_provides":{"artifact_name":"%s"},"artifact_depends":{"device_type":["%s"]}}' \
  "$name" "$type" > header-info
printf '{"type":"gapcam"}' > headers/0000/type-info
printf '{}' > headers/0000/meta-data
tar -czf header.tar.gz header-info headers/0000/type-info headers/0000/meta-data
sha256sum "data/0000/$file" header.tar.gz version > manifest
tar -czf data/0000.tar.gz -C data/0000 "$file"
tar -cf artifact.mender version manifest header.tar.gz data/0000.tar.gz
cd - > /dev/null
cp "$work/artifact.mender" "$out"
