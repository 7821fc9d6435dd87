# What the updaters share: installs a bundle of a model, waits while it serves on probation, confirms it or takes it back.
# Other scripts read it (`. gapcam-bundle.sh`). Its variables begin with own_, since a shell has only one space of names.
# /etc/gapcam/updater.conf may set:
#
#   UPDATER_GAPCAM  command, default: gapcam
#   UPDATER_CONFIG  configuration of the node, default: /etc/gapcam/gapcam.yaml
#   UPDATER_STATE   state directory of the service, default: /var/lib/gapcam
#   UPDATER_WAIT    seconds of probation before the update counts as good, default: 300
#   UPDATER_START   seconds in which the running node must start with the bundle, default: 60
set -u
UPDATER_CONF=${UPDATER_CONF:-/etc/gapcam/updater.conf}
if [ -r "$UPDATER_CONF" ]; then . "$UPDATER_CONF"; fi
UPDATER_GAPCAM=${UPDATER_GAPCAM:-gapcam}
UPDATER_CONFIG=${UPDATER_CONFIG:-/etc/gapcam/gapcam.yaml}
UPDATER_STATE=${UPDATER_STATE:-/var/lib/gapcam}
UPDATER_WAIT=${UPDATER_WAIT:-300}
UPDATER_START=${UPDATER_START:-60}

# Runs a command on the node's bundles. An updater is root: what it writes belongs to the service's user afterwards.
on_model() {
  own_verb=$1
  shift
  # Unquoted: UPDATER_GAPCAM may hold a program and its first arguments.
  $UPDATER_GAPCAM model "$own_verb" "$@" --config "$UPDATER_CONFIG" --set "stateDir=$UPDATER_STATE"
  own_result=$?
  for own_folder in "$UPDATER_STATE"/*/bundles; do
    if [ -d "$own_folder" ]; then chown -R --reference="$UPDATER_STATE" "$own_folder"; fi
  done
  return "$own_result"
}

# The text after a key of the one line of JSON in a file. Names and digests hold no quotes.
field_of() {
  sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p" "$1"
}

# bundle_install BUNDLE RECORD: installs and waits. RECORD is written before anything serves, so that bundle_rollback knows what
# to take back.
bundle_install() {
  on_model install "$1" --no-shadow --json > "$2.new" || return 1
  mv "$2.new" "$2" || return 1
  on_model wait "$(field_of "$2" name)" --digest "$(field_of "$2" digest)" \
    --seconds "$UPDATER_WAIT" --start-within "$UPDATER_START"
}

# bundle_commit RECORD: ends the probation. Doing it twice is no fault; a bundle that does not serve any more is one.
bundle_commit() {
  on_model confirm "$(field_of "$1" name)" --digest "$(field_of "$1" digest)"
}

# bundle_rollback RECORD: back to the bundle before; where there is none, the bundle is removed. Nothing is done where it does not
# serve: then gapcam has gone back by itself, or nothing was installed.
bundle_rollback() {
  if [ ! -f "$1" ]; then return 0; fi
  own_name=$(field_of "$1" name)
  own_digest=$(field_of "$1" digest)
  on_model rollback "$own_name" --digest "$own_digest" || on_model remove "$own_name" --digest "$own_digest"
}
