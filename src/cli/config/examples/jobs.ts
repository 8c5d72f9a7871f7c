import { type Example, oneJob, oneWorkflow } from "./example.ts";

/** About jobs, and how workflows put them together. */
export const jobExamples = {
  "no-executor": { config: "version: 2.1\njobs:\n  build:\n    steps: [checkout]\n" },
  "several-executors": {
    config:
      "version: 2.1\njobs:\n  build:\n    docker: [{image: cimg/base:stable}]\n    machine: true\n    steps: [checkout]\n",
  },
  "nothing-to-run": { config: "version: 2.1\njobs: {}\n" },
  "bad-matrix": {
    config: oneWorkflow("- build:\n    matrix:\n      parameters: {}"),
  },
  "unknown-requirement": { config: oneWorkflow("- build\n- test: {requires: [biuld]}") },
  "loose-requirement": { config: oneWorkflow("- build\n- test: {requires: [bu<< matrix.x >>]}") },
  "unknown-status": { config: oneWorkflow("- build\n- test: {requires: [{build: [success, skipped]}]}") },
  "requirement-cycle": { config: oneWorkflow("- build: {requires: [test]}\n- test: {requires: [build]}") },
  "bad-job-group": {
    config: oneWorkflow("- both: {matrix: {parameters: {a: [1, 2]}}}").replace(
      "workflows:",
      "job-groups:\n  both:\n    jobs: [build, test]\nworkflows:",
    ),
  },
  "bad-filter": { config: oneWorkflow("- build: {filters: {branches: [main]}}\n- test") },
  "bad-schedule": {
    config: oneWorkflow("- build\n- test").replace(
      "    jobs:",
      "    triggers:\n      - schedule: {cron: every day, filters: {branches: {only: main}}}\n    jobs:",
    ),
  },
  "odd-schedule": {
    config: oneWorkflow("- build\n- test").replace(
      "    jobs:",
      "    triggers:\n      - schedule: {cron: '*/15 * * * *', filters: {branches: {only: main}}}\n    jobs:",
    ),
  },
  "no-steps": {
    config: oneWorkflow("- empty\n- build\n- test").replace(
      "workflows:",
      "  empty:\n    docker: [{image: cimg/base:stable}]\nworkflows:",
    ),
  },
  "bad-setup": {
    config: oneWorkflow("- build\n- test").replace(
      "workflows:",
      "setup: true\nworkflows:\n  other:\n    jobs: [build]",
    ),
  },
  "ignored-steps": {
    config: oneWorkflow("- hold\n- build\n- test").replace(
      "workflows:",
      "  hold:\n    type: no-op\n    steps: [checkout]\nworkflows:",
    ),
  },
  "long-retention": { config: oneJob("- checkout").replace("    steps:", "    retention: {caches: 20d}\n    steps:") },
  "pointless-parallelism": { config: oneJob("- checkout").replace("    steps:", "    parallelism: 1\n    steps:") },
  "superfluous-image": {
    config: oneJob("- checkout").replace(
      "docker: [{image: cimg/base:stable}]",
      "machine: {image: ubuntu-2404:current}\n    resource_class: acme/big",
    ),
  },
  "unsupported-platform": {
    config: oneJob("- checkout").replace("docker: [{image: cimg/base:stable}]", "macos: {xcode: 26.0.0}"),
  },
  deprecated: { config: oneJob("- deploy: make deploy"), advice: "A step `deploy` is a step `run` by an older name." },
} satisfies Record<string, Example>;
