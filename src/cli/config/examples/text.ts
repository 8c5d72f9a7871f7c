import { type Example, oneJob } from "./example.ts";

/** About the text and its shape. */
export const textExamples = {
  "too-big": {
    config: `version: 2.1
a: &a [x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]
g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]
jobs: {build: *g}
`,
    advice: "Real configs stay far below the limits. Look for aliases of aliases, and for matrices with many values.",
  },
  "too-deep": {
    config: `version: 2.1
deep: ${"[".repeat(200)}${"]".repeat(200)}
`,
  },
  "yaml-syntax": { config: oneJob('- run: "echo hello') },
  "yaml-alias": { config: oneJob("- *checkout") },
  "yaml-merge": {
    config: `version: 2.1
jobs:
  build:
    <<: cimg/base:stable
    docker: [{image: cimg/base:stable}]
    steps: [checkout]
`,
  },
  "yaml-key": { config: "version: 2.1\n[jobs]: x\njobs:\n  build:\n    machine: true\n    steps: [checkout]\n" },
  "yaml-documents": {
    config: `${oneJob("- checkout")}---
version: 2.1
`,
    advice: "A config is one document. Text after a line `---` is never read by anything.",
  },
  "yaml-tag": { config: oneJob("- run: {command: make, environment: {CORES: !!int many}}") },
  "duplicate-key": {
    config: `version: 2.1
jobs:
  build:
    docker: [{image: cimg/base:stable}]
    steps: [checkout]
    docker: [{image: cimg/node:22.0}]
`,
    advice: "Of two equal keys one would be lost without a word. Keep the one that is meant.",
  },
  "repeated-key": {
    config: oneJob("- checkout").replace("    steps:", "    parallelism: 2\n    parallelism: 2\n    steps:"),
  },
  "empty-section": { config: oneJob("- checkout", "commands:\n") },
  "not-a-map": { config: "- version: 2.1\n" },
  "unknown-version": { config: "version: 3\njobs: {}\n" },
  "missing-key": { config: oneJob("- save_cache:\n    key: v1-dependencies") },
  "unknown-key": { config: oneJob("- checkout").replace("    steps:", "    enviroment: {CI: yes}\n    steps:") },
  "unknown-key-ignored": {
    config: `version: 2
jobs:
  build:
    docker: [{image: cimg/base:stable}]
    enviroment: {CI: "yes"}
    steps: [checkout]
`,
    advice: "In version 2.1 this is an error.",
  },
  "wrong-type": { config: oneJob("- store_test_results: reports") },
  "wrong-value": { config: oneJob("- run: {command: make, when: sometimes}") },
  "bad-name": {
    config: oneJob("- Make it", "commands:\n  Make it:\n    steps: [checkout]\n"),
  },
  "bad-step": { config: oneJob("- run:\n  command: make") },
  "no-jobs": {
    config: "version: 2\njobs:\n  test:\n    docker: [{image: cimg/base:stable}]\n    steps: [checkout]\n",
  },
  "image-digest": { config: oneJob("- checkout").replace("cimg/base:stable", "cimg/base@sha256:abc123") },
} satisfies Record<string, Example>;
