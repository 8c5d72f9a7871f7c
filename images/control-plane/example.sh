#!/bin/sh
# The example pipeline as a repository, for the quickstart's class. Root's: git's daemon serves nobody what belongs to somebody else.
set -eu
cd /opt/cofferdam/example
sed -i 's#your-namespace/your-resource#local/default#' .circleci/config.yml
git init --quiet --initial-branch=main
git add .
git -c user.name=Cofferdam -c user.email=cofferdam@localhost commit --quiet --message='An example pipeline'
git clone --quiet --bare . /opt/cofferdam/repositories/pipeline
rm -rf .git
rm "$0"
