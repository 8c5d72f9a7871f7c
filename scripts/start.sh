#!/bin/sh
# npm start [-- DIR …]: sets up what is missing, then runs the pipeline of DIR (or of the example) with live output.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
sh "$root/scripts/setup.sh" --for run
# The bundled command line starts in a third of the time.
(cd "$root" && node_modules/node/bin/node --disable-warning=ExperimentalWarning scripts/build.ts cofferdam >/dev/null)
if [ $# -eq 0 ]; then set -- "$root/docs/examples/pipeline"; fi
# npm changes to the package's folder; DIR is meant from where the person stands.
cd "${INIT_CWD:-$root}"
exec "$root/bin/cofferdam" exec "$@"
