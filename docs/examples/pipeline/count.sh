#!/bin/sh
# Counts every CIRCLE_NODE_TOTAL-th word, and writes the count and a JUnit report of how it went.
set -eu
mkdir -p counts results
count=$(awk -v index_="$CIRCLE_NODE_INDEX" -v total="$CIRCLE_NODE_TOTAL" 'NR % total == index_' dictionary/sorted.txt | wc -l)
echo "node $CIRCLE_NODE_INDEX of $CIRCLE_NODE_TOTAL: $count words" | tee "counts/$CIRCLE_NODE_INDEX.txt"
cat > "results/count-$CIRCLE_NODE_INDEX.xml" <<XML
<testsuite name="count" tests="1">
  <testcase classname="count" name="node $CIRCLE_NODE_INDEX has words" file="count.sh" time="0.01"/>
</testsuite>
XML
