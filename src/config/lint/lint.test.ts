import { expect, test } from "vitest";
import { compileConfig } from "../index.ts";

const docker = "docker: [{image: cimg/base:stable}]";

async function codesOf(text: string): Promise<string[]> {
  const { diagnostics } = await compileConfig(text);
  return diagnostics.map((one) => `${one.line} ${one.code}`);
}

test("a config as it should be gets no warning", async () => {
  const text = `version: 2.1
orbs:
  local:
    executors: {linux: {${docker}}}
commands:
  deploy: {steps: [{run: make deploy}]}
jobs:
  build:
    executor: local/linux
    parallelism: 2
    steps: [checkout, deploy, {deploy: {}}]
  pull:
    docker: [{image: "$IMAGE@latest"}, {image: "cimg/base@sha256:${"0a".repeat(32)}"}]
    steps: [checkout]
workflows:
  main: {jobs: [build, pull]}
`;

  expect(await codesOf(text)).toEqual([]);
});

test("inline orbs, conditional steps and executors are looked at as well", async () => {
  const text = `version: 2.1
orbs:
  local:
    orbs:
      inner:
        executors:
          mac: {macos: {xcode: 26.0.0}}
    commands:
      ship:
        steps:
          - when:
              condition: true
              steps:
                - deploy: make deploy
jobs:
  build:
    docker: [{image: circleci/node:20}]
    steps: [local/ship]
workflows:
  main: {jobs: [build]}
`;

  expect(await codesOf(text)).toEqual(["7 unsupported-platform", "14 deprecated", "17 deprecated"]);
});

test("warnings wait until there are no errors, but a digest that is none is an error", async () => {
  const text = `version: 2.1
parameters:
jobs:
  build:
    docker: [{image: cimg/base@sha256:x}]
    steps: [checkout]
  Build: {${docker}, steps: [checkout]}
workflows:
  main: {jobs: [build]}
`;

  expect(await codesOf(text)).toEqual(["5 image-digest"]);
});

test("version 2, where the compiler knows less, is left in peace", async () => {
  expect(await codesOf(`version: 2\njobs:\n  build: {${docker}, parallelism: 1, steps: [{deploy: x}]}\n`)).toEqual([]);
});
