import { expect, test } from "vitest";
import { capacityOf, readOptions } from "./options.ts";

const needed = {
  CIRCLECI_RUNNER_API_URL: "https://control.example",
  CIRCLECI_RUNNER_API_AUTH_TOKEN: "very-secret",
  CIRCLECI_RUNNER_NAME: "runner 1",
};

function options(environment: Record<string, string>) {
  const read = readOptions(environment);
  if ("problems" in read) throw new Error(read.problems.join("\n"));
  return read.options;
}

test("takes the names of both generations, the newer one first", () => {
  const old = {
    LAUNCH_AGENT_API_URL: "https://old.example",
    LAUNCH_AGENT_API_AUTH_TOKEN: "old",
    LAUNCH_AGENT_RUNNER_NAME: "old",
  };

  expect(options(old)).toMatchObject({ CIRCLECI_RUNNER_API_URL: "https://old.example", CIRCLECI_RUNNER_NAME: "old" });
  expect(options({ ...old, ...needed })).toMatchObject(needed);
});

test("says everything that is wrong at once, and repeats no secret", () => {
  const read = readOptions({
    CIRCLECI_RUNNER_API_URL: "nowhere",
    CIRCLECI_RUNNER_API_AUTH_TOKEN: "very-secret",
    CIRCLECI_RUNNER_NAME: "a/b",
  });

  expect(read).toEqual({
    problems: [
      expect.stringContaining("CIRCLECI_RUNNER_API_URL: "),
      expect.stringContaining("CIRCLECI_RUNNER_NAME: must contain only"),
    ],
  });
  expect(JSON.stringify(read)).not.toContain("very-secret");
  expect(readOptions({})).toMatchObject({
    problems: expect.arrayContaining(["CIRCLECI_RUNNER_API_AUTH_TOKEN: is not set"]),
  });
});

test("hands out the host, but for what it needs itself", () => {
  const host = { cpus: 8, memoryBytes: 16 * 1024 ** 3 };

  expect(capacityOf(options(needed), host)).toEqual({ tasks: 8, memoryBytes: 15 * 1024 ** 3, cpus: 8 });
  expect(capacityOf(options({ ...needed, COFFERDAM_MAX_TASKS: "2" }), host)).toMatchObject({ tasks: 2 });
});
