#!/bin/sh
# npm run test:faults: sets up what is missing, then does every harm that the suite knows. Needs root: it kills engines of its own.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh --for test
export PATH="$PWD/node_modules/.bin:$PATH"
export NODE_COMPILE_CACHE="$PWD/dist/compiled"
exec node --disable-warning=ExperimentalWarning scripts/test-faults.ts "$@"
