import { describe, expect, test } from "vitest";
import type { CompiledStep } from "../../config/compiled.ts";
import { readStep } from "./steps.ts";

const runDefaults = {
  type: "run",
  environment: {},
  when: "on_success",
  background: false,
  noOutputTimeoutMs: 600_000,
  maxAutoReruns: 0,
  autoRerunDelayMs: 0,
};

const cases: [string, CompiledStep, object][] = [
  ["a run that is only a command", { run: "make" }, { ...runDefaults, name: "make", command: "make" }],
  [
    "a run with everything",
    {
      run: {
        name: "Test",
        command: "make test",
        shell: "/bin/sh -e",
        environment: { COUNT: 3, ON: true, EMPTY: null },
        working_directory: "sub",
        background: true,
        when: "always",
        no_output_timeout: "1.25h",
      },
    },
    {
      ...runDefaults,
      name: "Test",
      command: "make test",
      shell: "/bin/sh -e",
      environment: { COUNT: "3", ON: "true", EMPTY: "" },
      workingDirectory: "sub",
      background: true,
      when: "always",
      noOutputTimeoutMs: 4_500_000,
    },
  ],
  [
    "a list of variables",
    { run: { command: "x", environment: [{ A: "1" }, "B=2=3"] } },
    { ...runDefaults, name: "x", command: "x", environment: { A: "1", B: "2=3" } },
  ],
  [
    "reruns",
    { run: { command: "x", max_auto_reruns: 2, auto_rerun_delay: "30s" } },
    { ...runDefaults, name: "x", command: "x", maxAutoReruns: 2, autoRerunDelayMs: 30_000 },
  ],
  ["a bare checkout", "checkout", { type: "checkout", name: "Checkout code", method: "blobless" }],
  [
    "a checkout to a path",
    { checkout: { path: "src", method: "full" } },
    { type: "checkout", name: "Checkout code", path: "src", method: "full" },
  ],
  [
    "save_cache",
    { save_cache: { key: "v1-{{ .Branch }}", paths: ["~/.npm"], when: "always" } },
    { type: "save_cache", name: "Saving cache", key: "v1-{{ .Branch }}", paths: ["~/.npm"], when: "always" },
  ],
  [
    "restore_cache, with key before keys",
    { restore_cache: { key: "a", keys: ["b", "c"] } },
    { type: "restore_cache", name: "Restoring cache", keys: ["a", "b", "c"] },
  ],
  [
    "store_artifacts",
    { store_artifacts: { path: "out", destination: "o" } },
    { type: "store_artifacts", name: "Uploading artifacts", path: "out", destination: "o" },
  ],
  [
    "store_test_results",
    { store_test_results: { path: "junit" } },
    { type: "store_test_results", name: "Uploading test results", path: "junit" },
  ],
  [
    "persist_to_workspace",
    { persist_to_workspace: { root: ".", paths: ["*"] } },
    { type: "persist_to_workspace", name: "Persisting to workspace", root: ".", paths: ["*"] },
  ],
  [
    "attach_workspace",
    { attach_workspace: { at: "/w" } },
    { type: "attach_workspace", name: "Attaching workspace", at: "/w" },
  ],
];

describe("steps", () => {
  test.each(cases)("reads %s", (_title, step, expected) => {
    expect(readStep(step, 1)).toEqual(expected);
  });

  test("warns about SSH keys instead of failing", () => {
    expect(readStep("add_ssh_keys", 1)).toMatchObject({ type: "unsupported", fails: false });
  });

  test.each<[CompiledStep, string]>([
    ["setup_remote_docker", "setup_remote_docker cannot run here"],
    [
      { run: { command: "x", no_output_timeout: "soon" } },
      'step 3 (run) is malformed: no_output_timeout: "soon" is no duration',
    ],
    [{ save_cache: { key: "k" } }, "step 3 (save_cache) is malformed: paths:"],
    [{ restore_cache: {} }, "needs a key, or keys"],
    [{ frobnicate: {} }, 'step 3 is of the unknown type "frobnicate"'],
    [{ run: "a", checkout: {} }, "must have exactly one key"],
    ["toString", 'step 3 is of the unknown type "toString"'],
  ])("refuses %j in words", (step, words) => {
    expect(() => readStep(step, 3)).toThrow(words);
  });
});
