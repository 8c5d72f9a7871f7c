#!/bin/sh
# npm test: sets up what is missing, then runs all static checks and all tests. Fails where there is no engine; never skips.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh --for test
export PATH="$PWD/node_modules/.bin:$PATH"
export NODE_COMPILE_CACHE="$PWD/dist/compiled"
exec node --disable-warning=ExperimentalWarning scripts/test.ts "$@"
