import { type Example, oneJob, oneWorkflow } from "./example.ts";

const orb = "orbs:\n  tools: acme/tools@1.0.0\n";
const tools = "commands:\n  greet:\n    steps: [{run: echo hello}]\n";

/** About names that lead nowhere, orbs, and definitions that nothing uses. */
export const nameExamples = {
  "unknown-job": { config: oneWorkflow("- biuld") },
  "unknown-command": { config: oneJob("- chekout") },
  "unknown-executor": {
    config: `version: 2.1
jobs:
  build:
    executor: linux
    steps: [checkout]
`,
  },
  "unknown-orb": { config: oneJob("- node/install") },
  "unknown-orb-version": {
    config: oneJob("- tools/greet", orb.replace("1.0.0", "7")),
    orbs: { "acme/tools@1.0.0": tools },
  },
  "orb-unavailable": {
    config: oneJob("- tools/greet", orb),
    refused: "unavailable",
    advice: "Orbs can be kept in a folder as NAMESPACE/NAME/VERSION.yml, and are found there with --orb-dir.",
  },
  "orb-forbidden": {
    config: oneJob("- tools/greet", "orbs:\n  tools: https://example.com/tools.yml\n"),
    refused: "forbidden",
    advice: "URL orbs are read from addresses alone that are allowed with --orb-url.",
  },
  "bad-orb-reference": { config: oneJob("- tools/greet", orb.replace("@1.0.0", "")) },
  "bad-orb": {
    config: oneJob("- tools/greet", orb),
    orbs: { "acme/tools@1.0.0": "commands:\n  greet: echo hello\n" },
    also: ["wrong-type"],
  },
  "orb-cycle": {
    config: oneJob("- tools/greet", orb),
    orbs: {
      "acme/tools@1.0.0": `orbs: {more: acme/more@1.0.0}\n${tools}`,
      "acme/more@1.0.0": `orbs: {tools: acme/tools@1.0.0}\n${tools}`,
    },
  },
  recursion: { config: oneJob("- again", "commands:\n  again:\n    steps: [again]\n") },
  "duplicate-job": {
    config: oneJob("- checkout")
      .replace("workflows:", "  Build:\n    docker: [{image: cimg/base:stable}]\n    steps: [checkout]\nworkflows:")
      .replace("[build]", "[build, Build]"),
    advice: "They are two jobs here, and one for whoever reads aloud.",
  },
  "ambiguous-name": {
    config: oneWorkflow("- deploy").replace(
      "workflows:",
      "  deploy: *job\njob-groups:\n  deploy:\n    jobs: [build, test]\nworkflows:",
    ),
  },
  "unused-job": { config: oneWorkflow("- build") },
  "unused-command": { config: oneJob("- checkout", "commands:\n  greet:\n    steps: [{run: echo hello}]\n") },
  "unused-executor": {
    config: oneJob("- checkout", "executors:\n  linux:\n    docker: [{image: cimg/base:stable}]\n"),
  },
  "unused-orb": { config: oneJob("- checkout", orb), orbs: { "acme/tools@1.0.0": tools } },
  "unused-job-group": {
    config: oneWorkflow("- build\n- test").replace(
      "workflows:",
      "job-groups:\n  both:\n    jobs: [build, test]\nworkflows:",
    ),
  },
} satisfies Record<string, Example>;
