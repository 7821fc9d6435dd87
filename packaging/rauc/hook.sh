#!/bin/sh
# RAUC slot hook for bundles of models: it stands in a RAUC bundle beside a .gapcam file. It installs the file, waits while it
# serves on probation, and confirms it or takes it back. docs/rauc.md explains it.
case "$1" in
  slot-install) ;;
  *)
    echo "gapcam: this hook only installs" >&2
    exit 1
    ;;
esac

library=${UPDATER_LIBRARY:-/usr/share/gapcam/gapcam-bundle.sh}
. "$library" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# gapcam knows bundles by their ending.
cp "$RAUC_IMAGE_NAME" "$work/update.gapcam" || exit 1
if bundle_install "$work/update.gapcam" "$work/installed.json" && bundle_commit "$work/installed.json"; then exit 0; fi
bundle_rollback "$work/installed.json"
exit 1
